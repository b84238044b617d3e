"""What QEMU says of where an image's data lies is believed only when it can be true; and it is handed out whole."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.errors import ImageError
from pyvmiscsi.images.blocks.extents import Extent, Where, extents_of, runs
from pyvmiscsi.images.qemu.mapped import MappedImage, again_from, extents_in
from tests.images.disks import spelt_out

SIZE, FILE = 1 << 20, 1 << 21
KINDS: dict[Where, dict[str, object]] = {
    Where.FILE: {"zero": False, "data": True, "offset": 4096},
    Where.ZERO: {"zero": True, "data": False},
    Where.QEMU: {"zero": False, "data": True},
}


def line(start: int, length: int, where: Where = Where.ZERO, **other: object) -> bytes:
    return json.dumps({"start": start, "length": length, "depth": 0, **KINDS[where], **other}).encode()


def read(*lines: bytes) -> list[Extent]:
    return list(extents_of(lines, SIZE, FILE, "image disk"))


def test_reads_what_qemu_prints() -> None:
    assert read(
        b'[{ "start": 0, "length": 65536, "depth": 0, "present": true, "zero": false, "data": true, "offset": 512},\n',
        b'{ "start": 65536, "length": 65536, "depth": 0, "present": false, "zero": true, "data": false},\n',
        b'{ "start": 131072, "length": 917504, "depth": 0, "present": true, "zero": false, "data": true}]\n',
    ) == [
        Extent(0, 65536, Where.FILE, 512),
        Extent(65536, 65536, Where.ZERO),
        Extent(131072, 917504, Where.QEMU),
    ]


def test_what_is_compressed_is_never_read_from_the_file() -> None:
    assert read(line(0, SIZE, Where.FILE, compressed=True)) == [Extent(0, SIZE, Where.QEMU)]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((), "QEMU sees 0 bytes of disk"),
        ((line(0, 512),), "QEMU sees 512 bytes"),
        ((line(0, SIZE + 512),), "what cannot be"),
        ((line(512, SIZE - 512),), "what cannot be"),
        ((line(0, 1024), line(512, SIZE - 512)), "what cannot be"),
        ((line(0, -512),), "what cannot be"),
        ((line(0, 0),), "what cannot be"),
        ((line(0, 100),), "what cannot be"),
        ((line(0, SIZE, Where.FILE, offset=-4096),), "what cannot be"),
        ((line(0, SIZE, Where.FILE, offset=True),), "what cannot be"),
        ((line(0, SIZE, Where.FILE, offset=FILE - 512),), "was cut short"),
        ((line(0, SIZE, Where.FILE, offset=1 << 70),), "was cut short"),
        ((b"[{}]",), "not understood"),
        ((b"[" * 10_000,), "not understood"),
        ((b"qemu-img: hello",), "not understood"),
        ((b"null",), "not understood"),
    ],
)
def test_what_cannot_be_is_refused(lines: tuple[bytes, ...], said: str) -> None:
    with pytest.raises(ImageError, match=f"image disk: .*{said}"):
        read(*lines)


@given(st.lists(st.binary(max_size=80) | st.sampled_from([line(0, 512), line(0, SIZE), line(512, 512)]), max_size=6))
def test_any_output_is_the_whole_disk_or_one_error(lines: list[bytes]) -> None:
    try:
        found = read(*lines)
    except ImageError:
        return
    assert sum(extent.length for extent in found) == SIZE


SECTORS = 64


@st.composite
def maps(draw: st.DrawFn) -> list[Extent]:
    """A disk of some sectors whose data lies anywhere in a file of `SECTORS`."""
    found, at = [], 0
    for count in draw(st.lists(st.integers(1, 9), min_size=1, max_size=12)):
        where = draw(st.sampled_from([Where.FILE, Where.ZERO]))
        offset = draw(st.integers(0, SECTORS - count)) * 512 if where is Where.FILE else 0
        found.append(Extent(at, count * 512, where, offset))
        at += count * 512
    return found


@given(extents=maps(), length=st.sampled_from([512, 1024, 4096, 65536]))
def test_pieces_are_the_disk_and_zeros_are_not_read(extents: list[Extent], length: int) -> None:
    cut = list(runs(extents, length))
    assert [run.start for run in cut] == [sum(one.length for one in cut[:number]) for number in range(len(cut))]
    assert all(run.length <= length for run in cut if run.parts)
    assert not any(one.parts == two.parts == () for one, two in pairwise(cut))
    zeros = sum(extent.length for extent in extents if extent.where is Where.ZERO)
    assert sum(run.length for run in cut if not run.parts) == zeros


def test_a_disk_is_put_together_from_all_over_its_file(tmp_path: Path) -> None:
    data = os.urandom(SECTORS * 512)
    place = tmp_path / "file"
    place.write_bytes(data)

    @given(extents=maps(), length=st.sampled_from([512, 1024, 4096, 65536]))
    def check(extents: list[Extent], length: int) -> None:
        disk = b"".join(
            data[one.offset : one.offset + one.length] if one.where is Where.FILE else bytes(one.length)
            for one in extents
        )
        with place.open("rb") as file:
            image = MappedImage("image disk", len(disk), file.fileno(), extents)
            assert spelt_out(image.pieces(length)) == disk
            assert image.done == len(disk)

    check()


def test_holes_of_a_raw_file_are_not_read(tmp_path: Path) -> None:
    place, data = tmp_path / "disk.raw", os.urandom(1 << 16)
    with place.open("wb") as file:
        file.seek(1 << 20)
        file.write(data)
        file.truncate(4 << 20)
    with place.open("rb") as file:
        found = list(extents_in(file.fileno(), 4 << 20, "image disk"))
        image = MappedImage("image disk", 4 << 20, file.fileno(), found)
        assert spelt_out(image.pieces(1 << 16)) == place.read_bytes()
    assert sum(one.length for one in found) == 4 << 20
    assert sum(one.length for one in found if one.where is Where.FILE) == len(data)


def test_a_file_gives_its_bytes_again_until_it_was_changed(tmp_path: Path) -> None:
    place, data = tmp_path / "disk.raw", os.urandom(8192)
    place.write_bytes(data)
    os.utime(place, ns=(0, 0))
    with place.open("r+b", buffering=0) as file:
        again = again_from(file.fileno(), "image disk")
        assert again(512, 4096) == data[512:4608]
        file.write(bytes(512))
        with pytest.raises(ImageError, match="image disk: was changed while it was copied"):
            again(512, 4096)


@pytest.mark.parametrize("left", [0, 4096])
def test_a_file_that_was_cut_short_gives_nothing_again(left: int, tmp_path: Path) -> None:
    place = tmp_path / "disk.raw"
    place.write_bytes(os.urandom(8192))
    with place.open("r+b") as file:
        again = again_from(file.fileno(), "image disk")
        file.truncate(left)
        with pytest.raises(ImageError, match="was changed"):
            again(0, 512)


def test_a_file_that_cannot_be_read_is_one_error() -> None:
    reading, writing = os.pipe()
    image = MappedImage("image disk", 512, reading, [Extent(0, 512, Where.FILE)])
    with pytest.raises(ImageError, match="image disk: cannot be read"):
        list(image.pieces(512))
    os.close(reading)
    os.close(writing)


def test_a_file_that_became_shorter_is_no_hole(tmp_path: Path) -> None:
    place = tmp_path / "disk.raw"
    place.write_bytes(bytes(4096))
    with place.open("rb") as file, pytest.raises(ImageError, match="ends at byte 4096, of 8192"):
        list(extents_in(file.fileno(), 8192, "image disk"))
