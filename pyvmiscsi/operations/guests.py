"""Which guests a datastore holds, read from what its nas shows. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping as _Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self
from uuid import UUID

from pyvmiscsi.errors import ConflictError, InputError, RuleError
from pyvmiscsi.model import (
    DatastoreRecord,
    DiskProof,
    Extent,
    Inventory,
    Mapping,
    Marks,
    NasSession,
    Target,
    Volume,
)
from pyvmiscsi.names import DatasetPath, DiskName, GuestName, Iqn, LunAddress
from pyvmiscsi.plan.intent import PREFIX, Intent, mark, read_intents, read_mark
from pyvmiscsi.plan.journal import Owner
from pyvmiscsi.steps.elsewhere import ELSEWHERE
from pyvmiscsi.steps.signature import KEPT, Signature

TRASH = "trash"
"""The mark of an anchor whose guest was parked."""


@dataclass(frozen=True, slots=True)
class GuestMark:
    """What stays on a guest's anchor for as long as the guest lives: its name, its uuid, its datastore."""

    guest: GuestName
    uuid: UUID
    datastore: str
    elsewhere: _Mapping[DiskName, str] = field(default_factory=dict)
    """The datastores of those of its disks that are not in this one."""

    def as_marks(self, anchor: DatasetPath, *, moving_to: DatasetPath | None = None) -> dict[str, str]:
        content: dict[str, Any] = {"guest": str(self.guest), "uuid": str(self.uuid), "datastore": self.datastore}
        if self.elsewhere:
            content[ELSEWHERE] = {str(disk): datastore for disk, datastore in self.elsewhere.items()}
        return mark(anchor, "guest", content, moving_to=moving_to)

    @classmethod
    def in_marks(cls, anchor: DatasetPath, marks: Marks) -> Self | None:
        content = read_mark(anchor, "guest", marks)
        if content is None:
            return None
        try:
            elsewhere = {DiskName.parse(disk): str(name) for disk, name in content.get(ELSEWHERE, {}).items()}
            return cls(GuestName.parse(content["guest"]), UUID(content["uuid"]), str(content["datastore"]), elsewhere)
        except (KeyError, ValueError):
            return None


def owned_by(guest: GuestName | str, uuid: UUID | None = None) -> Owner:
    """What an anchor must say when an operation on this guest begins."""
    return Owner("guest", {"guest": str(guest)} | ({"uuid": str(uuid)} if uuid else {}))


def owned_with(guest: GuestName, uuid: UUID, elsewhere: _Mapping[DiskName, str]) -> Owner:
    """The same, and of no other disks in other datastores than these: for what ends the mark, or writes it anew."""
    told = {str(disk): datastore for disk, datastore in elsewhere.items()}
    return Owner("guest", {"guest": str(guest), "uuid": str(uuid), ELSEWHERE: told or None})


def is_a_guests(anchor: DatasetPath, marks: Marks) -> bool:
    """Whether a guest's volumes stand there: of whatever name it has by now, in the trash, or kept without it."""
    kept = any(read_mark(anchor, name, marks) is not None for name in (TRASH, KEPT))
    return kept or GuestMark.in_marks(anchor, marks) is not None


@dataclass(frozen=True, slots=True)
class GuestDisk:
    """A disk as far as the nas has it: a half-made one lacks what is not there yet."""

    name: DiskName
    volume: Volume
    extent: Extent | None = None
    target: Target | None = None
    mapping: Mapping | None = None
    sessions: tuple[NasSession, ...] = ()
    other_extents: tuple[str, ...] = ()
    """Names of further extents that offer the same volume: nobody should have made them."""
    fellows: tuple[str, ...] = ()
    """Names of further extents that its target offers: an administrator gave it more LUNs, or it is another's."""
    elsewhere: DatastoreRecord | None = None
    """The datastore it is in, when that is not its guest's."""

    def datastore(self, home: DatastoreRecord) -> DatastoreRecord:
        """The datastore it is in; its guest's is `home`."""
        return self.elsewhere or home

    def proof(self, home: DatastoreRecord) -> DiskProof:
        """What the disk must show when a host attaches it; ConflictError naming what the nas lacks."""
        if self.extent is None or self.target is None or self.mapping is None:
            lacking = "extent" if self.extent is None else "target" if self.target is None else "mapping"
            raise ConflictError(
                f"volume {self.volume.path}: the nas has no {lacking} for it", hint="see pyvmiscsi ops list"
            )
        address = LunAddress(self.datastore(home).portal, self.target.iqn, self.mapping.lun)
        return DiskProof(address, self.extent.serial, self.volume.size)


@dataclass(frozen=True, slots=True)
class GuestRecord:
    """A guest as its nas shows it."""

    mark: GuestMark
    anchor: DatasetPath
    disks: tuple[GuestDisk, ...]
    intents: tuple[Intent, ...]
    kept: tuple[DiskName, ...] = ()
    """Disks that were removed while their volumes stayed: their names are not free."""
    strangers: tuple[DatasetPath, ...] = ()
    """What else stands below its dataset, kept volumes among it: the dataset cannot go while they are there."""

    @property
    def name(self) -> GuestName:
        """As its mark says; where its volumes stand may tell of another name it once had."""
        return self.mark.guest

    @property
    def uuid(self) -> UUID:
        return self.mark.uuid

    @property
    def at_home(self) -> tuple[GuestDisk, ...]:
        """The disks that are in the guest's own datastore."""
        return tuple(disk for disk in self.disks if disk.elsewhere is None)

    @property
    def chap_tag(self) -> int | None:
        return next((disk.target.chap_tag for disk in self.disks if disk.target), None)


def clones_of(volume: DatasetPath, inventory: Inventory) -> tuple[Volume, ...]:
    """The volumes in the inventory that began as a snapshot of this one: while there is one, it cannot be deleted."""
    return tuple(other for other in inventory.volumes if (other.origin or "").startswith(f"{volume}@"))


def guest_records(datastore: DatastoreRecord, inventory: Inventory) -> tuple[GuestRecord, ...]:
    """Every guest whose mark stands in the inventory, by name: the mark decides, not the path."""
    anchors = inventory.volumes if datastore.layout == "flat" else inventory.datasets
    marked = {
        anchor.path: (mark, read_intents(anchor.path, anchor.marks))
        for anchor in anchors
        if (mark := GuestMark.in_marks(anchor.path, anchor.marks)) is not None
    }
    guests = {path: mark.guest for path, (mark, _) in marked.items()}
    disks, kept = _disks_by_anchor(datastore, inventory, guests)
    strangers = _strangers(inventory, guests, disks)
    records = [
        GuestRecord(mark, path, tuple(disks[path]), intents, tuple(sorted(kept[path])), tuple(strangers[path]))
        for path, (mark, intents) in marked.items()
    ]
    return tuple(sorted(records, key=lambda record: record.name))


def _disks_by_anchor(
    datastore: DatastoreRecord, inventory: Inventory, guests: dict[DatasetPath, GuestName]
) -> tuple[dict[DatasetPath, list[GuestDisk]], dict[DatasetPath, list[DiskName]]]:
    """Each guest's disks, and the names of those whose volumes stayed when they were removed."""
    exports = _Exports(inventory)
    disks: defaultdict[DatasetPath, list[GuestDisk]] = defaultdict(list)
    kept: defaultdict[DatasetPath, list[DiskName]] = defaultdict(list)
    for volume in inventory.volumes:
        place = _place_of(datastore, volume.path)
        if place is None or place[0] not in guests:
            continue
        anchor, name = place
        if f"{PREFIX}{KEPT}" in volume.marks:  # no guest's anchor bears it: it is the volume's own, wherever it stands
            kept[anchor].append(name)
            continue
        disks[anchor].append(exports.disk(guests[anchor], name, volume, datastore))
    for found in disks.values():
        found.sort(key=lambda disk: disk.name)
    return disks, kept


class _Exports:
    """What offers the volumes of an inventory."""

    def __init__(self, inventory: Inventory) -> None:
        self._extents: defaultdict[DatasetPath, list[Extent]] = defaultdict(list)
        for extent in inventory.extents:
            self._extents[extent.volume].append(extent)
        self._mappings = {mapping.extent: mapping for mapping in inventory.mappings}
        self._offered: defaultdict[Iqn, list[str]] = defaultdict(list)
        for mapping in inventory.mappings:
            self._offered[mapping.target].append(mapping.extent)
        self._targets = {target.iqn: target for target in inventory.targets}
        self._sessions: defaultdict[Iqn, list[NasSession]] = defaultdict(list)
        for session in inventory.sessions:
            self._sessions[session.target].append(session)

    def disk(self, guest: GuestName, name: DiskName, volume: Volume, datastore: DatastoreRecord) -> GuestDisk:
        offered = sorted(self._extents[volume.path], key=lambda extent: extent.name != name.of(guest))
        own, others = (offered[0], offered[1:]) if offered else (None, [])
        mapping = self._mappings.get(own.name) if own else None
        target = self._targets.get(mapping.target if mapping else datastore.target_of(guest, name))
        logins = tuple(self._sessions[target.iqn]) if target else ()
        rivals = tuple(extent.name for extent in others)
        shown = self._offered[target.iqn] if target else []
        fellows = tuple(sorted(extent for extent in shown if own is None or extent != own.name))
        return GuestDisk(name, volume, own, target, mapping, logins, rivals, fellows)


def with_visitors(record: GuestRecord, datastore: DatastoreRecord, inventory: Inventory) -> GuestRecord:
    """The guest with those of its disks, too, that this other datastore holds: its mark names them, each is signed."""
    exports, names = _Exports(inventory), {one for one, name in record.mark.elsewhere.items() if name == datastore.name}
    found = (
        replace(exports.disk(record.name, name, volume, datastore), elsewhere=datastore)
        for volume in inventory.volumes
        if (name := _visitor(record.uuid, volume, datastore)) in names and name is not None
    )
    return replace(record, disks=tuple(sorted((*record.disks, *found), key=lambda disk: disk.name)))


def _visitor(uuid: UUID, volume: Volume, datastore: DatastoreRecord) -> DiskName | None:
    """Which disk of that guest a volume is, which lives in another datastore; None when it is none."""
    signature = Signature.in_marks(volume.path, volume.marks)
    place, _, disk = volume.path.leaf.rpartition("-")
    if volume.path.parent != datastore.parent or signature is None or signature.guest != uuid:
        return None
    try:
        return DiskName.parse(disk) if place.endswith(f"-{uuid.hex[:8]}") else None
    except InputError:
        return None


def refuse_elsewhere(record: GuestRecord, why: str) -> None:
    """RuleError, naming the disk, for a guest with a disk in another datastore."""
    for disk, datastore in sorted(record.mark.elsewhere.items()):
        raise RuleError(
            f"guest {record.name}: {disk} is in datastore {datastore}, {why}",
            hint="of a guest whose disks are all in its own datastore, that can be done",
        )


def refuse_fellows(record: GuestRecord, disk: GuestDisk) -> None:
    """ConflictError when a disk's target offers an extent that is no disk's of the guest."""
    own = {other.extent.name for other in record.disks if other.extent}
    for extent in disk.fellows:
        if extent not in own and disk.target:
            raise ConflictError(
                f"target {disk.target.iqn}: it offers extent {extent} too, which is not {record.name}'s",
                hint="give that extent another target on the nas first",
            )


def _strangers(
    inventory: Inventory, guests: dict[DatasetPath, GuestName], disks: dict[DatasetPath, list[GuestDisk]]
) -> defaultdict[DatasetPath, list[DatasetPath]]:
    """What stands below the guests' datasets and is no disk of theirs."""
    own = {disk.volume.path for some in disks.values() for disk in some}
    strangers: defaultdict[DatasetPath, list[DatasetPath]] = defaultdict(list)
    found = {dataset.path for dataset in inventory.datasets} | {volume.path for volume in inventory.volumes}
    for path in sorted(found - own):
        above = path.parent
        while above is not None and above not in guests:
            above = above.parent
        if above is not None:
            strangers[above].append(path)
    return strangers


def _place_of(datastore: DatastoreRecord, volume: DatasetPath) -> tuple[DatasetPath, DiskName] | None:
    """The anchor and the disk that a volume's path speaks of; None when it is no guest's."""
    separator = "-" if datastore.layout == "flat" else "/"
    below = volume.text.removeprefix(f"{datastore.parent}/")
    place, found, disk_text = below.rpartition(separator)
    try:
        disk = DiskName.parse(disk_text)
    except InputError:
        return None
    return (datastore.anchor_of(place), disk) if found and "/" not in place and below != volume.text else None
