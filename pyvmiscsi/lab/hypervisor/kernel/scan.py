"""What CAM does with a session's bus: probe its LUNs one by one, make disks of them, announce them, take them away."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Callable
from typing import Protocol

from pyvmiscsi.errors import IscsiError, ScsiError
from pyvmiscsi.initiator.libiscsi import Session as Link
from pyvmiscsi.initiator.libiscsi import cdb
from pyvmiscsi.initiator.libiscsi.shapes import Capacity, Inquiry
from pyvmiscsi.lab.hypervisor.kernel import geom
from pyvmiscsi.lab.hypervisor.kernel.cam import Bus, Cam, Unit
from pyvmiscsi.lab.hypervisor.kernel.console import Console
from pyvmiscsi.lab.hypervisor.kernel.disk import Disk
from pyvmiscsi.lab.hypervisor.kernel.lun import Lun
from pyvmiscsi.lab.hypervisor.kernel.session import Session
from pyvmiscsi.lab.hypervisor.texts import console_text


class Host(Protocol):
    """What a scan needs of the kernel around it."""

    @property
    def cam(self) -> Cam: ...

    @property
    def geom(self) -> geom.Geom: ...

    @property
    def console(self) -> Console: ...

    def pause(self, name: str) -> None: ...


class Scan:
    """The bus of one session, and the disks on it."""

    def __init__(self, host: Host, session: Session) -> None:
        self._host = host
        self._session = session
        self.bus: Bus = host.cam.add_bus(f"iscsi{session.number}")
        self.disks: dict[int, Disk] = {}
        self._providers: dict[int, geom.Provider] = {}
        self._lock = threading.RLock()
        self._gone = False
        self._runs = 1  # under way; the first is, from here on

    @property
    def is_under_way(self) -> bool:
        return self._runs > 0 and not self._gone

    def devices(self) -> tuple[tuple[tuple[int, str], ...], int]:
        """LUN and peripheral of what iscsictl lists, and the bus's number."""
        with self._host.cam.lock:
            found = [(lun, unit.da) for lun, unit in sorted(self.bus.units.items()) if unit.da]
            if self.bus.probing is not None:
                found.append((self.bus.probing, "probe0"))
            return tuple(found), self.bus.number

    def run(self, *, again: bool = False) -> None:
        """Probe the bus. `again` looks only for what has come, gone or changed."""
        with self._lock:
            self._runs += again
        try:
            self.bus.probing = None if again else 0
            luns = self._session.run(lambda link: link.luns())
            for lun in sorted(luns):
                if not again:
                    self.bus.probing = lun
                    self._host.pause("probe")
                self._probe(lun)
            for lun in set(self.bus.units) - set(luns):
                self.drop(lun)
        except (OSError, IscsiError) as error:
            if self._gone:
                return
            self._host.console.print(f"lab: iscsi{self._session.number}: the scan ended: {error}")
        finally:
            self.bus.probing = None
            with self._lock:
                self._runs -= 1

    def _probe(self, number: int) -> None:
        try:
            lun = self._session.run(lambda link: read_lun(link, number))
        except ScsiError:
            return
        with self._lock:
            known = self.bus.units.get(number)
            if self._gone or (known is not None and known.lun.raw_serial == lun.raw_serial):
                return
            if known is not None:
                self.drop(number)
            unit = self._host.cam.add_unit(self.bus, lun)
        if unit.da:
            self._host.pause("announce")
            self._announce(number, unit)

    def _announce(self, number: int, unit: Unit) -> None:
        session = self._session
        with self._lock:
            if self._gone:
                address = console_text.address(unit.da, session.number, number)
                self._host.console.print(
                    f"{address}: got CAM status 0x448", f"{address}: fatal error, failed to attach to device"
                )
                return
            unit.announced = True
            self._host.console.print(*console_text.announced(unit.da, session.number, self.bus.number, unit.lun))
            disk = Disk(session, unit, gone=lambda: self.drop(number), changed=self._changed)
            provider = geom.disk_provider(unit.da, unit.lun, disk, attachment=self.bus.sim)
            disk.provider = provider
            self.disks[number], self._providers[number] = disk, provider
        self._host.geom.new_disk(provider)

    def _changed(self) -> None:
        """REPORTED LUNS DATA HAS CHANGED: look again, in a thread, as CAM does."""
        threading.Thread(target=self.run, kwargs={"again": True}, daemon=True).start()

    def drop(self, number: int) -> None:
        """The unit is gone."""
        with self._lock:
            unit = self._host.cam.remove_unit(self.bus, number)
            disk, provider = self.disks.pop(number, None), self._providers.pop(number, None)
        if unit is None or not unit.da:
            return
        number_of_session = self._session.number
        if provider is not None:
            self._host.console.print(*console_text.detached(unit.da, number_of_session, self.bus.number, unit.lun))
            if disk is not None:
                disk.end()
            self._host.geom.gone(provider)
        self._host.console.print(f"{console_text.address(unit.da, number_of_session, unit.lun.lun)}: Periph destroyed")

    def detach(self) -> None:
        """Take the bus away with all that is on it."""
        with self._lock:
            self._gone = True
        for number in sorted(self.bus.units):
            self.drop(number)
        self._host.cam.remove_bus(self.bus)

    def settle(self) -> None:
        """Wait a moment for GEOM to let go of the disks; longer only if another disk keeps GEOM busy."""
        self._host.geom.settle(1.0)

    def find(self, da: str) -> Disk | None:
        return next((disk for disk in self.disks.values() if disk.unit.da == da), None)


def read_lun(link: Link, number: int) -> Lun:
    """All that the probe asks a logical unit, unit attentions out of the way."""
    inquiry: Inquiry = link.inquiry(number)
    if inquiry.qualifier == 3 or inquiry.device_type == 0x1F:
        raise ScsiError("no such logical unit", status=2, key=5, asc=0x25)
    with contextlib.suppress(ScsiError):
        link.settle(number)
    serial = _page(link, number, 0x80)
    is_disk = inquiry.device_type == 0
    capacity = link.capacity(number) if is_disk else None
    lunid, lunname = _names(link, number) if is_disk else ("", "")
    return Lun(
        lun=number,
        vendor=inquiry.vendor,
        product=inquiry.product,
        revision=inquiry.revision,
        version=inquiry.version,
        device_type=inquiry.device_type,
        raw_serial=serial.decode("latin-1"),
        sector=capacity.sector if capacity else 0,
        sectors=capacity.sectors if capacity else 0,
        physical=capacity.physical if capacity else 0,
        lunid=lunid,
        lunname=lunname,
        rotation=_rotation(link, number) if is_disk else 0,
        unmap=bool(capacity and capacity.thin),
    )


def _page(link: Link, number: int, page: int) -> bytes:
    try:
        data = link.page(number, page)
    except IscsiError:
        return b""
    return data[4 : 4 + int.from_bytes(data[2:4], "big")]


def _names(link: Link, number: int) -> tuple[str, str]:
    """lunid and lunname as da(4) takes them from page 83h: the NAA, else the EUI-64; and the T10 vendor name."""
    body = _page(link, number, 0x83)
    lunid = lunname = ""
    while len(body) >= 4:
        code_set, kind, association, length = body[0] & 0xF, body[1] & 0xF, body[1] >> 4 & 3, body[3]
        raw = body[4 : 4 + length]
        if (association == 0 and kind == 3 and code_set == 1) or (association == 0 and kind == 2 and not lunid):
            lunid = raw.hex()
        elif association == 0 and kind == 1:
            lunname = raw.decode("latin-1").rstrip("\0")
        body = body[4 + length :]
    return lunid, lunname


def _rotation(link: Link, number: int) -> int:
    body = _page(link, number, 0xB1)
    return int.from_bytes(body[:2], "big")


def capacity_of(link: Link, number: int, *, unit_attention: Callable[[ScsiError], None]) -> Capacity:
    """READ CAPACITY(16), telling of every unit attention on the way; OSError ENXIO when the unit is gone."""
    for _ in range(10):
        try:
            return Capacity.parse(link.command(cdb.read_capacity(), lun=number, data_in=32, deadline=10.0))
        except ScsiError as error:
            if error.key == 6:
                unit_attention(error)
            elif (error.key, error.asc) == (5, 0x25):
                raise OSError(errno.ENXIO, os.strerror(errno.ENXIO)) from error
            else:
                raise OSError(errno.EIO, os.strerror(errno.EIO)) from error
    raise OSError(errno.EIO, os.strerror(errno.EIO))
