"""What sysfs says of a disk, and who uses it: the answers of ASK and USES of `scripts`. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pyvmiscsi.errors import HostError
from pyvmiscsi.model import DiskProof
from pyvmiscsi.units import SECTOR

_UNIT = 512
"""/sys/block/sdX/size counts these, whatever the disk's own blocks are (Documentation/ABI/stable/sysfs-block)."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a disk says it is."""

    serial: str
    size: int
    sector: int
    physical: int


def parse_identity(text: str) -> Identity:
    """The four lines of ASK; HostError when one is missing."""
    answers = dict(line.split("\t", 1) for line in text.splitlines() if "\t" in line)
    try:
        return Identity(
            serial=parse_serial_page(bytes.fromhex(answers["serial"])),
            size=int(answers["size"]) * _UNIT,
            sector=int(answers["logical_block_size"]),
            physical=int(answers["physical_block_size"]),
        )
    except (KeyError, ValueError) as error:
        raise HostError(f"sysfs does not tell what the disk is: {answers}") from error


def parse_serial_page(page: bytes) -> str:
    """The unit serial number of VPD page 80h (SPC-4 section 7.8.16), without the blanks and NULs that fill it up.

    Empty when there is no such page: the kernel then has an empty file, or none.
    """
    if len(page) < 4 or page[1] != 0x80:
        return ""
    return page[4 : 4 + int.from_bytes(page[2:4])].decode("ascii", errors="replace").strip(" \0")


def differences(proof: DiskProof, identity: Identity) -> Iterator[str]:
    """What the disk says otherwise than the record, in words."""
    if identity.serial != proof.serial.text:
        yield f"its serial is {identity.serial or 'empty'!r}, not {proof.serial.text!r}"
    if identity.size != proof.size.bytes:
        yield f"it has {identity.size} bytes, not {proof.size.bytes}"
    if identity.sector != proof.sector.bytes:
        yield f"its logical blocks have {identity.sector} bytes, not {proof.sector.bytes}"


def remedy(proof: DiskProof, identity: Identity) -> str:
    """What to do about a disk whose blocks are not 512 bytes; empty when they are."""
    if identity.sector == proof.sector.bytes or proof.sector != SECTOR:
        return ""
    return "guests need 512-byte blocks: make the extent anew with logical block size 512 and write its data again"


def uses_of(text: str, disks: Collection[str]) -> tuple[str, ...]:
    """Who has these disks (at least one) open, in words: mounts, swap, device-mapper, pools, processes. See USES.

    Not seen: what opened another node of the disk than the one in /dev, and what else the kernel itself has open
    without being its holder.
    """
    head, _, rest = text.partition("mounts\n")
    mounts, _, rest = rest.partition("swaps\n")
    swaps, _, rest = rest.partition("processes\n")
    processes, _, rest = rest.partition("files\n")
    files, _, pools = f"\n{rest}".partition("\npools\n")
    node = re.compile(rf"/dev/(?:{'|'.join(map(re.escape, disks))})[0-9]*")
    found: list[str] = []
    numbers: set[str] = set()
    for line in head.splitlines():
        match line.split("\t"):
            case ["held", disk, holder]:
                found.append(f"{disk} is part of {holder}")
            case ["number", _disk, number]:
                numbers.add(number)
            case ["loop", loop, path] if node.fullmatch(path):
                found.append(f"{path} is behind {loop}")
    found += (f"{source} is mounted on {place}" for source, place in _mounts(mounts, numbers, node))
    areas = (line.split()[0] for line in swaps.splitlines() if line.strip())
    found += (f"{path} is swap space" for path in areas if node.fullmatch(path))
    found += _pools(pools, node)
    families = _families(processes)
    for process, path in _open_files(files):
        family = families.get(process, ["which has ended"])
        if node.fullmatch(path) and _UDEV.isdisjoint(family):
            found.append(f"{path} is open by process {process} ({family[0]})")
    return tuple(dict.fromkeys(found))


_UDEV = frozenset({"(udev-worker)", "systemd-udevd", "udevd"})
"""They, and what they run (scsi_id, blkid), look into every disk that comes, and wait in there when its session is
lost at that moment (seen on Linux 6.1): nobody's use of it."""


def _families(text: str) -> dict[str, list[str]]:
    """Process id to its command's name, its parent's, and so on, from lines of /proc/<id>/stat (proc(5))."""
    named: dict[str, tuple[str, str]] = {}
    for line in text.splitlines():
        head, _, rest = line.rpartition(") ")
        process, _, name = head.partition(" (")
        named[process] = (name, [*rest.split(), "", ""][1])
    families: dict[str, list[str]] = {}
    for process in named:
        family, parent = list[str](), process
        while parent in named and len(family) < _ANCESTORS:
            name, parent = named[parent]
            family.append(name)
        families[process] = family
    return families


_ANCESTORS = 8  # far enough for what udev runs, and no end of a loop between two looks at /proc


def _mounts(text: str, numbers: set[str], node: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """Source and place of what is mounted from these devices (proc(5), mountinfo).

    By device number, and by name too: btrfs shows a number of its own.
    """
    for line in text.splitlines():
        fields, _, behind = line.partition(" - ")
        words, source = fields.split(), [*behind.split(), "", ""][1]
        if len(words) > 4 and (words[2] in numbers or node.fullmatch(source)):
            yield source, words[4]


def _pools(text: str, node: re.Pattern[str]) -> Iterator[str]:
    """Of which pools of OpenZFS a disk is part, by `zpool status -P -L` (zpool-status(8)); all that are imported."""
    pool = ""
    for line in text.splitlines():
        match line.split():
            case ["pool:", name]:
                pool = name
            case ["unknown:", *_]:
                yield "whether a pool of OpenZFS has it, zpool status does not tell"
            case [path, _, *_] if node.fullmatch(path):
                yield f"{path} is part of the pool {pool}"


def _open_files(text: str) -> Iterator[tuple[str, str]]:
    """Process id and path, from `ls -l /proc/[0-9]*/fd`."""
    process = ""
    for line in text.splitlines():
        heading = re.fullmatch(r"/proc/([0-9]+)/fd:", line)
        if heading:
            process = heading[1]
        elif " -> " in line:
            yield process, line.rpartition(" -> ")[2]
