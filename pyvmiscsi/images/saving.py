"""A disk's bytes into a file: whole and in its place, or not there at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyvmiscsi.errors import AlreadyExistsError, PyvmiscsiError, UnwritableError
from pyvmiscsi.images.blocks.ahead import Ahead
from pyvmiscsi.images.blocks.content import Content, Piece, Written, Zeros
from pyvmiscsi.images.blocks.digest import DiskHash, hashed_by
from pyvmiscsi.images.formats.kinds import Format
from pyvmiscsi.images.formats.qcow2 import QCOW2_NODE
from pyvmiscsi.images.packed.packing import packed
from pyvmiscsi.images.qemu import programs as qemu
from pyvmiscsi.plan.step import Progress, silent

PIECE = 512 * 1024
_AHEAD = 8
_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Saved:
    """What was saved: the disk, and the SHA-256 of the packed file that holds it.

    None of a raw file or a qcow2: over the zeros of a large sparse disk it would take longer than all the rest.
    """

    disk: Written
    file_sha256: str | None


def save(content: Content, path: Path, kind: Format, *, replace: bool = False, progress: Progress = silent) -> Saved:
    """Write all of `content` to a file of this format; a raw file and a qcow2 have holes where the disk is zero.

    It is written beside its place, as `.<name>.part`, and put there when it is whole and on stable storage. Raises
    AlreadyExistsError when a file is there and is not to be replaced, UnwritableError when it cannot be written.
    """
    if not replace and path.exists():
        raise _taken(path)
    digest = DiskHash()
    pieces = hashed_by(digest, content.pieces(PIECE))
    with _in_place(path, replace=replace) as part, Ahead(pieces, depth=_AHEAD) as ahead:
        file_sha256 = _write(part, _watched(ahead, content, progress), kind, content.length)
    return Saved(Written(digest.length, digest.hexdigest()), file_sha256)


def part_of(path: Path) -> Path:
    """Where the file is while it is not whole."""
    return path.with_name(f".{path.name}.part")


def _write(part: Path, pieces: Iterator[Piece], kind: Format, length: int | None) -> str | None:
    """The SHA-256 of the file, for those that are packed."""
    if kind is Format.QCOW2:
        qemu.create(part, length or 0)
        with qemu.served(part, f"image {part}", QCOW2_NODE) as export:
            export.write_all(_data(pieces))
        return None
    with part.open("xb") as file:
        if kind is Format.RAW:
            _write_sparse(file.fileno(), pieces)
            return None
        digest = hashlib.sha256()
        for chunk in packed(pieces, kind):
            file.write(chunk)
            digest.update(chunk)
        return digest.hexdigest()


def _write_sparse(file: int, pieces: Iterator[Piece]) -> None:
    end = 0
    for at, piece in _placed(pieces):
        end = at + len(piece)
        if not isinstance(piece, Zeros):
            rest = memoryview(piece)
            while rest:
                rest = rest[os.pwrite(file, rest, end - len(rest)) :]
    os.ftruncate(file, end)


def _data(pieces: Iterator[Piece]) -> Iterator[tuple[int, bytes | bytearray]]:
    for at, piece in _placed(pieces):
        if not isinstance(piece, Zeros):
            yield at, piece


def _placed(pieces: Iterator[Piece]) -> Iterator[tuple[int, Piece]]:
    at = 0
    for piece in pieces:
        yield at, piece
        at += len(piece)


def _watched(ahead: Ahead[Piece], content: Content, progress: Progress) -> Iterator[Piece]:
    """What was read ahead; whoever watches is told also while there is none."""
    while not ahead.is_over:
        progress(content.done, content.total)
        ahead.wait(_LOOK_SECONDS)
        for piece in ahead.ready():
            yield piece
            progress(content.done, content.total)


@contextmanager
def _in_place(path: Path, *, replace: bool) -> Iterator[Path]:
    """A place beside `path` whose file is put there when the block has ended well, and is gone when it has not."""
    part = part_of(path)
    try:
        part.unlink(missing_ok=True)  # what an export that was cut short left
        yield part
        _sync(part)
        if replace:
            part.replace(path)
        else:
            os.link(part, path)  # unlike rename(2) it never takes the place of a file
        _sync(path.parent)  # the name, too
    except PyvmiscsiError:  # some are OSErrors, too
        raise
    except FileExistsError:
        raise _taken(path) from None
    except OSError as error:
        raise UnwritableError(f"file {path}: cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _taken(path: Path) -> AlreadyExistsError:
    return AlreadyExistsError(f"file {path}: exists already", hint="say --force to replace it, or choose another name")
