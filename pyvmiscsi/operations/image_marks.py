"""Images, read from what a nas shows: each is a volume `<parent>/image_<name>` with a mark and a snapshot. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import UUID

from pyvmiscsi.model import DatastoreRecord, Inventory, Marks, Volume
from pyvmiscsi.names import DatasetPath, ImageName, SnapshotName, SnapshotPath
from pyvmiscsi.plan.intent import mark, read_mark

KEPT_AS = SnapshotName("image")
"""The snapshot of an image's volume from which guests are provisioned."""


@dataclass(frozen=True, slots=True)
class ImageMark:
    """What stays on an image's volume for as long as the image lives."""

    name: ImageName
    uuid: UUID
    description: str
    created: str
    """ISO 8601, UTC."""
    source: str
    """What it was made of: `web1:disk0@monday`, a file's name or an address."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """vm-bhyve's keys that a guest of this image begins with: loader, processors, memory and the like."""

    def as_marks(self, volume: DatasetPath) -> dict[str, str]:
        return mark(volume, "image", self.as_json())

    @classmethod
    def in_marks(cls, volume: DatasetPath, marks: Marks) -> Self | None:
        content = read_mark(volume, "image", marks)
        try:
            return None if content is None else cls.from_json(content)
        except (KeyError, ValueError):
            return None

    def as_json(self) -> dict[str, Any]:
        return {
            "name": str(self.name),
            "uuid": str(self.uuid),
            "description": self.description,
            "created": self.created,
            "source": self.source,
            "settings": [list(pair) for pair in self.settings.items()],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            name=ImageName.parse(data["name"]),
            uuid=UUID(data["uuid"]),
            description=str(data["description"]),
            created=str(data["created"]),
            source=str(data["source"]),
            settings=dict(data["settings"]),
        )


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """An image as its nas shows it."""

    mark: ImageMark
    volume: Volume

    @property
    def name(self) -> ImageName:
        return self.mark.name

    def templates(self) -> tuple[SnapshotPath, ...]:
        """Where the snapshot is from which guests are provisioned: the first of these that is there.

        A guest that was promoted took it over, and the image is its clone: then it is the image's origin.
        """
        own, origin = SnapshotPath(self.volume.path, KEPT_AS), self.volume.origin
        moved = SnapshotPath.parse(origin) if origin else None
        return (own, moved) if moved and moved.name == KEPT_AS else (own,)


def image_records(inventory: Inventory) -> tuple[ImageRecord, ...]:
    """Every image whose mark stands in the inventory, by name."""
    found = [(ImageMark.in_marks(volume.path, volume.marks), volume) for volume in inventory.volumes]
    records = [ImageRecord(mark, volume) for mark, volume in found if mark is not None]
    return tuple(sorted(records, key=lambda record: record.name))


def image_volume(name: ImageName, datastore: DatastoreRecord) -> DatasetPath:
    """Where an image stands: no guest's name has an underscore."""
    return datastore.parent.child(f"image_{name}")
