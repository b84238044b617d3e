"""Rename: volumes, extents, targets, CHAP account, configuration and mark of a guest, all or nothing. Pure.

Where the nas can rename datasets, the guest's own moves (nested layout: in one call, with all below it; flat: each
volume). Elsewhere the volumes stay where they are, and the mark alone says the new name: marks decide, not paths.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from pyvmiscsi.errors import ConflictError
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.names import DatasetPath, DiskName, GuestName, Iqn
from pyvmiscsi.operations.anchors import anchor_at
from pyvmiscsi.operations.guests import GuestDisk, GuestMark, GuestRecord, owned_with, refuse_elsewhere, refuse_fellows
from pyvmiscsi.operations.scene import Scene
from pyvmiscsi.plan.handover import HandoverJournal, MoveJournal
from pyvmiscsi.plan.intent import Intent
from pyvmiscsi.plan.journal import Journal
from pyvmiscsi.plan.step import Plan, Step
from pyvmiscsi.steps.directories import DirectoryMoved, GuestDirectory
from pyvmiscsi.steps.exports import NobodyLoggedIn
from pyvmiscsi.steps.naming import CredentialNamed, ExtentChange, ExtentsNamed, MarksFollowed, Moved, TargetNamed
from pyvmiscsi.steps.seeds import Seed, SeedNamed
from pyvmiscsi.steps.sessions import DiskDetached

VERB = "rename"


@dataclass(frozen=True, slots=True)
class RenamedDisk:
    """A disk of the guest: its volume, its extent and its target, as they are and as they shall be."""

    extent: ExtentChange | None
    volume: DatasetPath
    new_volume: DatasetPath
    target: Iqn | None
    new_target: Iqn | None
    """None when it keeps its name."""

    def as_json(self) -> dict[str, Any]:
        return {
            "extent": self.extent.as_json() if self.extent else None,
            "volume": str(self.volume),
            "to": str(self.new_volume),
            "target": str(self.target) if self.target else None,
            "new_target": str(self.new_target) if self.new_target else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            extent=ExtentChange.from_json(data["extent"]) if data["extent"] else None,
            volume=DatasetPath.parse(data["volume"]),
            new_volume=DatasetPath.parse(data["to"]),
            target=Iqn.parse(data["target"]) if data["target"] else None,
            new_target=Iqn.parse(data["new_target"]) if data["new_target"] else None,
        )


@dataclass(frozen=True, slots=True)
class RenamedAccount:
    """The guest's CHAP account, if it bears the guest's name; with `peer` the name of the nas in it follows."""

    tag: int
    peer: bool


@dataclass(frozen=True, slots=True)
class RenameRequest:
    """A guest and its new name, with everything that bears the old one. `anchor` and `new_anchor` may be the same."""

    guest: GuestName
    new_name: GuestName
    uuid: UUID
    anchor: DatasetPath
    new_anchor: DatasetPath
    disks: tuple[RenamedDisk, ...]
    account: RenamedAccount | None
    configured: bool
    seeded: bool = False
    """Whether it has a CD for cloud-init, which tells its name."""

    @classmethod
    def of(
        cls,
        record: GuestRecord,
        new_name: GuestName,
        datastore: DatastoreRecord,
        *,
        place: str | None,
        account: RenamedAccount | None,
        configured: bool,
        seeded: bool = False,
    ) -> Self:
        """What the guest would be named; `place` is where its volumes go, None when they stay.

        InputError when a name would be too long; ConflictError when somebody else's extent offers a volume of it, or
        a target of it offers somebody else's extent.
        """
        refuse_elsewhere(record, "and would keep its name there")
        for disk in record.disks:
            refuse_fellows(record, disk)
            if place is not None and disk.other_extents:
                raise ConflictError(
                    f"volume {disk.volume.path}: also offered by extent {disk.other_extents[0]}",
                    hint="that extent would lose it: delete it on the nas first",
                )
        new_anchor = record.anchor if place is None else datastore.anchor_of(place)
        disks = tuple(_renamed(disk, record.name, new_name, datastore, place) for disk in record.disks)
        disks += tuple(_kept(name, record, datastore, place) for name in record.kept)
        return cls(record.name, new_name, record.uuid, record.anchor, new_anchor, disks, account, configured, seeded)

    @property
    def moves(self) -> bool:
        return self.anchor != self.new_anchor

    @property
    def extents(self) -> tuple[ExtentChange, ...]:
        return tuple(disk.extent for disk in self.disks if disk.extent)

    def as_json(self) -> dict[str, Any]:
        return {
            "guest": str(self.guest),
            "new_name": str(self.new_name),
            "uuid": str(self.uuid),
            "anchor": str(self.anchor),
            "new_anchor": str(self.new_anchor),
            "disks": [disk.as_json() for disk in self.disks],
            "account": [self.account.tag, self.account.peer] if self.account else None,
            "configured": self.configured,
            "seeded": self.seeded,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            guest=GuestName.parse(data["guest"]),
            new_name=GuestName.parse(data["new_name"]),
            uuid=UUID(data["uuid"]),
            anchor=DatasetPath.parse(data["anchor"]),
            new_anchor=DatasetPath.parse(data["new_anchor"]),
            disks=tuple(RenamedDisk.from_json(disk) for disk in data["disks"]),
            account=RenamedAccount(*data["account"]) if data["account"] else None,
            configured=bool(data["configured"]),
            seeded=bool(data.get("seeded")),
        )


def speaks_of(intent: Intent, path: DatasetPath) -> bool:
    """Whether the operation was told of this dataset or volume, of anything below it or of a snapshot of it."""
    return any(text == str(path) or text.startswith((f"{path}/", f"{path}@")) for text in _texts_in(intent.request))


def rename_plan(request: RenameRequest, datastore: DatastoreRecord, scene: Scene) -> Plan:
    """Log out everywhere, then one name after the other; every step can be undone, for no data is touched."""
    steps = (*_logout_steps(request, datastore, scene), *_naming_steps(request, datastore, scene))
    return Plan(VERB, f"{request.guest} to {request.new_name}", steps)


def rename_journal(request: RenameRequest, datastore: DatastoreRecord, scene: Scene) -> Journal:
    """The guest has its new name from the very call on that takes the intent away."""
    mark = GuestMark(request.guest, request.uuid, datastore.name)
    new_mark = GuestMark(request.new_name, request.uuid, datastore.name)
    anchor, of = anchor_at(request.anchor, datastore, scene), owned_with(request.guest, request.uuid, {})
    if not request.moves:
        return HandoverJournal(anchor, new_mark.as_marks(request.anchor), of=of)
    return MoveJournal(
        old=anchor,
        new=anchor_at(request.new_anchor, datastore, scene),
        before=mark.as_marks(request.anchor),
        meanwhile=mark.as_marks(request.anchor, moving_to=request.new_anchor),
        after=new_mark.as_marks(request.new_anchor),
        of=of,
    )


def _texts_in(value: object) -> Iterator[str]:
    """Every text in a JSON value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts_in(item)


def _renamed(
    disk: GuestDisk, guest: GuestName, new_name: GuestName, datastore: DatastoreRecord, place: str | None
) -> RenamedDisk:
    """Names that are not the guest's own, such as those of an adopted disk, stay."""
    path = disk.volume.path
    new_path = path if place is None else datastore.volume_of(place, disk.name)
    extent = None
    if disk.extent:
        name = disk.extent.name
        extent = ExtentChange(name, disk.name.of(new_name) if name == disk.name.of(guest) else name, path, new_path)
    target = disk.target.iqn if disk.target else None
    is_own = target == datastore.target_of(guest, disk.name)
    return RenamedDisk(extent, path, new_path, target, datastore.target_of(new_name, disk.name) if is_own else None)


def _kept(name: DiskName, record: GuestRecord, datastore: DatastoreRecord, place: str | None) -> RenamedDisk:
    """The volume of a disk that was removed, which nobody is offered."""
    path = datastore.volume_of(datastore.place_of(record.anchor), name)
    return RenamedDisk(None, path, path if place is None else datastore.volume_of(place, name), None, None)


def _logout_steps(request: RenameRequest, datastore: DatastoreRecord, scene: Scene) -> Iterator[Step]:
    targets = tuple(disk.target for disk in request.disks if disk.target)
    for host in scene.host_names(datastore):
        for target in targets:
            yield DiskDetached(scene.initiator(host), host, target)
    if targets:
        yield NobodyLoggedIn(scene.nas(datastore), targets)


def _naming_steps(request: RenameRequest, datastore: DatastoreRecord, scene: Scene) -> Iterator[Step]:
    nas = scene.nas(datastore)
    if request.moves:
        yield from _moving_steps(request, datastore, scene)
    elif request.extents:
        yield ExtentsNamed(nas, request.extents)
    for disk in request.disks:
        if disk.target and disk.new_target:
            yield TargetNamed(nas, disk.target, disk.new_target)
    if request.account:
        names = str(request.guest), str(request.new_name)
        yield CredentialNamed(nas, request.account.tag, *names, peer=request.account.peer)
    if request.configured:
        old, new = (
            GuestDirectory(f"{datastore.config_path}/{name}", str(name)) for name in (request.guest, request.new_name)
        )
        host = scene.host(scene.host_names(datastore)[0])
        yield DirectoryMoved(host, old, new, request.uuid)
        if request.seeded:
            yield SeedNamed(Seed(host, new.path), str(request.guest), str(request.new_name))


def _moving_steps(request: RenameRequest, datastore: DatastoreRecord, scene: Scene) -> Iterator[Step]:
    nas = scene.nas(datastore)
    if datastore.layout == "flat":
        for disk in request.disks:
            extents = (disk.extent,) if disk.extent else ()
            yield Moved(nas, disk.volume, disk.new_volume, request.uuid, extents)
    else:
        yield Moved(nas, request.anchor, request.new_anchor, request.uuid, request.extents)
        yield MarksFollowed(nas, request.anchor, request.new_anchor)
    for disk in request.disks:
        yield MarksFollowed(nas, disk.volume, disk.new_volume)
