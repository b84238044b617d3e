"""What a disk of this host says about itself, and the texts that follow from it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

SPC = {2: "SCSI-2", 3: "SPC-2"}
FIRMWARE_HEADS, FIRMWARE_SECTORS = 64, 32  # cam_calc_geometry(): small disks; large ones 255 and 63


@dataclass(frozen=True)
class Lun:
    """A logical unit as INQUIRY, its pages and READ CAPACITY(16) describe it; sizes are in bytes."""

    lun: int
    vendor: str
    product: str
    revision: str
    version: int
    device_type: int
    raw_serial: str = ""
    sector: int = 512
    sectors: int = 0
    physical: int = 512
    lunid: str = ""
    lunname: str = ""
    rotation: int = 0
    unmap: bool = False

    @property
    def is_disk(self) -> bool:
        return self.device_type == 0

    @property
    def serial(self) -> str:
        """The serial number as CAM keeps it, without blanks around it."""
        return self.raw_serial.strip(" \0")

    @property
    def size(self) -> int:
        return self.sector * self.sectors

    @property
    def stripesize(self) -> int:
        """GEOM's stripe size: the physical block, where it is larger than the logical one."""
        return self.physical if self.physical > self.sector else 0

    @property
    def name(self) -> str:
        """`TrueNAS iSCSI Disk`, the description of the disk."""
        return " ".join(word for word in (self.vendor, self.product) if word)

    @property
    def full_name(self) -> str:
        """`TrueNAS iSCSI Disk 0123`, as in devlist."""
        return " ".join(word for word in (self.vendor, self.product, self.revision) if word)

    @property
    def specification(self) -> str:
        """`SPC-3`: what scsi_print_inquiry() makes of the version byte."""
        return SPC.get(self.version, f"SPC-{self.version - 2}") if self.version >= 2 else "SCSI-0"

    @property
    def heads(self) -> int:
        return FIRMWARE_HEADS if self.size >> 20 <= 1024 else 255

    @property
    def track(self) -> int:
        """Sectors per track."""
        return FIRMWARE_SECTORS if self.size >> 20 <= 1024 else 63

    @property
    def rotation_text(self) -> str:
        """As in confxml and `geom disk list`."""
        return {0: "unknown", 1: "0"}.get(self.rotation, str(self.rotation))


def mangled(ident: str) -> str:
    """The serial number in a label's name: what cannot stand there becomes %XX (g_label_mangle_name())."""
    return "".join(
        character if 0x20 < ord(character) < 0x7F and character not in '"%' else f"%{ord(character):02X}"
        for character in ident
    )
