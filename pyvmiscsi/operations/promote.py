"""Promote: a guest's disks own what they began as; what they came from depends on them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from pyvmiscsi.errors import ConflictError
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.names import DatasetPath, GuestName, SnapshotName, SnapshotPath
from pyvmiscsi.operations.guests import GuestRecord
from pyvmiscsi.operations.scene import Scene
from pyvmiscsi.plan.step import Plan
from pyvmiscsi.steps.clones import VolumePromoted

VERB = "promote"


@dataclass(frozen=True, slots=True)
class PromotedDisk:
    """A clone, the snapshot it began as, and the snapshots that it takes over."""

    volume: DatasetPath
    origin: SnapshotPath
    moving: tuple[SnapshotName, ...]

    def as_json(self) -> dict[str, Any]:
        return {"volume": str(self.volume), "origin": str(self.origin), "moving": [str(name) for name in self.moving]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        moving = tuple(SnapshotName.parse(name) for name in data["moving"])
        return cls(DatasetPath.parse(data["volume"]), SnapshotPath.parse(data["origin"]), moving)


@dataclass(frozen=True, slots=True)
class PromoteRequest:
    """A guest whose disks are clones, and are to depend on nothing that they depend on now."""

    guest: GuestName
    anchor: DatasetPath
    uuid: UUID
    disks: tuple[PromotedDisk, ...]

    @classmethod
    def of(cls, record: GuestRecord, snapshots: Mapping[DatasetPath, tuple[SnapshotName, ...]]) -> Self:
        """`snapshots` are those of each disk and of what each began as, oldest first.

        ConflictError when no disk is a clone, and when two snapshots would have one name.
        """
        clones = [
            (disk.volume.path, SnapshotPath.parse(disk.volume.origin)) for disk in record.at_home if disk.volume.origin
        ]
        if not clones:
            raise ConflictError(f"guest {record.name}: no disk of it is a clone", hint="pyvmiscsi vm tree")
        disks = []
        for path, origin in clones:
            older = snapshots[origin.dataset]
            moving = older[: older.index(origin.name) + 1] if origin.name in older else ()
            for name in moving:
                if name in snapshots[path]:
                    raise ConflictError(
                        f"volume {path}: has a snapshot {name}, and would get another from {origin.dataset}",
                        hint=f"pyvmiscsi vm snapshot --destroy {record.name}@{name}, or rename it on the nas",
                    )
            disks.append(PromotedDisk(path, origin, moving))
        return cls(record.name, record.anchor, record.uuid, tuple(disks))

    def as_json(self) -> dict[str, Any]:
        disks = [disk.as_json() for disk in self.disks]
        return {"guest": str(self.guest), "anchor": str(self.anchor), "uuid": str(self.uuid), "disks": disks}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        disks = tuple(PromotedDisk.from_json(disk) for disk in data["disks"])
        anchor = DatasetPath.parse(data["anchor"])
        return cls(GuestName.parse(data["guest"]), anchor, UUID(data["uuid"]), disks)


def promote_plan(request: PromoteRequest, datastore: DatastoreRecord, scene: Scene) -> Plan:
    """Who is logged in notices nothing. There is no way back from the first step on."""
    nas = scene.nas(datastore)
    steps = tuple(VolumePromoted(nas, disk.volume, disk.origin, disk.moving) for disk in request.disks)
    return Plan(VERB, str(request.guest), steps, no_return=0)
