"""Where the bytes of a disk lie: in its image's file, nowhere as they are zero, or where only QEMU finds them. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from pyvmiscsi.errors import ImageError
from pyvmiscsi.units import SECTOR


class Where(Enum):
    """How the bytes of an extent are had."""

    FILE = "in the file, as they are"
    ZERO = "nowhere: they are zero"
    QEMU = "QEMU unpacks them"


@dataclass(frozen=True, slots=True)
class Extent:
    """`length` bytes of disk from `start`; `offset` is where they lie in the file, for those that do."""

    start: int
    length: int
    where: Where
    offset: int = 0

    @property
    def end(self) -> int:
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class Run:
    """Bytes of disk that are handed out at once: zeros of any length, or a piece put together from `parts`."""

    start: int
    length: int
    parts: tuple[Extent, ...] = ()


def extents_of(lines: Iterable[bytes], size: int, file_size: int, name: str) -> Iterator[Extent]:
    """The extents in what `qemu-img map --output=json` prints, line by line: the whole disk, in order, without gaps.

    ImageError for anything else, and for data outside of the file, which is then cut short. Whatever QEMU does not
    call zero is data, and that without an offset it has to read itself: compressed, or of a format it tells no more of.
    """
    at = 0
    for line in lines:
        text = line.strip().removeprefix(b"[").removesuffix(b"]").removesuffix(b",")
        if not text:
            continue
        extent = _extent(text, name)
        if extent.start != at or extent.end > size:
            raise ImageError(f"{name}: QEMU says of it what cannot be, at byte {at} of {size}")
        if extent.where is Where.FILE and extent.offset + extent.length > file_size:
            raise ImageError(
                f"{name}: has {file_size} bytes, and data up to byte {extent.offset + extent.length}: it was cut short"
            )
        at = extent.end
        yield extent
    if at != size:
        raise ImageError(f"{name}: QEMU sees {at} bytes of disk in it, its header {size}")


def runs(extents: Iterable[Extent], length: int) -> Iterator[Run]:
    """The extents as what is handed out: zeros next to each other in one, data in pieces of at most `length`.

    Small clusters that lie all over the file become large pieces of disk, which end at multiples of `length`.
    """
    parts: list[Extent] = []
    zeros = Run(0, 0)
    for extent in extents:
        if extent.where is Where.ZERO:
            if parts:
                yield _piece(parts)
                parts = []
            zeros = Run(extent.end - zeros.length - extent.length, zeros.length + extent.length)
            continue
        if zeros.length:
            yield zeros
            zeros = Run(0, 0)
        for part in _cut(extent, length):
            if parts and part.start // length != parts[0].start // length:
                yield _piece(parts)
                parts = []
            parts.append(part)
    if parts:
        yield _piece(parts)
    if zeros.length:
        yield zeros


def _piece(parts: list[Extent]) -> Run:
    return Run(parts[0].start, parts[-1].end - parts[0].start, tuple(parts))


def _cut(extent: Extent, length: int) -> Iterator[Extent]:
    """An extent in parts of which none crosses a multiple of `length`."""
    at = 0
    while at < extent.length:
        start = extent.start + at
        step = min(extent.length - at, length - start % length)
        yield Extent(start, step, extent.where, extent.offset + at if extent.where is Where.FILE else 0)
        at += step


def _extent(text: bytes, name: str) -> Extent:
    try:
        said = json.loads(text)
        start, length, offset = said["start"], said["length"], said.get("offset")
        zero, data, packed = said["zero"], said["data"], said.get("compressed", False)  # the last since QEMU 8.2
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ImageError(f"{name}: QEMU says of it what is not understood: {text[:80]!r}") from error
    numbers = (start, length) if offset is None else (start, length, offset)
    if any(type(number) is not int or number < 0 for number in numbers) or not length or length % SECTOR.bytes:
        raise ImageError(f"{name}: QEMU says of it what cannot be: {text[:80]!r}")
    if zero is True:
        return Extent(start, length, Where.ZERO)
    if data is True and offset is not None and packed is False:
        return Extent(start, length, Where.FILE, offset)
    return Extent(start, length, Where.QEMU)
