"""The trash: park a guest, bring it back, or let it go for good. Pure.

A parked guest is its volumes and their snapshots, where they always stood, under a mark that says what it takes to make
a guest of them again, and until when they are wanted; its directory waits below `<config path>/.trash`. Nothing else of
it is left: its name is free, and nobody can log in to its disks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from pyvmiscsi.model import DatastoreRecord, Extent
from pyvmiscsi.model import Mapping as LunMapping
from pyvmiscsi.names import DatasetPath, GuestName, Iqn, Serial, SnapshotPath
from pyvmiscsi.operations.anchors import anchor_at
from pyvmiscsi.operations.destroy import DestroyRequest
from pyvmiscsi.operations.guests import TRASH, GuestMark, GuestRecord, owned_with
from pyvmiscsi.operations.parked import Parked, ParkedDisk
from pyvmiscsi.operations.scene import Scene
from pyvmiscsi.plan.handover import HandoverJournal
from pyvmiscsi.plan.journal import Owner, RemovalJournal
from pyvmiscsi.plan.step import Plan, Step
from pyvmiscsi.ports import Host
from pyvmiscsi.steps.announced import Announced
from pyvmiscsi.steps.clones import SnapshotForCopyGone
from pyvmiscsi.steps.directories import DirectoryGone, DirectoryMoved, GuestDirectory
from pyvmiscsi.steps.exports import (
    CredentialExists,
    CredentialGone,
    ExtentExists,
    ExtentGone,
    MappingExists,
    NobodyLoggedIn,
    TargetExists,
    TargetGone,
)
from pyvmiscsi.steps.seeds import Seed, SeedNamed
from pyvmiscsi.steps.sessions import DiskDetached
from pyvmiscsi.steps.signature import Signature
from pyvmiscsi.steps.snapshots import NoSnapshotLeft, NothingKeepsSnapshots
from pyvmiscsi.steps.volumes import VolumeGone

PARK, RESTORE, EMPTY = "park", "restore", "empty-trash"


@dataclass(frozen=True, slots=True)
class ParkRequest:
    """A guest for the trash."""

    anchor: DatasetPath
    parked: Parked

    @classmethod
    def of(cls, record: GuestRecord, datastore: DatastoreRecord, *, until: datetime, configured: bool) -> Self:
        """ConflictError when a volume was not made for this guest, or is offered by somebody else's extent too."""
        doomed = DestroyRequest.of(record, datastore, keep_disks=True).disks
        serials = (
            disk.extent.serial if disk.extent else Serial.of_disk(record.uuid, disk.name) for disk in record.disks
        )
        disks = tuple(ParkedDisk(was, serial) for was, serial in zip(doomed, serials, strict=True))
        return cls(record.anchor, Parked(record.name, record.uuid, datastore.name, until, disks, configured))

    def as_json(self) -> dict[str, Any]:
        return {"anchor": str(self.anchor), "parked": self.parked.as_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(DatasetPath.parse(data["anchor"]), Parked.from_json(data["parked"]))


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """A parked guest to bring back, under this name."""

    anchor: DatasetPath
    parked: Parked
    guest: GuestName
    seeded: bool = False
    """Whether it has a CD for cloud-init that tells another name."""

    def as_json(self) -> dict[str, Any]:
        data = {"anchor": str(self.anchor), "parked": self.parked.as_json(), "guest": str(self.guest)}
        return data | {"seeded": self.seeded}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        anchor = DatasetPath.parse(data["anchor"])
        guest, seeded = GuestName.parse(data["guest"]), bool(data.get("seeded"))
        return cls(anchor, Parked.from_json(data["parked"]), guest, seeded)

    def targets(self, datastore: DatastoreRecord) -> tuple[Iqn, ...]:
        return tuple(disk.target_of(self.parked.guest, self.guest, datastore) for disk in self.parked.disks)

    @property
    def extents(self) -> tuple[str, ...]:
        return tuple(disk.extent_of(self.parked.guest, self.guest) for disk in self.parked.disks)


@dataclass(frozen=True, slots=True)
class EmptyRequest:
    """A parked guest to let go for good."""

    anchor: DatasetPath
    parked: Parked
    origins: tuple[SnapshotPath, ...]

    @property
    def volumes(self) -> tuple[DatasetPath, ...]:
        return tuple(sorted({self.anchor, *(disk.was.volume for disk in self.parked.disks)}))

    def as_json(self) -> dict[str, Any]:
        origins = [str(origin) for origin in self.origins]
        return {"anchor": str(self.anchor), "parked": self.parked.as_json(), "origins": origins}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        origins = tuple(SnapshotPath.parse(origin) for origin in data["origins"])
        return cls(DatasetPath.parse(data["anchor"]), Parked.from_json(data["parked"]), origins)


def park_plan(request: ParkRequest, datastore: DatastoreRecord, scene: Scene) -> Plan:
    """Log out everywhere, withdraw the targets, put the directory away; only then go extents and the CHAP account."""
    nas, parked = scene.nas(datastore), request.parked
    targets = tuple(disk.was.target for disk in parked.disks)
    reversible: list[Step] = [
        DiskDetached(scene.initiator(host), host, target.iqn)
        for host in scene.host_names(datastore)
        for target in targets
    ]
    if targets:
        reversible.append(NobodyLoggedIn(nas, tuple(target.iqn for target in targets)))
    for disk in parked.disks:
        reversible.append(TargetGone(nas, disk.was.target, (disk.was.mapping,) if disk.was.mapping else ()))
    if parked.configured:
        here = GuestDirectory(f"{datastore.config_path}/{parked.guest}", str(parked.guest))
        reversible.append(DirectoryMoved(_host(datastore, scene), here, put_away(parked, datastore), parked.uuid))
    steps: list[Step] = [ExtentGone(nas, disk.was.extent, disk.was.volume) for disk in parked.disks]
    if parked.chap_tag is not None:
        steps.append(CredentialGone(nas, parked.chap_tag, str(parked.guest)))
    no_return = len(reversible) if steps else None
    return Plan(PARK, str(parked.guest), (*reversible, *steps), no_return=no_return)


def park_journal(request: ParkRequest, datastore: DatastoreRecord, scene: Scene) -> HandoverJournal:
    """It is no guest's any more from the very call on that takes the intent away."""
    parked, anchor = request.parked, request.anchor
    guest = GuestMark(parked.guest, parked.uuid, parked.datastore).as_marks(anchor)
    owner = {**dict.fromkeys(guest), **parked.as_marks(anchor)}
    return HandoverJournal(anchor_at(anchor, datastore, scene), owner, of=owned_with(parked.guest, parked.uuid, {}))


def restore_plan(request: RestoreRequest, datastore: DatastoreRecord, scene: Scene, operation: str) -> Plan:
    """As a create with volumes that are there: a new CHAP secret, the serials of old; every step can be undone."""
    nas, parked, guest = scene.nas(datastore), request.parked, request.guest
    steps: list[Step] = []
    if parked.chap_tag is not None:
        steps.append(CredentialExists(nas, parked.chap_tag, str(guest), parked.mutual))
    for disk in parked.disks:
        iqn, extent = disk.target_of(parked.guest, guest, datastore), disk.extent_of(parked.guest, guest)
        lun = disk.was.mapping.lun if disk.was.mapping else datastore.lun
        steps += (
            TargetExists(nas, replace(disk.was.target, iqn=iqn), extent),
            ExtentExists(nas, Extent(extent, disk.was.volume, disk.serial), Signature(parked.uuid, operation)),
            MappingExists(nas, LunMapping(iqn, extent, lun), parked.uuid),
        )
    if parked.configured:
        there = GuestDirectory(f"{datastore.config_path}/{guest}", str(guest))
        steps.append(DirectoryMoved(_host(datastore, scene), put_away(parked, datastore), there, parked.uuid))
        if request.seeded:
            steps.append(SeedNamed(Seed(_host(datastore, scene), there.path), str(parked.guest), str(guest)))
    return Plan(RESTORE, str(guest), tuple(steps))


def restore_journal(request: RestoreRequest, datastore: DatastoreRecord, scene: Scene) -> HandoverJournal:
    """It is a guest again from the very call on that takes the intent away."""
    anchor = request.anchor
    guest = GuestMark(request.guest, request.parked.uuid, datastore.name).as_marks(anchor)
    owner = {**dict.fromkeys(request.parked.as_marks(anchor)), **guest}
    return HandoverJournal(anchor_at(anchor, datastore, scene), owner, of=_still_parked(request.parked))


def empty_plan(request: EmptyRequest, datastore: DatastoreRecord, scene: Scene, operation: str) -> Plan:
    """What keeps a snapshot refuses it; from the first snapshot on there is no way back.

    It is announced: a guest that has lost one snapshot of several looks like one that never had it.
    """
    nas, parked = scene.nas(datastore), request.parked
    nested = datastore.layout != "flat"
    steps: list[Step] = [
        NothingKeepsSnapshots(nas, request.volumes),
        Announced(nas, request.anchor, f"end of parked guest {parked.guest}", operation, ends=True),
        NoSnapshotLeft(nas, request.volumes, request.anchor if nested else None),
    ]
    steps += [VolumeGone(nas, volume) for volume in request.volumes if volume != request.anchor]
    if nested:
        steps += [
            SnapshotForCopyGone(nas, SnapshotPath(above, origin.name), recursive=True, owner=parked.uuid)
            for origin in request.origins
            if (above := origin.dataset.parent)
        ]
    if parked.configured:
        steps.append(DirectoryGone(_host(datastore, scene), put_away(parked, datastore), parked.uuid))
    return Plan(EMPTY, str(parked.guest), tuple(steps), no_return=1)


def empty_journal(request: EmptyRequest, datastore: DatastoreRecord, scene: Scene) -> RemovalJournal:
    """The mark is set first; the object that carries it is removed last."""
    return RemovalJournal(anchor_at(request.anchor, datastore, scene), of=_still_parked(request.parked))


def _still_parked(parked: Parked) -> Owner:
    """Somebody who was asked whether to let it go may answer long after it was restored, or parked for longer."""
    content = parked.as_json()
    return Owner(TRASH, {key: content[key] for key in ("uuid", "until")})


def put_away(parked: Parked, datastore: DatastoreRecord) -> GuestDirectory:
    """vm-bhyve takes `NAME/NAME.conf` in its directory for a guest (freebsd.md 5.1), and sees none in `.trash`."""
    return GuestDirectory(f"{datastore.config_path}/.trash/{parked.label}", str(parked.guest))


def _host(datastore: DatastoreRecord, scene: Scene) -> Host:
    return scene.host(scene.host_names(datastore)[0])
