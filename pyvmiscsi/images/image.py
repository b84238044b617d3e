"""An image, whatever it is given as, as the bytes of a disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from pyvmiscsi.errors import ImageError, InputError, PyvmiscsiError
from pyvmiscsi.images.content import Content
from pyvmiscsi.images.formats import HEAD, Format, format_of, refuse_packed
from pyvmiscsi.images.given import Given, opened
from pyvmiscsi.images.nbd import Served
from pyvmiscsi.images.pieces import pieces
from pyvmiscsi.images.qcow2 import Qcow2Header
from pyvmiscsi.images.qemu import served
from pyvmiscsi.images.unpacking import unpacked
from pyvmiscsi.plan.step import Progress, silent
from pyvmiscsi.units import SECTOR


@contextmanager
def open_image(place: str, *, sha256: str | None = None, progress: Progress = silent) -> Iterator[Content]:
    """The image at this place: a path, an http or https address, or `-` for standard input.

    `sha256` is that of the file as given, compressed or not: it is checked when all of it was read, and before the last
    piece is handed out. A qcow2 is read here and there: one that is no local file is first copied to a temporary file,
    which `progress` is told about. Raises NotFoundError, DownloadError, InputError, UnsupportedError, and ImageError
    for what is no image.
    """
    with opened(place, sha256=sha256) as given:
        head = given.head(HEAD)
        if not head:
            raise ImageError(f"image {given.name}: is empty")
        kind = format_of(head, given.name)
        if kind is Format.QCOW2:
            with _qcow2(given, Qcow2Header.parse(head, given.name), progress) as content:
                yield content
        else:
            yield StreamedImage(given, kind)


class StreamedImage:
    """A raw disk, compressed or not, read from its beginning to its end."""

    def __init__(self, given: Given, kind: Format) -> None:
        self._given = given
        self.format = kind

    @property
    def name(self) -> str:
        return f"image {self._given.name}"

    @property
    def length(self) -> int | None:
        return self._given.size if self.format is Format.RAW else None

    @property
    def done(self) -> int:
        return self._given.read_so_far

    @property
    def total(self) -> int | None:
        return self._given.size

    def pieces(self, length: int) -> Iterator[bytes | bytearray]:
        count = 0
        for piece in _one_behind(pieces(self._chunks(), length)):
            count += len(piece)
            if len(piece) % SECTOR.bytes:
                raise ImageError(
                    f"{self.name}: {count} bytes are not whole sectors of {SECTOR.bytes}",
                    hint="it was cut short, or is no disk",
                )
            yield piece

    def _chunks(self) -> Iterator[bytes]:
        given = self._given.chunks()
        if self.format is Format.RAW:
            return given
        inside = unpacked(given, self.format, self._given.name)
        head = b""
        for chunk in inside:
            head += chunk
            if len(head) >= HEAD:
                break
        refuse_packed(head, self._given.name)
        return chain((head,), inside)


class Qcow2Image:
    """The disk in a qcow2 file."""

    def __init__(self, name: str, header: Qcow2Header, export: Served) -> None:
        self.name = name
        self.done = 0
        self.length = self.total = header.size
        self._export = export

    def pieces(self, length: int) -> Iterator[bytes | bytearray]:
        for piece in self._export.read_all(length):
            self.done += len(piece)
            yield piece


@contextmanager
def _qcow2(given: Given, header: Qcow2Header, progress: Progress) -> Iterator[Content]:
    name = f"image {given.name}"
    with TemporaryDirectory(prefix="pyvmiscsi-") as private:
        path = given.path or Path(private, "image.qcow2")
        if given.path is None:
            _copy(given, path, progress)
        elif given.is_hashed:
            for _ in given.chunks():
                progress(given.read_so_far, given.size)
        with served(path, name) as export:
            if export.size != header.size:
                raise ImageError(f"{name}: QEMU sees {export.size} bytes in it, its header {header.size}")
            yield Qcow2Image(name, header, export)


def _copy(given: Given, to: Path, progress: Progress) -> None:
    try:
        with to.open("xb") as file:
            for chunk in given.chunks():
                file.write(chunk)
                progress(given.read_so_far, given.size)
    except PyvmiscsiError:  # some are OSErrors, too
        raise
    except OSError as error:
        raise InputError(
            f"image {given.name}: no temporary copy can be made in {to.parent}: {error.strerror}",
            hint="set TMPDIR to a directory with room for it",
        ) from error


def _one_behind(items: Iterator[bytes | bytearray]) -> Iterator[bytes | bytearray]:
    """Each item once the next one is there, so that what is wrong at the end is known before the last one is used."""
    last = next(items, None)
    for item in items:
        if last is not None:
            yield last
        last = item
    if last is not None:
        yield last
