"""A disk of a new guest that begins as another volume was at a snapshot. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from pyvmiscsi.errors import RuleError
from pyvmiscsi.model import DatastoreRecord, Marks, Volume
from pyvmiscsi.names import DatasetPath, DiskName, SnapshotPath
from pyvmiscsi.operations.image_marks import ImageMark
from pyvmiscsi.operations.scene import Scene
from pyvmiscsi.plan.step import Step
from pyvmiscsi.steps.clones import CloneGrown, VolumeCloned
from pyvmiscsi.steps.reading import SnapshotSource
from pyvmiscsi.steps.signature import Signature
from pyvmiscsi.steps.transfer import LunCopied, Transport
from pyvmiscsi.steps.volumes import VolumeExists
from pyvmiscsi.units import Size


@dataclass(frozen=True, slots=True)
class CopiedDisk:
    """A clone of a snapshot, which costs nothing and depends on it; or with `full` a copy that owes it nothing.

    A clone is as large as the snapshot unless a size is asked for, and always sparse; a copy must be told its size.
    """

    name: DiskName
    source: SnapshotPath
    size: Size | None = None
    full: bool = False
    thick: bool = False
    block_size: Size | None = None

    def __post_init__(self) -> None:
        if self.full and self.size is None:
            raise RuleError(f"{self.name}: a copy of {self.source} needs a size")
        if self.thick and not self.full:
            raise RuleError(f"{self.name}: a clone of {self.source} is always sparse", hint="a full copy need not be")

    def as_json(self) -> dict[str, Any]:
        return {
            "name": str(self.name),
            "source": str(self.source),
            "size": self.size.bytes if self.size else None,
            "full": self.full,
            "thick": self.thick,
            "block_size": self.block_size.bytes if self.block_size else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            name=DiskName.parse(data["name"]),
            source=SnapshotPath.parse(data["source"]),
            size=Size(data["size"]) if data["size"] else None,
            full=bool(data["full"]),
            thick=bool(data["thick"]),
            block_size=Size(data["block_size"]) if data["block_size"] else None,
        )

    def steps(
        self,
        path: DatasetPath,
        marks: Marks,
        signature: Signature,
        datastore: DatastoreRecord,
        scene: Scene,
        *,
        is_there: bool = False,
    ) -> Iterator[Step]:
        """What brings the volume about at `path`, bearing `marks`; `is_there` says that the intent made it already."""
        nas = scene.nas(datastore)
        if not self.full:
            yield VolumeCloned(nas, self.source, path, signature, marks)
            if self.size is not None:
                yield CloneGrown(nas, path, self.size)
            return
        if not is_there:
            yield VolumeExists(nas, self.volume(path, marks), signature)
        source = SnapshotSource(nas, datastore, self.source.dataset, self.source.name)
        is_image = ImageMark.in_marks(path, marks) is not None  # an image tells its digest, a guest's disk does not
        yield LunCopied(source, nas, datastore, path, Transport(scene.block_access()), signature, hashed=is_image)

    def volume(self, path: DatasetPath, marks: Marks) -> Volume:
        """What a full copy is before anything is copied."""
        return Volume(path, self.size or Size(0), self.thick, self.block_size, marks)
