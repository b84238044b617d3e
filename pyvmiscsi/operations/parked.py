"""Guests in the trash, as the marks on their anchors tell of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pyvmiscsi.model import DatastoreRecord, Inventory, Marks, Volume
from pyvmiscsi.names import DatasetPath, GuestName, Iqn, Serial, SnapshotPath
from pyvmiscsi.operations.destroy import DoomedDisk
from pyvmiscsi.operations.guests import TRASH
from pyvmiscsi.plan.intent import Intent, mark, read_intents, read_mark
from pyvmiscsi.steps.signature import Signature


@dataclass(frozen=True, slots=True)
class ParkedDisk:
    """A disk in the trash, as it was offered, with the serial that its guest knows it by."""

    was: DoomedDisk
    serial: Serial

    def as_json(self) -> dict[str, Any]:
        return {**self.was.as_json(), "serial": str(self.serial)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(DoomedDisk.from_json(data), Serial.parse(data["serial"]))

    def extent_of(self, old: GuestName, new: GuestName) -> str:
        """What its extent is called in a guest of this name; a name that was not the guest's own stays."""
        return self.was.name.of(new) if self.was.extent == self.was.name.of(old) else self.was.extent

    def target_of(self, old: GuestName, new: GuestName, datastore: DatastoreRecord) -> Iqn:
        own = self.was.target.iqn == datastore.target_of(old, self.was.name)
        return datastore.target_of(new, self.was.name) if own else self.was.target.iqn


@dataclass(frozen=True, slots=True)
class Parked:
    """A guest in the trash: what its mark says."""

    guest: GuestName
    uuid: UUID
    datastore: str
    until: datetime
    """In UTC; from then on `trash empty` lets it go."""
    disks: tuple[ParkedDisk, ...]
    configured: bool
    """Whether its directory waits in the config path."""

    @property
    def label(self) -> str:
        """`web1-1f0c2d9a`: several guests of one name may be in the trash."""
        return f"{self.guest}-{self.uuid.hex[:8]}"

    @property
    def chap_tag(self) -> int | None:
        return next((disk.was.target.chap_tag for disk in self.disks), None)

    @property
    def mutual(self) -> bool:
        return any(disk.was.target.mutual for disk in self.disks)

    def as_json(self) -> dict[str, Any]:
        return {
            "guest": str(self.guest),
            "uuid": str(self.uuid),
            "datastore": self.datastore,
            "until": self.until.isoformat(timespec="seconds"),
            "disks": [disk.as_json() for disk in self.disks],
            "configured": self.configured,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            guest=GuestName.parse(data["guest"]),
            uuid=UUID(data["uuid"]),
            datastore=str(data["datastore"]),
            until=datetime.fromisoformat(data["until"]),
            disks=tuple(ParkedDisk.from_json(disk) for disk in data["disks"]),
            configured=bool(data["configured"]),
        )

    def as_marks(self, anchor: DatasetPath) -> dict[str, str]:
        return mark(anchor, TRASH, self.as_json())

    @classmethod
    def in_marks(cls, anchor: DatasetPath, marks: Marks) -> Self | None:
        content = read_mark(anchor, TRASH, marks)
        try:
            return None if content is None else cls.from_json(content)
        except (KeyError, ValueError, TypeError):
            return None


@dataclass(frozen=True, slots=True)
class ParkedRecord:
    """A parked guest as its nas shows it."""

    parked: Parked
    anchor: DatasetPath
    size: int
    """Of all its disks, in bytes."""
    origins: tuple[SnapshotPath, ...]
    """What its disks are clones of."""
    strangers: tuple[DatasetPath, ...]
    """What stands below its dataset and is no disk of it, or at a disk's place and was not made for it."""
    intents: tuple[Intent, ...]


def parked_records(datastore: DatastoreRecord, inventory: Inventory) -> tuple[ParkedRecord, ...]:
    """Every guest whose trash mark stands in the inventory, by name, the first to be let go first."""
    anchors = inventory.volumes if datastore.layout == "flat" else inventory.datasets
    found = (
        _record_of(parked, anchor.path, anchor.marks, inventory)
        for anchor in anchors
        if (parked := Parked.in_marks(anchor.path, anchor.marks)) is not None
    )
    return tuple(sorted(found, key=lambda record: (record.parked.guest, record.parked.until)))


def _record_of(parked: Parked, anchor: DatasetPath, marks: Marks, inventory: Inventory) -> ParkedRecord:
    own = {anchor, *(disk.was.volume for disk in parked.disks)}
    volumes = [volume for volume in inventory.volumes if volume.path in own]
    places = [*(one.path for one in inventory.datasets), *(one.path for one in inventory.volumes)]
    others = {volume.path for volume in volumes if volume.path != anchor and _maker_of(volume) != parked.uuid}
    origins = {SnapshotPath.parse(volume.origin) for volume in volumes if volume.origin}
    return ParkedRecord(
        parked=parked,
        anchor=anchor,
        size=sum(volume.size.bytes for volume in volumes),
        origins=tuple(sorted(origins, key=str)),
        strangers=tuple(sorted({path for path in places if path.is_below(anchor) and path not in own} | others)),
        intents=read_intents(anchor, marks),
    )


def _maker_of(volume: Volume) -> UUID | None:
    signature = Signature.in_marks(volume.path, volume.marks)
    return None if signature is None else signature.guest
