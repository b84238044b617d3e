"""Destroy: everything of a guest goes, in the order that leaves no ghost; its marked anchor goes last. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from pyvmiscsi.errors import ConflictError
from pyvmiscsi.model import DatastoreRecord, Target, chap_tag_of
from pyvmiscsi.model import Mapping as LunMapping
from pyvmiscsi.names import DatasetPath, DiskName, GuestName, Iqn, Lun, SnapshotPath
from pyvmiscsi.operations.anchors import anchor_at
from pyvmiscsi.operations.guests import GuestDisk, GuestMark, GuestRecord, owned_with, refuse_elsewhere, refuse_fellows
from pyvmiscsi.operations.scene import Scene, datastore_of
from pyvmiscsi.plan.handover import HandoverJournal
from pyvmiscsi.plan.intent import mark
from pyvmiscsi.plan.journal import Journal, RemovalJournal
from pyvmiscsi.plan.step import Plan, Step
from pyvmiscsi.steps.clones import SnapshotForCopyGone
from pyvmiscsi.steps.configuration import ConfigurationGone
from pyvmiscsi.steps.exports import CredentialGone, ExtentGone, NobodyLoggedIn, TargetGone
from pyvmiscsi.steps.sessions import DiskDetached
from pyvmiscsi.steps.signature import KEPT, Signature
from pyvmiscsi.steps.snapshots import NoSnapshotLeft, NothingKeepsSnapshots
from pyvmiscsi.steps.volumes import VolumeGone

VERB = "destroy"


@dataclass(frozen=True, slots=True)
class DoomedDisk:
    """A disk of the guest and, should it have to be put back, its target as it was."""

    name: DiskName
    volume: DatasetPath
    extent: str
    target: Target
    mapping: LunMapping | None
    datastore: str | None = None
    """The one it is in, when that is not its guest's."""

    @classmethod
    def of(cls, guest: GuestName, disk: GuestDisk, datastore: DatastoreRecord) -> Self:
        extent = disk.extent.name if disk.extent else disk.name.of(guest)
        where = disk.datastore(datastore)
        target = disk.target or Target(where.target_of(guest, disk.name), where.portal_group)
        other = disk.elsewhere.name if disk.elsewhere else None
        return cls(disk.name, disk.volume.path, extent, target, disk.mapping, other)

    def as_json(self) -> dict[str, Any]:
        target = self.target
        data = {
            "disk": str(self.name),
            "volume": str(self.volume),
            "extent": self.extent,
            "iqn": str(target.iqn),
            "portal_group": target.portal_group,
            "initiator_group": target.initiator_group,
            "chap_tag": target.chap_tag,
            "mutual": target.mutual,
            "lun": self.mapping.lun.number if self.mapping else None,
        }
        return data | ({"datastore": self.datastore} if self.datastore else {})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        iqn = Iqn.parse(data["iqn"])
        target = Target(iqn, data["portal_group"], data["initiator_group"], data["chap_tag"], data["mutual"])
        lun = data["lun"]
        mapping = None if lun is None else LunMapping(iqn, data["extent"], Lun(lun))
        volume = DatasetPath.parse(data["volume"])
        return cls(DiskName.parse(data["disk"]), volume, data["extent"], target, mapping, data.get("datastore"))


@dataclass(frozen=True, slots=True)
class DestroyRequest:
    """A guest to destroy, by everything needed to find its parts, or to put back those that can be."""

    guest: GuestName
    anchor: DatasetPath
    uuid: UUID
    chap_tag: int
    """Of its account, if it has one: a target that is gone cannot tell any more."""
    disks: tuple[DoomedDisk, ...]
    origins: tuple[SnapshotPath, ...] = ()
    """What its disks are clones of: a snapshot that was taken for its sake goes with it."""
    keep_disks: bool = False
    """Whether the volumes stay, with their snapshots and marks that tell whose they were."""

    @classmethod
    def of(cls, record: GuestRecord, datastore: DatastoreRecord, *, keep_disks: bool = False) -> Self:
        """ConflictError when a volume was not made for this guest, or is offered by somebody else's extent too.

        Also when something below its dataset is no disk of it, for the dataset goes with the guest; and when a disk is
        not in the other datastore where its mark says that it is. RuleError to keep disks of which any is in another.
        """
        if keep_disks:
            refuse_elsewhere(record, "and nothing would tell there whose it was")
        refuse_lost(record)
        if record.strangers and not keep_disks:
            raise ConflictError(
                f"guest {record.name}: {record.strangers[0]} stands below its dataset, and is no disk of it",
                hint="move it or delete it on the nas, or keep the disks: then the dataset stays",
            )
        for disk in record.disks:
            refuse_others(record, disk)
        disks = tuple(DoomedDisk.of(record.name, disk, datastore) for disk in record.disks)
        tag = chap_tag_of(record.uuid) if record.chap_tag is None else record.chap_tag
        origins = {SnapshotPath.parse(disk.volume.origin) for disk in record.at_home if disk.volume.origin}
        return cls(record.name, record.anchor, record.uuid, tag, disks, tuple(sorted(origins, key=str)), keep_disks)

    @property
    def volumes(self) -> tuple[DatasetPath, ...]:
        """Those of the disks in the guest's own datastore, and the anchor, whichever it is."""
        return tuple(sorted({self.anchor, *(disk.volume for disk in self.disks if disk.datastore is None)}))

    def as_json(self) -> dict[str, Any]:
        return {
            "guest": str(self.guest),
            "anchor": str(self.anchor),
            "uuid": str(self.uuid),
            "chap_tag": self.chap_tag,
            "disks": [disk.as_json() for disk in self.disks],
            "origins": [str(origin) for origin in self.origins],
            "keep_disks": self.keep_disks,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        disks = tuple(DoomedDisk.from_json(disk) for disk in data["disks"])
        anchor = DatasetPath.parse(data["anchor"])
        return cls(
            GuestName.parse(data["guest"]),
            anchor,
            UUID(data["uuid"]),
            data["chap_tag"],
            disks,
            tuple(SnapshotPath.parse(origin) for origin in data["origins"]),
            bool(data["keep_disks"]),
        )


def refuse_lost(record: GuestRecord) -> None:
    """ConflictError when the guest's mark tells of a disk elsewhere that is not there: it would be left behind."""
    there = {disk.name for disk in record.disks}
    for name, datastore in sorted(record.mark.elsewhere.items()):
        if name not in there:
            raise ConflictError(
                f"guest {record.name}: {name} is not in datastore {datastore}, where it was put",
                hint=f"does the site file mean that datastore? if it is gone for good: "
                f"pyvmiscsi vm remove {record.name} {name}",
            )


def refuse_others(record: GuestRecord, disk: GuestDisk) -> None:
    """ConflictError when a disk's volume was not made for the guest, or somebody else's extent offers it too.

    Also when its target offers an extent that is no disk's of the guest: that would lose its target.
    """
    if disk.other_extents:
        raise ConflictError(
            f"volume {disk.volume.path}: also offered by extent {disk.other_extents[0]}",
            hint="somebody may use it: delete that extent on the nas first",
        )
    refuse_fellows(record, disk)
    signature = Signature.in_marks(disk.volume.path, disk.volume.marks)
    if disk.volume.path != record.anchor and (signature is None or signature.guest != record.uuid):
        raise ConflictError(
            f"volume {disk.volume.path}: it was not made for guest {record.name}, and would be deleted with it",
            hint="rename it on the nas, or delete it there",
        )


def destroy_plan(request: DestroyRequest, datastore: DatastoreRecord, scene: Scene) -> Plan:
    """Log out everywhere, withdraw the targets; from there on there is no way back."""
    nas = scene.nas(datastore)
    reversible = (*_withdrawing_steps(request, datastore, scene),)
    places = _places(request, datastore, scene)
    exports: tuple[Step, ...] = (
        *(ExtentGone(scene.nas(where), disk.extent, disk.volume) for where, disks in places for disk in disks),
        CredentialGone(nas, request.chap_tag, str(request.guest)),
        *(
            CredentialGone(scene.nas(where), request.chap_tag, str(request.guest), where.nas)
            for where in {where.nas: where for where, _ in places if where.nas != datastore.nas}.values()
        ),
    )
    volumes = () if request.keep_disks else _deleting_steps(request, datastore, scene)
    steps = (*reversible, *exports, *volumes, _configuration_step(request, datastore, scene))
    return Plan(VERB, str(request.guest), steps, no_return=len(reversible))


def destroy_journal(request: DestroyRequest, datastore: DatastoreRecord, scene: Scene) -> Journal:
    """The mark is set first; the object that carries it is removed last, or else is no guest's from then on."""
    elsewhere = {disk.name: disk.datastore for disk in request.disks if disk.datastore}
    anchor, of = anchor_at(request.anchor, datastore, scene), owned_with(request.guest, request.uuid, elsewhere)
    if not request.keep_disks:
        return RemovalJournal(anchor, of=of)
    guest = GuestMark(request.guest, request.uuid, datastore.name).as_marks(request.anchor)
    whose = {"guest": str(request.guest), "uuid": str(request.uuid), "datastore": datastore.name}
    return HandoverJournal(anchor, {**dict.fromkeys(guest), **mark(request.anchor, KEPT, whose)}, of=of)


def _withdrawing_steps(request: DestroyRequest, datastore: DatastoreRecord, scene: Scene) -> Iterator[Step]:
    places = _places(request, datastore, scene)
    if not request.keep_disks:
        yield NothingKeepsSnapshots(scene.nas(datastore), request.volumes)
        for where, disks in places[1:]:
            yield NothingKeepsSnapshots(scene.nas(where), tuple(disk.volume for disk in disks))
    for host in scene.host_names(datastore):
        for disk in request.disks:
            yield DiskDetached(scene.initiator(host), host, disk.target.iqn)
    for where, disks in places:
        if disks:
            yield NobodyLoggedIn(scene.nas(where), tuple(disk.target.iqn for disk in disks))
    for where, disks in places:
        for disk in disks:
            yield TargetGone(scene.nas(where), disk.target, (disk.mapping,) if disk.mapping else ())


def _places(
    request: DestroyRequest, datastore: DatastoreRecord, scene: Scene
) -> list[tuple[DatastoreRecord, tuple[DoomedDisk, ...]]]:
    """The datastores that hold its disks, its own first, and which each of them holds."""
    others = dict.fromkeys(disk.datastore for disk in request.disks if disk.datastore)
    names = (None, *others)
    return [
        (datastore_of(name, datastore, scene), tuple(disk for disk in request.disks if disk.datastore == name))
        for name in names
    ]


def _deleting_steps(request: DestroyRequest, datastore: DatastoreRecord, scene: Scene) -> Iterator[Step]:
    """Snapshots first: a task on the nas may have taken more of them since somebody looked."""
    above = None if datastore.layout == "flat" else request.anchor
    nas = scene.nas(datastore)
    own, *others = _places(request, datastore, scene)
    yield NoSnapshotLeft(nas, request.volumes, above)
    for where, disks in others:
        yield NoSnapshotLeft(scene.nas(where), tuple(disk.volume for disk in disks))
    for disk in own[1]:
        if disk.volume != request.anchor:
            yield VolumeGone(nas, disk.volume)
    for where, disks in others:
        for disk in disks:
            yield VolumeGone(scene.nas(where), disk.volume)
    for snapshot in _snapshots_for_its_sake(request, datastore):
        yield SnapshotForCopyGone(nas, snapshot, recursive=True, owner=request.uuid)


def _configuration_step(request: DestroyRequest, datastore: DatastoreRecord, scene: Scene) -> Step:
    host = scene.host(scene.host_names(datastore)[0])
    directory = f"{datastore.config_path}/{request.guest}"
    return ConfigurationGone(host, directory, str(request.guest), str(request.uuid))


def _snapshots_for_its_sake(request: DestroyRequest, datastore: DatastoreRecord) -> list[SnapshotPath]:
    """Of the other guest's dataset, if ever. Flat: its disk0 depends on it still, for that goes last of all."""
    if datastore.layout == "flat":
        return []
    found = {SnapshotPath(above, origin.name) for origin in request.origins if (above := origin.dataset.parent)}
    return sorted(found, key=str)
