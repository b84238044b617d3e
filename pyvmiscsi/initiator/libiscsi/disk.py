"""A LUN as a Python file, for whatever takes one.

    with open_lun("10.0.0.10", "iqn.2005-10.org.freenas.ctl:web1-disk0") as disk:
        disk.seek(512)
        header = disk.read(92)
        shutil.copyfileobj(disk, backup)

It is a raw file (`io.RawIOBase`): nothing is kept back, a write is at the LUN when it returns, and on stable storage
after `flush` or `close`. Around many small reads and writes put `io.BufferedRandom(disk, 1 << 20)`. What the file
protocol itself forbids is an OSError, as of any file; what the LUN refuses is one of `pyvmiscsi.errors`.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pyvmiscsi.initiator.libiscsi.access import LibiscsiAccess
from pyvmiscsi.initiator.libiscsi.nouns import NO_DIGESTS, Digests
from pyvmiscsi.model import Credential
from pyvmiscsi.names import Iqn, Lun, LunAddress, Portal
from pyvmiscsi.ports import BlockDevice
from pyvmiscsi.units import Size

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


@contextlib.contextmanager
def open_lun(
    portal: Portal | str,
    target: Iqn | str,
    lun: int = 0,
    *,
    credential: Credential | None = None,
    initiator: str = "",
    digests: Digests = NO_DIGESTS,
    deadline: float = 30.0,
) -> Iterator[RawDisk]:
    """Log in to a LUN for the length of the block; what was written is flushed at its end.

    InputError for what is no portal, target or LUN; LoginError; ProofError when the LUN is no disk.
    """
    address = LunAddress(
        portal if isinstance(portal, Portal) else Portal.parse(portal),
        target if isinstance(target, Iqn) else Iqn.parse(target),
        Lun(lun),
    )
    access = LibiscsiAccess(initiator, digests=digests)
    with access.open(address, credential, deadline=deadline) as device, RawDisk(device) as disk:
        yield disk


class RawDisk(io.RawIOBase):
    """A LUN that is open, as a file of its size, read and written at any byte.

    A write that does not cover whole sectors reads the first and the last of them before: nobody else may write there
    meanwhile. Threads may share it, but then use `pread` and `pwrite`: there is one position. Closing it flushes, and
    leaves the device open.
    """

    def __init__(self, device: BlockDevice) -> None:
        super().__init__()
        self._device = device
        self._at = 0
        self._unflushed = False
        self._writing = threading.Lock()
        self._flushing = threading.Lock()

    @property
    def size(self) -> Size:
        return self._device.size

    @property
    def sector(self) -> Size:
        return self._device.sector

    @property
    def serial(self) -> str:
        return self._device.serial

    # at an offset

    def pread(self, length: int, offset: int) -> bytes:
        """`length` bytes from `offset`, fewer at the end of the LUN."""
        self._check(offset)
        end = min(offset + length, self.size.bytes)
        if end <= offset:
            return b""
        first, last = self._whole_sectors(offset, end)
        return self._device.pread(last - first, first)[offset - first : end - first]

    def pwrite(self, data: ReadableBuffer, offset: int) -> int:
        """Write `data` at `offset`; how many bytes that were: fewer where the LUN ends, OSError (ENOSPC) behind it."""
        self._check(offset)
        view = memoryview(data).cast("B")
        end = min(offset + len(view), self.size.bytes)
        if not view:
            return 0
        if end <= offset:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with self._writing:
            try:
                self._write(view[: end - offset], offset, end)
            finally:
                self._unflushed = True  # not before: a flush that came meanwhile may not have covered it
        return end - offset

    def discard(self, length: int, offset: int) -> None:
        """Make `length` bytes from `offset` read as zeros, fewer at the end; the nas lets go of them where it can."""
        self._check(offset)
        end = min(offset + length, self.size.bytes)
        sector = self.sector.bytes
        first, last = -(-offset // sector) * sector, end // sector * sector
        if first >= last:
            self.pwrite(bytes(max(end - offset, 0)), offset)
            return
        with self._writing:
            try:
                self._device.write_zeros(last - first, first)
            finally:
                self._unflushed = True
        self.pwrite(bytes(first - offset), offset)
        self.pwrite(bytes(end - last), last)

    # at the position

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        data = self.pread(len(view), self._at)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def write(self, data: ReadableBuffer) -> int:
        written = self.pwrite(data, self._at)
        self._at += written
        return written

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._check(0)
        origins = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size.bytes}
        if whence not in origins:
            raise ValueError(f"whence {whence}: not 0, 1 or 2")
        at = origins[whence] + offset
        if at < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._at = at
        return at

    def truncate(self, size: int | None = None) -> int:
        """A LUN has the size that the nas gave it."""
        raise io.UnsupportedOperation(f"truncate to {size}: a LUN has the size that the nas gave it")

    def flush(self) -> None:
        """What was written is on stable storage."""
        super().flush()
        with self._flushing:  # one that another thread has begun has to end well first
            if self._unflushed:
                self._unflushed = False  # before, for what is written meanwhile may come too late for it
                try:
                    self._device.flush()
                except BaseException:
                    self._unflushed = True
                    raise

    def readable(self) -> bool:
        self._check(0)
        return True

    def writable(self) -> bool:
        self._check(0)
        return True

    def seekable(self) -> bool:
        self._check(0)
        return True

    def _write(self, view: memoryview, offset: int, end: int) -> None:
        first, last = self._whole_sectors(offset, end)
        if (first, last) == (offset, end):
            self._device.pwrite(view, offset)
            return
        sector = self.sector.bytes
        around = bytearray(last - first)
        if first < offset:
            around[:sector] = self._device.pread(sector, first)
        if end < last and (last - sector > first or first == offset):
            around[-sector:] = self._device.pread(sector, last - sector)
        around[offset - first : end - first] = view
        self._device.pwrite(around, first)

    def _whole_sectors(self, offset: int, end: int) -> tuple[int, int]:
        sector = self.sector.bytes
        return offset // sector * sector, -(-end // sector) * sector

    def _check(self, offset: int) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")
        if offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
