"""What GEOM and CAM say of a disk: diskinfo(8), camcontrol(8), kern.geom.confxml, and the label its serial makes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.etree import ElementTree

from pyvmiscsi.errors import HostError

_LONGEST_PROVIDER = 63  # g_label_taste: a longer name makes no label, silently


def label_of(serial: str) -> str | None:
    """The device that GEOM_LABEL makes of a serial number, `/dev/diskid/DISK-<serial>`; None when it makes none.

    Blanks, `"`, `%` and what cannot be printed become `%XX`; `/` stays, and makes directories (geom(4), observed).
    """
    text = serial.strip()
    mangled = "".join(
        f"%{byte:02X}" if byte <= 0x20 or byte >= 0x7F or chr(byte) in '"%' else chr(byte) for byte in text.encode()
    )
    provider = f"diskid/DISK-{mangled}"
    return f"/dev/{provider}" if text and len(provider) <= _LONGEST_PROVIDER else None


@dataclass(frozen=True, slots=True)
class DiskInfo:
    """One line of `diskinfo daN`, in bytes."""

    device: str
    sector: int
    size: int
    stripe: int
    """The physical sector, as far as the disk tells; 0 when it does not."""


def parse_diskinfo(line: str) -> DiskInfo:
    """`da0 <TAB> 512 <TAB> 67108864 <TAB> 131072 <TAB> 4096 …`; HostError for anything else."""
    fields = line.strip("\n").split("\t")
    if len(fields) < 6 or not all(field.isdigit() for field in fields[1:6]):
        raise HostError(f"diskinfo: cannot understand {line!r}")
    return DiskInfo(fields[0], int(fields[1]), int(fields[2]), int(fields[4]))


def parse_reservation(text: str) -> str:
    """What `camcontrol persist -i read_res` tells, `write_exclusive, key 0x1111`; empty for no reservation."""
    key, kind = re.search(r"Reservation Key: (\S+)", text), re.search(r"Type: (\S+)", text)
    return f"{kind[1]}, key {key[1]}" if key and kind else ""


def disks_by_label(conftxt: str) -> dict[str, str]:
    """`diskid/DISK-…` to the disk that it is on, from `sysctl -b kern.geom.conftxt` (which ends in a NUL byte).

    A line's first word is how far below a disk it stands. Of two disks with one serial only one has the label.
    """
    found, disk = dict[str, str](), ""
    for line in conftxt.rstrip("\0").splitlines():
        level, kind, name, *_ = [*line.split(" "), "", ""]
        disk = name if level == "0" else disk
        if kind == "LABEL":
            found[name] = disk
    return found


@dataclass(frozen=True, slots=True)
class OpenCount:
    """How often a GEOM provider is open: for reading, for writing, exclusively."""

    readers: int
    writers: int
    exclusive: int

    @property
    def is_open(self) -> bool:
        return bool(self.readers or self.writers or self.exclusive)

    def __str__(self) -> str:
        return f"r{self.readers}w{self.writers}e{self.exclusive}"

    @classmethod
    def parse(cls, text: str) -> OpenCount:
        match = re.fullmatch(r"r(\d+)w(\d+)e(\d+)", text)
        if match is None:
            raise HostError(f"kern.geom.confxml: cannot understand the mode {text!r}")
        return cls(*map(int, match.groups()))


def disk_open_counts(confxml: bytes) -> dict[str, OpenCount]:
    """`daN` to how often it is open, over itself, its labels and its partitions, for all disks of the host.

    From `sysctl -b kern.geom.confxml`, which ends in a NUL byte. GEOM adds every opener of a label or a partition
    to the count of the disk below, so the DISK provider alone says it all.
    """
    try:
        mesh = ElementTree.fromstring(confxml.rstrip(b"\0\n "))  # noqa: S314 - written by the kernel, without entities
    except ElementTree.ParseError as error:
        raise HostError(f"kern.geom.confxml: {error}") from error
    return {
        provider.findtext("name", ""): OpenCount.parse(provider.findtext("mode", ""))
        for geom_class in mesh.iterfind("class")
        if geom_class.findtext("name") == "DISK"
        for provider in geom_class.iterfind("geom/provider")
    }
