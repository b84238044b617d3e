"""Snapshot a guest, forget a snapshot, roll back to one: all disks of the guest, or none. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pyvmiscsi.errors import RuleError
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.names import DatasetPath, GuestName, Iqn, SnapshotName
from pyvmiscsi.operations.guests import GuestRecord, refuse_elsewhere
from pyvmiscsi.operations.scene import Scene
from pyvmiscsi.plan.step import Plan, Step
from pyvmiscsi.ports import Host
from pyvmiscsi.steps.announced import Announced
from pyvmiscsi.steps.configuration import ConfigurationKept, ConfigurationRestored, KeptConfigurationGone
from pyvmiscsi.steps.exports import NobodyLoggedIn
from pyvmiscsi.steps.running import NobodyStarts
from pyvmiscsi.steps.sessions import DiskDetached
from pyvmiscsi.steps.snapshots import Expiry, SnapshotExists, SnapshotGone, VolumeRolledBack
from pyvmiscsi.units import Size

SNAPSHOT, FORGET, ROLLBACK = "snapshot", "forget-snapshot", "rollback"


@dataclass(frozen=True, slots=True)
class SnapshotRequest:
    """A snapshot of a guest: to take, or to forget."""

    guest: GuestName
    anchor: DatasetPath
    uuid: UUID
    name: SnapshotName
    expiry: Expiry | None = None
    """Until when it is to be kept, if that is known when it is taken."""

    def as_json(self) -> dict[str, Any]:
        return {
            "guest": str(self.guest),
            "anchor": str(self.anchor),
            "uuid": str(self.uuid),
            "name": str(self.name),
            "expiry": self.expiry.as_json() if self.expiry else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            guest=GuestName.parse(data["guest"]),
            anchor=DatasetPath.parse(data["anchor"]),
            uuid=UUID(data["uuid"]),
            name=SnapshotName.parse(data["name"]),
            expiry=Expiry.from_json(data["expiry"]) if data["expiry"] else None,
        )


@dataclass(frozen=True, slots=True)
class RollbackRequest:
    """A guest to roll back, its volumes and targets, and the newer snapshots that go."""

    guest: GuestName
    anchor: DatasetPath
    uuid: UUID
    name: SnapshotName
    volumes: tuple[tuple[DatasetPath, Size], ...]
    """Each with the size that it has, and keeps."""
    targets: tuple[Iqn, ...]
    newer: tuple[tuple[DatasetPath, SnapshotName], ...] = ()
    configuration: bool = False
    """Whether the configuration becomes what it was then, too."""

    @classmethod
    def of(
        cls,
        record: GuestRecord,
        name: SnapshotName,
        newer: tuple[tuple[DatasetPath, SnapshotName], ...],
        *,
        configuration: bool,
    ) -> Self:
        volumes = tuple((disk.volume.path, disk.volume.size) for disk in record.disks)
        targets = tuple(disk.target.iqn for disk in record.disks if disk.target)
        return cls(record.name, record.anchor, record.uuid, name, volumes, targets, newer, configuration)

    def as_json(self) -> dict[str, Any]:
        return {
            "guest": str(self.guest),
            "anchor": str(self.anchor),
            "uuid": str(self.uuid),
            "name": str(self.name),
            "volumes": [[str(volume), size.bytes] for volume, size in self.volumes],
            "targets": [str(target) for target in self.targets],
            "newer": [f"{path}@{name}" for path, name in self.newer],
            "configuration": self.configuration,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            guest=GuestName.parse(data["guest"]),
            anchor=DatasetPath.parse(data["anchor"]),
            uuid=UUID(data["uuid"]),
            name=SnapshotName.parse(data["name"]),
            volumes=tuple((DatasetPath.parse(volume), Size(size)) for volume, size in data["volumes"]),
            targets=tuple(Iqn.parse(target) for target in data["targets"]),
            newer=tuple(_snapshot_of(text) for text in data["newer"]),
            configuration=bool(data["configuration"]),
        )


def default_name(now: datetime) -> SnapshotName:
    """vm-bhyve's: `2026-11-22-10:00:00` (freebsd.md 5.5)."""
    return SnapshotName.parse(now.strftime("%Y-%m-%d-%H:%M:%S"))


def snapshot_plan(request: SnapshotRequest, datastore: DatastoreRecord, scene: Scene) -> Plan:
    """The configuration is kept first, so that no snapshot is without one; both steps can be undone."""
    directory = _directory(request.guest, datastore)
    kept = ConfigurationKept(_host(datastore, scene), directory, str(request.guest), str(request.name))
    taken = SnapshotExists(scene.nas(datastore), *_place(request, datastore), expiry=request.expiry)
    return Plan(SNAPSHOT, f"{request.guest}@{request.name}", (kept, taken))


def forget_plan(request: SnapshotRequest, datastore: DatastoreRecord, scene: Scene) -> Plan:
    """There is no way back from the first step on."""
    gone = SnapshotGone(scene.nas(datastore), *_place(request, datastore))
    unkept = KeptConfigurationGone(_host(datastore, scene), _directory(request.guest, datastore), str(request.name))
    return Plan(FORGET, f"{request.guest}@{request.name}", (gone, unkept), no_return=0)


def rollback_plan(request: RollbackRequest, datastore: DatastoreRecord, scene: Scene, operation: str) -> Plan:
    """Log out everywhere; then there is no way back: newer snapshots go, and every disk becomes what it was."""
    nas = scene.nas(datastore)
    reversible: list[Step] = [
        DiskDetached(scene.initiator(host), host, target)
        for host in scene.host_names(datastore)
        for target in request.targets
    ]
    reversible.append(NobodyLoggedIn(nas, request.targets))
    directory = _directory(request.guest, datastore)
    host = _host(datastore, scene)
    reversible.append(NobodyStarts(host, request.guest, directory))
    steps: list[Step] = [Announced(nas, request.anchor, f"rollback to @{request.name}", operation)]
    steps += [SnapshotGone(nas, path, name, recursive=False) for path, name in request.newer]
    steps += [VolumeRolledBack(nas, path, request.name, size, operation) for path, size in request.volumes]
    steps += [KeptConfigurationGone(host, directory, name) for name in sorted({str(name) for _, name in request.newer})]
    if request.configuration:
        steps.append(ConfigurationRestored(host, directory, str(request.guest), str(request.name)))
    return Plan(ROLLBACK, f"{request.guest}@{request.name}", (*reversible, *steps), no_return=len(reversible))


def refuse_several_moments(record: GuestRecord, datastore: DatastoreRecord) -> None:
    """RuleError when the guest's disks cannot be kept at one moment: ZFS does that below one dataset only."""
    refuse_elsewhere(record, "and cannot be kept at the same moment as the others")
    if datastore.layout == "flat" and len(record.disks) > 1:
        raise RuleError(
            f"guest {record.name}: its {len(record.disks)} disks cannot be kept at one moment in a flat datastore",
            hint="a nested datastore keeps a guest's disks below one dataset",
        )


def _snapshot_of(text: str) -> tuple[DatasetPath, SnapshotName]:
    path, _, name = text.partition("@")
    return DatasetPath.parse(path), SnapshotName.parse(name)


def _place(request: SnapshotRequest, datastore: DatastoreRecord) -> tuple[DatasetPath, SnapshotName, bool]:
    """Of what the snapshot is, its name, and whether all below is part of it."""
    return request.anchor, request.name, datastore.layout != "flat"


def _directory(guest: GuestName, datastore: DatastoreRecord) -> str:
    return f"{datastore.config_path}/{guest}"


def _host(datastore: DatastoreRecord, scene: Scene) -> Host:
    return scene.host(scene.host_names(datastore)[0])
