"""A disk whose image says where everything lies: what is zero is not read, what is data is read from where it is."""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from pyvmiscsi.errors import ImageError, PyvmiscsiError
from pyvmiscsi.images.blocks.content import Piece, Zeros
from pyvmiscsi.images.blocks.extents import Extent, Run, Where, runs
from pyvmiscsi.images.qemu.nbd import DEPTH, Served
from pyvmiscsi.ports import Again
from pyvmiscsi.units import SECTOR


def extents_in(file: int, size: int, name: str) -> Iterator[Extent]:
    """The extents of a raw disk in an open file: holes of the file are zeros, where the file system tells of them.

    It reads the file's holes as it goes: SEEK_DATA and SEEK_HOLE, as POSIX.1-2024 has them.
    """
    at = 0
    while at < size:
        start, end = _next_data(file, at, size)
        if start > at:
            yield Extent(at, start - at, Where.ZERO)
        if end > start:
            yield Extent(start, end - start, Where.FILE, start)
        at = end
    if (now := os.fstat(file).st_size) < size:  # what is behind the end looks like a hole
        raise ImageError(f"{name}: it ends at byte {now}, of {size}: it was cut short")


def _next_data(file: int, at: int, size: int) -> tuple[int, int]:
    """Where the next data begins and ends, in whole sectors."""
    try:
        start = os.lseek(file, at, os.SEEK_DATA)
        end = os.lseek(file, start, os.SEEK_HOLE)
    except OSError as error:
        return (size, size) if error.errno == errno.ENXIO else (at, size)  # no more data; or no holes are told of
    start = start // SECTOR.bytes * SECTOR.bytes
    return min(max(start, at), size), min(-(-end // SECTOR.bytes) * SECTOR.bytes, size)


def again_from(file: int, name: str, export: Callable[[], Served] | None = None) -> Again:
    """Reads bytes of the disk in an open file once more; ImageError when the file was changed since this was called.

    They are read from an `export` of its own, which nobody else reads; without any the file is the disk.
    """

    def state() -> tuple[int, int]:
        now = os.fstat(file)
        return now.st_size, now.st_mtime_ns

    then = state()

    def again(offset: int, length: int) -> bytearray:
        data = bytearray(length)
        try:
            if export is None:
                del data[os.preadv(file, [data], offset) :]
            else:
                export().finish(export().ask(offset, memoryview(data)))
        except PyvmiscsiError:  # some are OSErrors, too
            raise
        except OSError as error:
            raise ImageError(f"{name}: cannot be read again: {error.strerror or error}") from error
        if state() != then or len(data) != length:
            raise ImageError(
                f"{name}: was changed while it was copied, and what of it the nas has lost cannot be had again",
                hint="copy it anew when nobody writes to it",
            )
        return data

    return again


def no_export() -> Served:
    """What stands for QEMU where nothing needs it."""
    raise AssertionError("a raw disk has no extents that only QEMU can read")


class MappedImage:
    """The disk that these extents of an open file make; those that only QEMU can read are read from `export`.

    `export` is called once such an extent is met, and not before.
    """

    def __init__(
        self,
        name: str,
        size: int,
        file: int,
        extents: Iterable[Extent],
        export: Callable[[], Served] = no_export,
        *,
        again: Again | None = None,
    ) -> None:
        self.name = name
        self.done = 0
        self.length = self.total = size
        self._file = file
        self._extents = extents
        self._export = export
        self.again = again

    def pieces(self, length: int) -> Iterator[Piece]:
        try:
            yield from self._pieces(length)
        except PyvmiscsiError:  # some are OSErrors, too
            raise
        except OSError as error:
            raise ImageError(f"{self.name}: cannot be read: {error.strerror or error}") from error

    def _pieces(self, length: int) -> Iterator[Piece]:
        ahead: deque[tuple[Run, bytearray, int | None]] = deque()
        for run in runs(self._extents, length):
            ahead.append((run, *self._asked(run)))
            if len(ahead) == DEPTH:
                yield self._piece(*ahead.popleft())
        while ahead:
            yield self._piece(*ahead.popleft())

    def _asked(self, run: Run) -> tuple[bytearray, int | None]:
        """A buffer, and the command by which QEMU was asked to fill of it what only QEMU can read, if there is any."""
        packed = [part for part in run.parts if part.where is Where.QEMU]
        if not packed:
            return bytearray(), None
        buffer, start = bytearray(run.length), packed[0].start
        view = memoryview(buffer)[start - run.start : packed[-1].end - run.start]
        return buffer, self._export().ask(start, view)

    def _piece(self, run: Run, buffer: bytearray, command: int | None) -> Piece:
        self.done += run.length
        if not run.parts:
            return Zeros(run.length)
        if command is not None:
            self._export().finish(command)
        elif len(run.parts) == 1:
            data = os.pread(self._file, run.length, run.parts[0].offset)
            self._refuse_short(len(data), run.parts[0])
            return data
        else:
            buffer = bytearray(run.length)
        view = memoryview(buffer)
        for part in run.parts:
            if part.where is Where.FILE:
                count = os.preadv(self._file, [view[part.start - run.start : part.end - run.start]], part.offset)
                self._refuse_short(count, part)
        return buffer

    def _refuse_short(self, count: int, part: Extent) -> None:
        if count != part.length:
            raise ImageError(f"{self.name}: it ends at byte {part.offset + count}: it was cut short")
