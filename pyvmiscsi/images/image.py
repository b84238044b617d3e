"""An image, whatever it is given as, as the bytes of a disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

from pyvmiscsi.errors import ImageError
from pyvmiscsi.images.content import Content
from pyvmiscsi.images.formats import HEAD, Format, format_of, refuse_packed
from pyvmiscsi.images.given import Given, opened
from pyvmiscsi.images.pieces import pieces
from pyvmiscsi.images.unpacking import unpacked
from pyvmiscsi.units import SECTOR


@contextmanager
def open_image(place: str, *, sha256: str | None = None) -> Iterator[Content]:
    """The image at this place: a path, an http or https address, or `-` for standard input.

    `sha256` is that of the file as given, compressed or not: it is checked when all of it was read, and before the last
    piece is handed out. Raises NotFoundError, DownloadError, InputError, and ImageError for what is no image.
    """
    with opened(place, sha256=sha256) as given:
        head = given.head(HEAD)
        if not head:
            raise ImageError(f"image {given.name}: is empty")
        yield StreamedImage(given, format_of(head, given.name))


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


def _one_behind(items: Iterator[bytes | bytearray]) -> Iterator[bytes | bytearray]:
    """Each item once the next one is there, so that what is wrong at the end is known before the last one is used."""
    last = next(items, None)
    for item in items:
        if last is not None:
            yield last
        last = item
    if last is not None:
        yield last
