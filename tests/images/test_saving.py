"""A saved disk is that disk again when it is read, and its file is whole or not there."""

from __future__ import annotations

import gzip
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyvmiscsi.errors import AlreadyExistsError, InterruptedOperation, UnwritableError
from pyvmiscsi.images.blocks.content import Piece, Written, Zeros
from pyvmiscsi.images.formats.kinds import Format
from pyvmiscsi.images.image import open_image
from pyvmiscsi.images.lun import LunContent
from pyvmiscsi.images.saving import part_of, save
from tests.fakes.luns import MemoryLun
from tests.images.digests import digest_of
from tests.images.disks import spelt_out

MIB = 1 << 20
DISK = bytes(MIB) + os.urandom(MIB // 4) + bytes(MIB) + os.urandom(512) + bytes(MIB)

formats = pytest.mark.parametrize("kind", list(Format))


def lun() -> LunContent:
    return LunContent("tank/vm/web1/disk0@monday", MemoryLun(bytearray(DISK)))


def read(path: Path, sha256: str | None = None) -> bytes:
    with open_image(str(path), sha256=sha256) as content:
        return spelt_out(content.pieces(MIB))


@formats
def test_what_is_read_again_is_the_disk(kind: Format, tmp_path: Path) -> None:
    path = tmp_path / f"disk.{kind}"
    saved = save(lun(), path, kind)
    assert saved.disk == Written(len(DISK), digest_of(DISK))
    assert (saved.file_sha256 is None) == (kind in (Format.RAW, Format.QCOW2))
    assert read(path, saved.file_sha256) == DISK
    assert list(tmp_path.iterdir()) == [path]


class WithHoles:
    """Content whose source knows where nothing is."""

    name, length, total, done = "image disk", len(DISK), len(DISK), 0
    again = None

    def pieces(self, _length: int) -> Iterator[Piece]:
        yield Zeros(MIB)
        yield DISK[MIB : MIB + MIB // 4]
        yield Zeros(MIB)
        yield DISK[2 * MIB + MIB // 4 : -MIB]
        yield Zeros(MIB)


@formats
def test_holes_of_the_source_are_zeros(kind: Format, tmp_path: Path) -> None:
    path = tmp_path / f"disk.{kind}"
    saved = save(WithHoles(), path, kind)
    assert saved.disk == Written(len(DISK), digest_of(DISK))
    assert read(path) == DISK


@pytest.mark.parametrize("kind", [Format.RAW, Format.QCOW2])
def test_zeros_are_holes(kind: Format, tmp_path: Path) -> None:
    path = tmp_path / f"disk.{kind}"
    save(lun(), path, kind)
    assert path.stat().st_blocks * 512 < 2 * MIB


def test_anybody_can_unpack_it(tmp_path: Path) -> None:
    path = tmp_path / "disk.gz"
    save(lun(), path, Format.GZIP)
    assert gzip.decompress(path.read_bytes()) == DISK


@formats
def test_a_file_that_is_there_is_replaced_only_when_that_was_said(kind: Format, tmp_path: Path) -> None:
    path = tmp_path / f"disk.{kind}"
    path.write_bytes(b"mine")
    with pytest.raises(AlreadyExistsError, match="exists already"):
        save(lun(), path, kind)
    assert path.read_bytes() == b"mine"
    save(lun(), path, kind, replace=True)
    assert read(path) == DISK


def test_a_file_that_appears_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"

    def somebody(_done: int, _total: int | None) -> None:
        path.write_bytes(b"mine")

    with pytest.raises(AlreadyExistsError):
        save(lun(), path, Format.RAW, progress=somebody)
    assert path.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [path]


@formats
def test_what_is_stopped_leaves_nothing(kind: Format, tmp_path: Path) -> None:
    def stop(done: int, _total: int | None) -> None:
        if done > MIB // 2:
            raise InterruptedOperation("stopped")

    with pytest.raises(InterruptedOperation):
        save(lun(), tmp_path / "disk", kind, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_what_was_cut_short_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    part_of(path).write_bytes(os.urandom(len(DISK) + MIB))
    save(lun(), path, Format.RAW)
    assert read(path) == DISK
    assert list(tmp_path.iterdir()) == [path]


def test_says_where_it_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(UnwritableError, match="cannot be written: No such file or directory"):
        save(lun(), tmp_path / "none" / "disk.raw", Format.RAW)


@pytest.mark.parametrize("kind", [Format.RAW, Format.GZIP])
def test_a_file_that_may_not_grow_is_told_and_nothing_is_left(kind: Format, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, hard))  # write(2) refuses, as on a full disk
    try:
        with pytest.raises(UnwritableError, match="cannot be written: File too large"):
            save(lun(), tmp_path / "disk", kind)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []
