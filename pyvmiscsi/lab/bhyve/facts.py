"""What bhyve finds on its host when it opens things: the seam between the judging and the lab's hypervisor."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Kind(Enum):
    """What a path is."""

    FILE = "file"
    DEVICE = "device"
    TTY = "tty"
    DIRECTORY = "directory"


@dataclass(frozen=True, slots=True)
class Found:
    """One path as open(2), fstat(2) and disk(4)'s ioctls show it. Sizes in bytes."""

    kind: Kind
    size: int = 0
    sector: int = 512
    stripe: int = 0
    """A device's stripe size (DIOCGSTRIPESIZE), a file's preferred block size (st_blksize)."""
    writable: bool = True
    serial: str = ""


class Vm(Enum):
    """What `/dev/vmm/NAME` is."""

    ABSENT = "absent"
    IDLE = "idle"
    """Made by a loader, or its guest has ended by itself."""
    BUSY = "busy"
    """A guest runs in it, or was killed in it: only bhyvectl --destroy helps."""


class Trouble(Exception):  # noqa: N818 - an answer, not a fault of ours
    """A path that cannot be opened; `text` is strerror(3)'s, as FreeBSD words it."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class HostFacts(Protocol):
    """The host, as far as bhyve looks at it before a guest runs."""

    @property
    def osreldate(self) -> int:
        """`uname -K`: 1403000 is 14.3."""

    @property
    def machine(self) -> str:
        """`uname -m`: `amd64` or `arm64`."""

    @property
    def max_vcpus(self) -> int:
        """`sysctl hw.vmm.maxcpu`."""

    def read_text(self, path: str) -> str | None:
        """A file's text; None when it cannot be opened."""

    def look(self, path: str, *, write: bool = False) -> Found:
        """What is at `path`, opened for writing if asked and possible; Trouble when it cannot even be read."""

    def vm(self, name: str) -> Vm:
        """Whether `/dev/vmm/NAME` is there; Trouble when vmm(4) is not loaded."""

    def open_network(self, interface: str) -> None:
        """Open `/dev/tapN` or `/dev/vmnetN`; Trouble when it is not there or has been opened already."""

    def has_passthru(self, bus: int, slot: int, func: int) -> bool:
        """The PCI device is held by ppt(4)."""
