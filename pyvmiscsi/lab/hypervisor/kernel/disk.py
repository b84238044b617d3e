"""A disk of an iSCSI session: reading, writing and flushing it, waiting out a lost session as CAM does."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from pyvmiscsi.errors import ScsiError
from pyvmiscsi.initiator.libiscsi import Session as Link
from pyvmiscsi.initiator.libiscsi import Task, cdb
from pyvmiscsi.initiator.libiscsi.shapes import Capacity
from pyvmiscsi.lab.hypervisor.kernel.cam import Unit
from pyvmiscsi.lab.hypervisor.kernel.lun import Lun

if TYPE_CHECKING:
    from pyvmiscsi.lab.hypervisor.kernel.geom import Provider
    from pyvmiscsi.lab.hypervisor.kernel.session import Session

LARGEST = 512 * 1024
UNIT_ATTENTION, ILLEGAL_REQUEST = 6, 5
LUNS_CHANGED = (0x3F, 0x0E)


class Disk:
    """`daN`: a LUN reached through its session."""

    def __init__(self, session: Session, unit: Unit, *, gone: Callable[[], None], changed: Callable[[], None]) -> None:
        self.session = session
        self.unit = unit
        self.provider: Provider | None = None
        self._gone = gone
        self._changed = changed
        self.ended = threading.Event()

    def end(self) -> None:
        """It was taken away: everything fails from now on."""
        self.ended.set()

    def reprobe(self) -> Lun:
        """Its capacity as it is now; OSError ENXIO when the LUN or the session is gone."""
        try:
            capacity: Capacity = self.session.run(self._capacity)
        except OSError as error:
            if error.errno == errno.ENXIO and not self.session.removed:
                self._gone()
            raise
        lun = replace(self.unit.lun, sector=capacity.sector, sectors=capacity.sectors, physical=capacity.physical)
        self.unit.lun = lun
        return lun

    def read(self, offset: int, length: int) -> bytes:
        """Whole sectors; OSError EIO."""
        self._check(offset, length)
        data = bytearray(length)
        view = memoryview(data)

        def tasks() -> Iterator[Task]:
            for start, sector, count in self._pieces(offset, length):
                yield Task(self.unit.lun.lun, cdb.read(sector, count), into=view[start : start + self._bytes(count)])

        self._run(tasks)
        return bytes(data)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Whole sectors; OSError EIO, also for a reservation of somebody else."""
        view = memoryview(data)
        self._check(offset, len(view))
        if self.provider is not None:
            self.provider.written = True

        def tasks() -> Iterator[Task]:
            for start, sector, count in self._pieces(offset, len(view)):
                yield Task(self.unit.lun.lun, cdb.write(sector, count), data=view[start : start + self._bytes(count)])

        self._run(tasks)

    def flush(self) -> None:
        """SYNCHRONIZE CACHE."""
        self._run(lambda: iter((Task(self.unit.lun.lun, cdb.synchronize_cache()),)))

    def unmap(self, offset: int, length: int) -> None:
        """Let go of whole sectors."""
        sector = self.unit.lun.sector
        ranges = ((offset // sector, length // sector),)
        data = cdb.unmap_list(ranges)
        self._run(lambda: iter((Task(self.unit.lun.lun, cdb.unmap(len(data)), data=data),)))

    def _capacity(self, link: Link) -> Capacity:
        from pyvmiscsi.lab.hypervisor.kernel.scan import capacity_of  # scan makes disks

        return capacity_of(link, self.unit.lun.lun, unit_attention=self._attention)

    def _attention(self, error: ScsiError) -> None:
        if (error.asc, error.ascq) == LUNS_CHANGED:
            self._changed()

    def _run(self, tasks: Callable[[], Iterator[Task]]) -> None:
        """Run the tasks, all of them again when the session was lost on the way."""

        def command(link: Link) -> None:
            for _ in link.run_all(tasks(), depth=8, deadline=10.0):
                pass

        if self.ended.is_set():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        try:
            self.session.run(command)
        except (ScsiError, OSError) as error:
            raise OSError(errno.EIO, os.strerror(errno.EIO)) from error

    def _pieces(self, offset: int, length: int) -> Iterator[tuple[int, int, int]]:
        """(start in the buffer, first sector, sectors) of commands of a size that every target takes."""
        sector = self.unit.lun.sector
        for start in range(0, length, LARGEST):
            yield start, (offset + start) // sector, min(LARGEST, length - start) // sector

    def _check(self, offset: int, length: int) -> None:
        if offset % self.unit.lun.sector or length % self.unit.lun.sector:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    def _bytes(self, sectors: int) -> int:
        return sectors * self.unit.lun.sector
