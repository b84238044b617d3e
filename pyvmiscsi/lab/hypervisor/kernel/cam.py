"""CAM: the buses, and the peripherals on them. Numbers are given out as the real one does: the lowest free one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from pyvmiscsi.lab.hypervisor.kernel.hardware import LOCAL_BUSES, LOCAL_DISKS
from pyvmiscsi.lab.hypervisor.kernel.lun import Lun


@dataclass
class Unit:
    """A logical unit with its peripherals: `daN` if it is a disk, and `passN`."""

    lun: Lun
    pass_number: int
    da_number: int | None = None
    announced: bool = False

    @property
    def da(self) -> str:
        return "" if self.da_number is None else f"da{self.da_number}"

    @property
    def peripherals(self) -> str:
        """As devlist prints them: `da0,pass3`."""
        return ",".join(name for name in (self.da, f"pass{self.pass_number}") if name)


@dataclass
class Bus:
    """One `scbusN`; those of iSCSI sessions are on `iscsi<session>`."""

    number: int
    sim: str
    units: dict[int, Unit] = field(default_factory=dict)
    probing: int | None = None


class Cam:
    """All buses of the host."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.local = tuple(Bus(number, sim) for number, sim in enumerate(LOCAL_BUSES))
        self._buses: dict[int, Bus] = {}

    def add_bus(self, sim: str) -> Bus:
        with self.lock:
            number = _lowest(len(self.local), self._buses.__contains__)
            bus = self._buses[number] = Bus(number, sim)
            return bus

    def remove_bus(self, bus: Bus) -> None:
        with self.lock:
            self._buses.pop(bus.number, None)

    def add_unit(self, bus: Bus, lun: Lun) -> Unit:
        with self.lock:
            taken = {unit.pass_number for _, unit in self.units()} | set(range(len(LOCAL_DISKS)))
            unit = Unit(lun, _lowest(0, taken.__contains__))
            if lun.is_disk:
                disks = {found.da_number for _, found in self.units()}
                unit.da_number = _lowest(0, disks.__contains__)
            bus.units[lun.lun] = unit
            return unit

    def remove_unit(self, bus: Bus, lun: int) -> Unit | None:
        with self.lock:
            return bus.units.pop(lun, None)

    def buses(self) -> list[Bus]:
        """The iSCSI buses, in order."""
        with self.lock:
            return [self._buses[number] for number in sorted(self._buses)]

    def units(self) -> list[tuple[Bus, Unit]]:
        """All iSCSI units, bus by bus and LUN by LUN."""
        with self.lock:
            return [(bus, bus.units[lun]) for bus in self.buses() for lun in sorted(bus.units)]

    def find(self, name: str) -> tuple[Bus, Unit] | None:
        """The unit that has the peripheral `da0` or `pass3`."""
        with self.lock:
            for bus, unit in self.units():
                if name in unit.peripherals.split(","):
                    return bus, unit
        return None


def _lowest(start: int, taken: Callable[[int], bool]) -> int:
    while taken(start):
        start += 1
    return start
