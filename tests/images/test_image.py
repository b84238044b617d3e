"""An image is the same disk, however it is packed; whatever is wrong with it is one clear error."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from pyvmiscsi.errors import ImageError, InputError, NotFoundError
from pyvmiscsi.images.formats.kinds import Format
from pyvmiscsi.images.image import open_image
from tests.images.disks import spelt_out
from tests.images.packed_images import PACKED, SUFFIX, packed

DISK = bytes(4096) + os.urandom(10_240) + bytes(2048)
KINDS = (Format.RAW, *PACKED)

kinds = pytest.mark.parametrize("kind", KINDS)


def put(folder: Path, kind: Format, disk: bytes = DISK) -> Path:
    place = folder / f"disk{SUFFIX[kind]}"
    place.write_bytes(packed(kind, disk))
    return place


def read(place: Path | str, sha256: str | None = None) -> bytes:
    with open_image(str(place), sha256=sha256) as content:
        return spelt_out(content.pieces(4096))


@kinds
def test_is_the_disk_that_was_packed(kind: Format, tmp_path: Path) -> None:
    assert read(put(tmp_path, kind)) == DISK


@kinds
def test_tells_how_far_it_is_in_bytes_of_the_file(kind: Format, tmp_path: Path) -> None:
    place = put(tmp_path, kind)
    with open_image(str(place)) as content:
        assert content.length == (len(DISK) if kind is not Format.GZIP else None)
        assert content.total == place.stat().st_size
        list(content.pieces(4096))
        assert content.done == content.total


@kinds
def test_takes_the_sha256_of_the_file_as_given(kind: Format, tmp_path: Path) -> None:
    place = put(tmp_path, kind)
    assert read(place, sha256=hashlib.sha256(place.read_bytes()).hexdigest().upper()) == DISK


@kinds
def test_refuses_another_sha256_before_the_last_piece(kind: Format, tmp_path: Path) -> None:
    got = bytearray()
    place = put(tmp_path, kind)
    with pytest.raises(ImageError, match="its SHA-256 is"), open_image(str(place), sha256="0" * 64) as content:
        for piece in content.pieces(4096):
            got += spelt_out([piece])
    assert len(got) < len(DISK)


@pytest.mark.parametrize("word", ["", "12", "g" * 64, "0" * 63, "sha256:" + "0" * 64])
def test_refuses_a_sha256_that_is_none(word: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not 64 hexadecimal digits"):
        read(put(tmp_path, Format.RAW), sha256=word)


@kinds
def test_refuses_half_a_sector(kind: Format, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="not whole sectors"):
        read(put(tmp_path, kind, DISK + b"x"))


@pytest.mark.parametrize("kind", PACKED)
def test_refuses_a_file_cut_short(kind: Format, tmp_path: Path) -> None:
    place = put(tmp_path, kind)
    place.write_bytes(place.read_bytes()[:-5])
    with pytest.raises(ImageError, match=f"{place.name}: its {kind} is cut short"):
        read(place)


@pytest.mark.parametrize("kind", PACKED)
def test_refuses_an_archive_inside(kind: Format, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="tar archive"):
        read(put(tmp_path, kind, bytes(257) + b"ustar" + bytes(10_000)))


def test_refuses_an_empty_file(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="is empty"):
        read(put(tmp_path, Format.RAW, b""))


def test_says_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file"):
        read(tmp_path / "none.raw")
    with pytest.raises(InputError, match="a directory"):
        read(tmp_path)


def test_notices_a_file_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    place = put(tmp_path, Format.RAW, os.urandom(4 << 20))
    with open_image(str(place)) as content:
        source = content.pieces(1 << 20)
        next(source)
        os.truncate(place, 2 << 20)
        with pytest.raises(ImageError, match="it ends at byte 2097152: it was cut short"):
            list(source)
