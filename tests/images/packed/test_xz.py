"""An .xz file that has blocks is unpacked block by block, and any damage to it is one error."""

from __future__ import annotations

import lzma
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyvmiscsi.errors import ImageError
from pyvmiscsi.images.image import open_image
from pyvmiscsi.images.length import length_of
from pyvmiscsi.images.packed import xz
from pyvmiscsi.images.packed.xz import Block, XzIndex, unpacked_at_once
from tests.images.disks import spelt_out

MIB = 1 << 20
DISK = os.urandom(MIB) + bytes(3 * MIB) + os.urandom(MIB + 512) + b"x" * MIB


def packed(*options: str) -> bytes:
    """As xz(1) packs it."""
    return subprocess.run(["/usr/bin/xz", "-0", "-c", *options], input=DISK, capture_output=True, check=True).stdout


@pytest.fixture(scope="module", params=["crc32", "crc64", "sha256", "none"])
def blocks(request: pytest.FixtureRequest) -> bytes:
    return packed("-T2", "--block-size=1MiB", f"--check={request.param}")


def index_of(data: bytes) -> XzIndex:
    size = XzIndex.size_in(data[-12:])
    assert size is not None
    found = XzIndex.parse(data[-12 - size : -12], data[-12:], len(data))
    assert found is not None
    return found


def at_once(data: bytes, index: XzIndex, workers: int = 2, step: int = 65536) -> bytes:
    chunks = (data[start : start + step] for start in range(0, len(data), step))
    return b"".join(unpacked_at_once(chunks, index, workers, "disk.xz"))


@pytest.mark.parametrize("workers", [1, 2, 9])
def test_blocks_make_what_was_packed(blocks: bytes, workers: int) -> None:
    index = index_of(blocks)
    assert len(index.blocks) == 7
    assert index.length == len(DISK)
    assert at_once(blocks, index, workers) == DISK


def test_an_image_is_that_disk_and_tells_its_length(blocks: bytes, tmp_path: Path) -> None:
    place = tmp_path / "disk.xz"
    place.write_bytes(blocks)
    assert length_of(str(place)) == len(DISK)
    with open_image(str(place)) as content:
        assert content.length == len(DISK)
        assert spelt_out(content.pieces(65536)) == DISK
        assert content.done == content.total == len(blocks)


@pytest.mark.parametrize("data", [packed(), packed() + packed(), packed() + bytes(4), lzma.compress(DISK)])
def test_without_blocks_or_in_several_streams_it_is_unpacked_as_ever(data: bytes, tmp_path: Path) -> None:
    place = tmp_path / "disk.xz"
    place.write_bytes(data)
    with open_image(str(place)) as content:
        assert spelt_out(content.pieces(65536)) in (DISK, DISK + DISK)


def test_as_many_at_once_as_there_is_memory_for() -> None:
    small, large = (XzIndex(b"", (Block(1, size * MIB),) * 99) for size in (1, 24))
    assert small.workers(4) == 4
    assert large.workers(16) == 2
    assert XzIndex(b"", (Block(1, 200 * MIB),) * 9).workers(8) == 1
    assert XzIndex(b"", (Block(1, MIB),)).workers(8) == 1
    assert XzIndex(b"", ()).workers(8) == 1


DATA = packed("-T2", "--block-size=512KiB")


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=40)
@given(at=st.integers(0, len(DATA) - 1), flip=st.integers(1, 255))
def test_a_changed_byte_anywhere_is_one_error_or_another_way_of_reading(at: int, flip: int) -> None:
    changed = bytearray(DATA)
    changed[at] ^= flip
    size = XzIndex.size_in(bytes(changed[-12:]))
    index = XzIndex.parse(bytes(changed[-12 - size : -12]), bytes(changed[-12:]), len(changed)) if size else None
    if index is None:  # then liblzma sees all of it
        return
    try:
        assert at_once(bytes(changed), index) == DISK
    except ImageError:
        return
    assert at < xz.HEADER, "only the header stands there twice"


@given(st.binary(max_size=64))
def test_any_index_is_one_or_none(data: bytes) -> None:
    for end in (data, data[:-4] + xz._checksum(data[:-4])):
        found = XzIndex.parse(end, DATA[-12:], len(DATA))
        assert found is None or found.length >= 0


def test_an_index_that_lies_is_one_error(blocks: bytes) -> None:
    whole = index_of(blocks)
    first, *others = whole.blocks
    for lie in (
        Block(first.packed, first.unpacked - 1),
        Block(first.packed, 1 << 60),
        Block(first.packed - 4, 1 << 20),
    ):
        with pytest.raises(ImageError, match=r"disk\.xz: its raw\.xz is"):
            at_once(blocks, XzIndex(whole.flags, (lie, *others)))
    with pytest.raises(ImageError, match="cut short"):
        at_once(blocks[:MIB], whole)
