"""A host for the judge that exists only in the test."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyvmiscsi.lab.bhyve.errno_text import ENOENT
from pyvmiscsi.lab.bhyve.facts import Found, Kind, Trouble, Vm


@dataclass(frozen=True, slots=True)
class PaperHost:
    """Everything exists, unless it is said to be missing; disks under /dev have the given sector."""

    sector: int = 512
    stripe: int = 0
    missing: frozenset[str] = frozenset()
    state: Vm = Vm.IDLE
    files: dict[str, str] = field(default_factory=dict)
    osreldate: int = 1400063
    max_vcpus: int = 16
    writable: bool = True
    machine: str = "amd64"

    def read_text(self, path: str) -> str | None:
        return self.files.get(path)

    def look(self, path: str, *, write: bool = False) -> Found:
        del write
        if path in self.missing:
            raise Trouble(ENOENT)
        if path.startswith("/dev/nmdm"):
            return Found(Kind.TTY)
        if path.startswith("/dev/"):
            return Found(Kind.DEVICE, 1 << 30, self.sector, self.stripe, self.writable)
        return Found(Kind.FILE, 1 << 20, stripe=4096, writable=self.writable)

    def vm(self, name: str) -> Vm:
        del name
        return self.state

    def open_network(self, interface: str) -> None:
        if interface in self.missing:
            raise Trouble(ENOENT)

    def has_passthru(self, bus: int, slot: int, func: int) -> bool:
        return f"{bus}/{slot}/{func}" not in self.missing
