"""The system's libzstd, where there is one, unpacks as Python's module does: the same bytes and refusals, in pieces."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from unittest import mock

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from pyvmiscsi.errors import ImageError
from pyvmiscsi.images.blocks.content import Zeros
from pyvmiscsi.images.image import open_image
from pyvmiscsi.images.packed import libzstd

PIECE = 1024


def unpack(packed: bytes, at_a_time: int = 1000) -> list[bytes | bytearray]:
    lib = libzstd.library()
    assert lib is not None
    chunks = (packed[at : at + at_a_time] for at in range(0, len(packed), at_a_time))
    return list(libzstd.unpacked(lib, chunks, PIECE, "disk"))


@st.composite
def disks(draw: st.DrawFn) -> bytes:
    """Runs of data and zeros that end anywhere, and at the end of a piece."""
    lengths = st.integers(0, 3000) | st.sampled_from([PIECE, 2 * PIECE])
    return b"".join(draw(st.lists(lengths.map(bytes) | lengths.map(os.urandom), max_size=5)))


@settings(max_examples=40)
@given(parts=st.lists(disks(), max_size=3), at_a_time=st.integers(1, 5000))
def test_gives_what_was_packed_in_pieces_of_one_length(parts: list[bytes], at_a_time: int) -> None:
    pieces = unpack(b"".join(map(zstd.compress, parts)), at_a_time)
    assert b"".join(pieces) == b"".join(parts)
    assert all(len(piece) == PIECE for piece in pieces[:-1])
    assert all(0 < len(piece) <= PIECE for piece in pieces)


def test_passes_over_what_is_no_data() -> None:
    skippable = (0x184D2A50).to_bytes(4, "little") + (3).to_bytes(4, "little") + b"abc"
    assert unpack(skippable + zstd.compress(b"disk") + skippable) == [b"disk"]


@settings(max_examples=40)
@given(data=disks().filter(bool), cut=st.integers(1, 5000), at_a_time=st.integers(1, 5000))
def test_notices_every_cut(data: bytes, cut: int, at_a_time: int) -> None:
    whole = zstd.compress(data)
    with pytest.raises(ImageError, match="cut short"):
        unpack(whole[: -min(cut, len(whole) - 1)], at_a_time)


@given(data=st.binary(min_size=64, max_size=2000), at=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_never_gives_other_bytes_for_a_damaged_file(data: bytes, at: int, flip: int) -> None:
    options: dict[int, int] = {zstd.CompressionParameter.checksum_flag: 1}
    damaged = bytearray(zstd.compress(data, options=options))
    damaged[at % len(damaged)] ^= flip
    try:
        found = unpack(bytes(damaged))
    except ImageError:
        return
    assert b"".join(found) in (data, b"")  # nothing, where the frame became one to be passed over


def test_refuses_what_follows() -> None:
    with pytest.raises(ImageError, match=r"disk: its raw\.zst is damaged: Unknown frame descriptor"):
        unpack(zstd.compress(b"disk") + b"something else")


def test_refuses_a_window_as_large_as_memory() -> None:
    command = ("/usr/bin/zstd", "-q", "--ultra", "--long=28", "-c")
    packed = subprocess.run(command, input=b"disk" * 1000, capture_output=True, check=True).stdout
    with pytest.raises(ImageError, match="too much memory"):
        unpack(packed)


@pytest.mark.parametrize("lib", [None, libzstd.library()], ids=["without it", "with it"])
def test_a_disk_is_the_same_with_and_without_it(lib: object, tmp_path: Path) -> None:
    disk = os.urandom(3 * PIECE) + bytes(9 * PIECE) + os.urandom(PIECE + 512)
    packed = tmp_path / "disk.zst"
    packed.write_bytes(zstd.compress(disk))
    with mock.patch.object(libzstd, "library", lambda: lib), open_image(str(packed)) as image:
        pieces = list(image.pieces(PIECE))
    assert b"".join(bytes(len(piece)) if isinstance(piece, Zeros) else piece for piece in pieces) == disk
    assert Zeros(9 * PIECE) in pieces


def test_without_it_there_is_none() -> None:
    libzstd.library.cache_clear()
    with mock.patch.object(libzstd, "SONAME", "libzstd.so.0"):
        assert libzstd.library() is None
    libzstd.library.cache_clear()
    assert libzstd.library() is not None
