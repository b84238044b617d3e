"""The machine under the lab's kernel: two local disks on an AHCI controller, as where the transcripts were taken."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LocalDisk:
    """A disk that is no iSCSI disk."""

    name: str
    bus: int
    ident: str
    size: int
    mounted: bool
    model: str = "QEMU HARDDISK"
    firmware: str = "2.5+"
    sector: int = 512
    heads: int = 16
    track: int = 63

    @property
    def mode(self) -> str:
        return "r1w1e1" if self.mounted else "r0w0e0"


LOCAL_BUSES = (*(f"ahcich{number}" for number in range(12)), "camsim0")
LOCAL_DISKS = (
    LocalDisk("ada0", 0, "QM00013", 64 * 2**20, mounted=False),
    LocalDisk("ada1", 1, "QM00015", 96 * 2**20, mounted=True),
)
