"""What the kernel prints on its console about disks (transcripts b-states, g-remove). Pure."""

from __future__ import annotations

from pyvmiscsi.lab.hypervisor.kernel.lun import Lun


def address(da: str, session: int, lun: int) -> str:
    """`(da0:iscsi1:0:0:1)`; the LUN is hexadecimal."""
    return f"({da}:iscsi{session}:0:0:{lun:x})"


def announced(da: str, session: int, scbus: int, lun: Lun) -> tuple[str, ...]:
    """The lines of a disk that has appeared."""
    return (
        f"{da} at iscsi{session} bus 0 scbus{scbus} target 0 lun {lun.lun:x}",
        f"{da}: <{lun.full_name}> Fixed Direct Access {lun.specification} SCSI device",
        *((f"{da}: Serial Number {lun.serial}",) if lun.serial else ()),
        f"{da}: 150.000MB/s transfers",
        f"{da}: Command Queueing enabled",
        f"{da}: {lun.size >> 20}MB ({lun.sectors} {lun.sector} byte sectors)",
    )


def detached(da: str, session: int, scbus: int, lun: Lun) -> tuple[str, ...]:
    """The lines of a disk that has gone; two blanks before the serial."""
    serial = f" s/n {lun.serial}" if lun.serial else ""
    return (
        f"{da} at iscsi{session} bus 0 scbus{scbus} target 0 lun {lun.lun:x}",
        f"{da}: <{lun.full_name}> {serial} detached",
    )
