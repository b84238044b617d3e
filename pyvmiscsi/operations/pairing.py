"""Which disk of the nas a configuration's disk is: its serial tells. Pure.

Their numbers agree until a disk is removed: vm-bhyve counts disks without a gap, so that later ones get lower numbers
in the configuration, while on the nas every disk keeps its name.
"""

from __future__ import annotations

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.configuration.config import Disk, GuestConfig
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.names import DiskName, Iqn, Serial
from pyvmiscsi.operations.guests import GuestDisk, GuestRecord


def paired_disks(record: GuestRecord, config: GuestConfig) -> dict[int, GuestDisk]:
    """The LUNs of the configuration, by their number there, as the nas has them.

    A LUN whose serial no disk of the nas has is paired by its number, if that is left: then the two disagree.
    """
    luns = [disk for disk in config.disks if disk.is_lun]
    by_serial = {str(disk.extent.serial): disk for disk in record.disks if disk.extent}
    paired = {disk.number: by_serial[serial] for disk in luns if (serial := disk.shown_serial) in by_serial}
    left = {disk.name.number: disk for disk in record.disks if disk not in paired.values()}
    return paired | {
        disk.number: left[disk.number] for disk in luns if disk.number not in paired and disk.number in left
    }


def names_the_same(record: GuestRecord, config: GuestConfig) -> bool:
    """Whether every disk of the nas is a LUN of the configuration, and the other way round."""
    return len(paired_disks(record, config)) == len(record.disks) == sum(disk.is_lun for disk in config.disks)


def disk_name_of(disk: Disk, config: GuestConfig) -> DiskName:
    """What the nas calls a LUN of the configuration, told without the nas."""
    serial = disk.shown_serial
    named = Serial(serial).disk_of(config.uuid) if serial and config.uuid else None
    return named or DiskName(disk.number)


def target_key(place: DiskName) -> str:
    """The key of a configuration that tells a disk's target, where the guest's datastore does not."""
    return f"{place}_target"


def configured_targets(config: GuestConfig, conf: ConfText, datastore: DatastoreRecord) -> tuple[Iqn, ...]:
    """The targets of the guest's LUNs, told without any nas."""
    return tuple(
        Iqn.parse(told)
        if (told := conf.get(target_key(DiskName(disk.number))))
        else datastore.target_of(config.name, disk_name_of(disk, config))
        for disk in config.disks
        if disk.is_lun
    )
