"""A small disk that boots, made at the time of use from the distribution's own kernel, busybox and EFI stub.

    disk = build(Path("web1.img"), marker="web1-0001", behaviour="stay")

It boots from virtio-blk and nvme disks (the cloud kernel has no driver for AHCI) in 256 MiB of memory and more.
What the guest says on its serial console, a fact a line (`init.sh`):

    GUEST-UP uptime=2.13
    GUEST-DISK vda logical=512 physical=4096 bytes=67108864 serial=a09bb06e02fe-00 readonly=0
    GUEST-MARKER web1-0001 boot=1 from=/dev/vda2 behaviour=stay      read from the disk it booted from
    GUEST-WRITE ok                                                   wrote a block and read it back; or `refused`
    GUEST-READY button=/dev/input/event0                             stay, write and deaf only
    GUEST-BEAT 1 …                                                   stay: one a second, no disk I/O
    GUEST-WROTE 1 …                                                  write: a block three times a second; deaf: as
                                                                     well, and the power button is left to itself
    GUEST-IO-ERROR write errors=1                                    and the kernel's own lines
    GUEST-BUTTON, GUEST-DOWN poweroff|reboot
"""

from __future__ import annotations

import os
import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from pyvmiscsi.errors import InputError
from pyvmiscsi.lab.bootdisk.layout import MIB, Layout, line, partition_table
from pyvmiscsi.lab.bootdisk.parts import system_partition

__all__ = ["DEFAULT_SIZE", "Behaviour", "BootDisk", "build"]

Behaviour = Literal["poweroff", "reboot", "stay", "write", "deaf"]
"""After its report the guest powers off, reboots once and then powers off, stays up, or stays up and keeps writing."""

DEFAULT_SIZE = 64 * MIB
_SMALLEST = 36 * MIB


@dataclass(frozen=True, slots=True)
class BootDisk:
    """A disk image in a file: raw, sparse, `size` bytes, made for logical blocks of `sector` bytes."""

    path: Path
    size: int
    sector: int
    marker: str
    behaviour: Behaviour


def build(
    path: Path, *, marker: str, sector: int = 512, size: int = DEFAULT_SIZE, behaviour: Behaviour = "poweroff"
) -> BootDisk:
    """Write the image to `path` and answer what it is. The first time in a machine's life takes some seconds more.

    `marker` (1 to 64 letters, digits, `.`, `_`, `-`) is what the guest reads back and prints. Raises InputError for
    what cannot be, UnsupportedError naming the package when a program is missing.
    """
    if re.fullmatch(r"[A-Za-z0-9._-]{1,64}", marker) is None:
        raise InputError(f"boot disk marker {marker!r}: not 1 to 64 letters, digits, '.', '_' and '-'")
    if sector not in (512, 4096):
        raise InputError(f"boot disk sector {sector}: not 512 or 4096")
    if behaviour not in get_args(Behaviour):
        raise InputError(f"boot disk behaviour {behaviour!r}: not one of {', '.join(get_args(Behaviour))}")
    if size < _SMALLEST or size % MIB:
        raise InputError(f"boot disk size {size}: not a whole number of mebibytes from {_SMALLEST // MIB} up")
    layout = Layout(size, sector)
    partition = system_partition(layout.esp_size, sector)
    with path.open("wb") as image:
        image.truncate(size)
        for offset, piece in partition_table(layout, uuid.uuid5(uuid.NAMESPACE_OID, marker)):
            image.seek(offset)
            image.write(piece)
        _copy_sparse(partition, image.fileno(), layout.esp_start)
        image.seek(layout.line_start)
        image.write(line(marker, behaviour))
    return BootDisk(path, size, sector, marker, behaviour)


def _copy_sparse(source: Path, target: int, offset: int) -> None:
    """Copy a file into an open one at `offset`, leaving out the mebibytes that are all zero."""
    nothing = bytes(MIB)
    with source.open("rb") as file:
        for at, piece in enumerate(iter(lambda: file.read(MIB), b"")):
            if piece != nothing:
                os.pwrite(target, piece, offset + at * MIB)
