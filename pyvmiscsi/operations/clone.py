"""Clone: a new guest whose disks begin as another's were at one moment; its identity is its own. Pure."""

from __future__ import annotations

import re
from uuid import UUID, uuid4

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.configuration.config import Disk
from pyvmiscsi.bhyve.configuration.config_text import parse_guest, write_guest
from pyvmiscsi.bhyve.configuration.keys import PASSWORD
from pyvmiscsi.bhyve.machine.loader import vars_file
from pyvmiscsi.errors import ConflictError, RuleError
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.names import DiskName, GuestName, SnapshotName, SnapshotPath
from pyvmiscsi.operations.copied_disk import CopiedDisk
from pyvmiscsi.operations.create import CreateRequest, SnapshotToTake
from pyvmiscsi.operations.first_boot import SeedToCopy, is_seed
from pyvmiscsi.operations.guests import GuestDisk, GuestRecord, refuse_elsewhere
from pyvmiscsi.operations.pairing import paired_disks
from pyvmiscsi.operations.snapshots import refuse_several_moments

VERB = "clone"

_IDENTITY = re.compile(r"uuid|network\d+_mac")
_DISK_OR_SLOT = re.compile(r"disk\d+_\w+|\w+_slot")


def clone_request(
    record: GuestRecord,
    conf: ConfText,
    conf_path: str,
    new: GuestName,
    datastore: DatastoreRecord,
    *,
    snapshot: SnapshotName | None = None,
    full: bool = False,
) -> CreateRequest:
    """What makes `new` of the guest as it was at the snapshot; without one, a snapshot is taken first.

    `conf`, which stands at `conf_path`, is the configuration as it was then. Slots are kept; uuid, MACs, serials,
    targets and the CHAP account are new. RuleError for a guest with other disks than LUNs, and for one whose disks
    cannot be kept at one moment; ConflictError when the configuration names a disk that the nas has not.
    """
    refuse_elsewhere(record, "and a nas clones only what it has")
    uuid = uuid4()
    disks = disks_of(record, conf)
    first = None
    if snapshot is None:
        refuse_several_moments(record, datastore)
        snapshot = snapshot_for(VERB, new.text, uuid)
        first = SnapshotToTake(SnapshotPath(record.anchor, snapshot), recursive=datastore.layout != "flat")
    return CreateRequest(
        guest=new,
        disks=tuple(copy_of(disk, snapshot, full=full, name=name) for name, disk in disks.items()),
        settings=settings_of_copy(record.name, conf),
        chap=record.chap_tag is not None,
        mutual=any(disk.target.mutual for disk in record.disks if disk.target),
        uuid=uuid,
        first=first,
        password_of=conf_path if conf.get(PASSWORD) else None,
        seed_of=_seed_of(record.name, conf),
        variables_of=vars_file(parse_guest(record.name, conf), f"{datastore.config_path}/{record.name}"),
    )


def disks_of(record: GuestRecord, conf: ConfText) -> dict[DiskName, GuestDisk]:
    """The LUNs that this configuration of the guest names, by their numbers there, as the nas has them now."""
    on_nas = paired_disks(record, parse_guest(record.name, conf))
    for disk in _luns(record.name, conf):
        if disk.number not in on_nas:
            raise ConflictError(f"guest {record.name}: its configuration names {disk.key}, which the nas has not")
    return {DiskName(number): on_nas[number] for number in sorted(on_nas)}


def copy_of(disk: GuestDisk, snapshot: SnapshotName, *, full: bool, name: DiskName | None = None) -> CopiedDisk:
    """A disk of the same kind, of the same name unless it gets another.

    A volume is never smaller than one of its snapshots: it only grows, and a rollback lets the newer ones go.
    """
    volume, source = disk.volume, SnapshotPath(disk.volume.path, snapshot)
    if not full:
        return CopiedDisk(name or disk.name, source)
    return CopiedDisk(name or disk.name, source, volume.size, True, volume.thick, volume.block_size)


def snapshot_for(verb: str, new: str, uuid: UUID) -> SnapshotName:
    """The name of a snapshot that is taken for a copy's sake, never that of another."""
    return SnapshotName.parse(f"{verb}-{new}-{uuid.hex[:8]}")


def settings_of_copy(guest: GuestName, conf: ConfText) -> dict[str, str]:
    """A guest's settings without what makes it this one: uuid, MACs, where its LUNs are. Slots are written down.

    RuleError for disks that cannot be copied on the nas, and that two guests cannot share.
    """
    luns = {disk.key for disk in _luns(guest, conf)}
    place = re.compile(f"({'|'.join(luns)})_(name|dev|size|serial)") if luns else None
    pairs = write_guest(parse_guest(guest, conf).pinned(), conf).pairs()
    return {
        key: value
        for key, value in pairs.items()
        if not _IDENTITY.fullmatch(key) and key != PASSWORD and not (place and place.fullmatch(key))
    }


def settings_for_image(conf: ConfText, disk: DiskName) -> dict[str, str]:
    """What a guest of this disk's image begins with: no disks but this one, as its disk0, and no slots."""
    pairs = conf.pairs()
    kept = {
        key: value
        for key, value in pairs.items()
        if not _IDENTITY.fullmatch(key) and not _DISK_OR_SLOT.fullmatch(key) and key != PASSWORD
    }
    ours = {f"disk0_{what}": pairs[f"{disk}_{what}"] for what in ("type", "opts") if f"{disk}_{what}" in pairs}
    return kept | ours


def _luns(guest: GuestName, conf: ConfText) -> list[Disk]:
    disks = parse_guest(guest, conf).disks
    for disk in disks:
        if not disk.is_lun and not _can_be_shared(disk):
            raise RuleError(
                f"guest {guest}: {disk.key} is {disk.name}, which is no LUN, and is not copied",
                hint="take it out of the configuration first, and give the copy one of its own",
            )
    return [disk for disk in disks if disk.is_lun]


def _can_be_shared(disk: Disk) -> bool:
    """A CD's image, by a path that means the same to every guest, or one that the copy gets of its own."""
    return disk.emulation == "ahci-cd" and (disk.name.startswith("/") or is_seed(disk))


def _seed_of(guest: GuestName, conf: ConfText) -> SeedToCopy | None:
    config = parse_guest(guest, conf)
    if not any(is_seed(disk) for disk in config.disks):
        return None
    return SeedToCopy(str(guest), tuple(str(one.mac) if one.mac else None for one in config.networks))
