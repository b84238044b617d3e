"""Images: made of a guest's disk or of a file, destroyed, saved to a file. Pure.

An image is no guest, so no object of its own could carry the intent before it is there: intents stand on the
datastore's parent dataset, and exclude each other by the image's name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from pyvmiscsi.images.formats.kinds import Format
from pyvmiscsi.model import DatastoreRecord, Marks, Volume
from pyvmiscsi.names import DatasetPath, ImageName, SnapshotPath
from pyvmiscsi.operations.anchors import change_journal
from pyvmiscsi.operations.copied_disk import CopiedDisk
from pyvmiscsi.operations.create import SnapshotToTake
from pyvmiscsi.operations.guests import owned_by
from pyvmiscsi.operations.image_marks import KEPT_AS, ImageMark, ImageRecord, image_volume
from pyvmiscsi.operations.scene import Scene
from pyvmiscsi.plan.journal import ChangeJournal, DatasetAnchor, SharedJournal
from pyvmiscsi.plan.step import Plan, Step
from pyvmiscsi.steps.announced import Announced
from pyvmiscsi.steps.clones import SnapshotForCopy, SnapshotForCopyGone
from pyvmiscsi.steps.reading import SnapshotSource
from pyvmiscsi.steps.saving import FileSaved
from pyvmiscsi.steps.signature import Signature
from pyvmiscsi.steps.snapshots import NoSnapshotLeft, NothingKeepsSnapshots, SnapshotExists, SnapshotGone
from pyvmiscsi.steps.transfer import Transport, VolumeFilled
from pyvmiscsi.steps.volumes import MarkedStill, VolumeExists, VolumeGone
from pyvmiscsi.units import Size

CREATE, IMPORT, DESTROY, EXPORT, PROVISION = "image-create", "image-import", "image-destroy", "export", "provision"


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image's file: `place` as `images.source.given.place_of` answers, `sha256` of the file as it is given."""

    place: str
    size: Size
    sha256: str | None = None
    verify: bool = False
    thick: bool = False
    block_size: Size | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "place": self.place,
            "size": self.size.bytes,
            "sha256": self.sha256,
            "verify": self.verify,
            "thick": self.thick,
            "block_size": self.block_size.bytes if self.block_size else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        block = data["block_size"]
        return cls(
            place=data["place"],
            size=Size(data["size"]),
            sha256=data["sha256"],
            verify=bool(data["verify"]),
            thick=bool(data["thick"]),
            block_size=Size(block) if block else None,
        )

    def steps(
        self, path: DatasetPath, marks: Marks, signature: Signature, datastore: DatastoreRecord, scene: Scene
    ) -> Iterator[Step]:
        """What brings the volume about at `path`, bearing `marks`."""
        nas, transport = scene.nas(datastore), Transport(scene.block_access())
        yield VolumeExists(nas, Volume(path, self.size, self.thick, self.block_size, marks), signature)
        yield VolumeFilled(nas, datastore, path, self.place, transport, signature, self.sha256, self.verify)


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """An image to make: its mark, and what its volume begins as."""

    mark: ImageMark
    content: CopiedDisk | ImageFile
    first: SnapshotToTake | None = None
    """What is copied, when there is no snapshot of it yet."""

    def as_json(self) -> dict[str, Any]:
        return {
            "mark": self.mark.as_json(),
            "content": self.content.as_json(),
            "first": self.first.as_json() if self.first else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        content = data["content"]
        return cls(
            mark=ImageMark.from_json(data["mark"]),
            content=(ImageFile if "place" in content else CopiedDisk).from_json(content),
            first=SnapshotToTake.from_json(data["first"]) if data["first"] else None,
        )

    @property
    def depends_on_source(self) -> bool:
        return isinstance(self.content, CopiedDisk) and not self.content.full


@dataclass(frozen=True, slots=True)
class ImageDestroyRequest:
    """An image to destroy, and what it is a clone of."""

    name: ImageName
    uuid: UUID
    volume: DatasetPath
    origin: SnapshotPath | None

    @classmethod
    def of(cls, record: ImageRecord) -> Self:
        origin = SnapshotPath.parse(record.volume.origin) if record.volume.origin else None
        return cls(record.name, record.mark.uuid, record.volume.path, origin)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": str(self.name),
            "uuid": str(self.uuid),
            "volume": str(self.volume),
            "origin": str(self.origin) if self.origin else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        origin = SnapshotPath.parse(data["origin"]) if data["origin"] else None
        return cls(ImageName.parse(data["name"]), UUID(data["uuid"]), DatasetPath.parse(data["volume"]), origin)


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """A disk to save to a file of this machine; `subject` is the image or the guest that it is of."""

    subject: str
    source: SnapshotPath
    file: Path
    format: Format
    uuid: UUID
    anchor: DatasetPath | None = None
    """The guest's; none for an image."""
    replaces: str | None = None
    """`steps.saving.identity_of` a file that makes room."""
    first: SnapshotToTake | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "subject": self.subject,
            "source": str(self.source),
            "file": str(self.file),
            "format": str(self.format),
            "uuid": str(self.uuid),
            "anchor": str(self.anchor) if self.anchor else None,
            "replaces": self.replaces,
            "first": self.first.as_json() if self.first else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            subject=data["subject"],
            source=SnapshotPath.parse(data["source"]),
            file=Path(data["file"]),
            format=Format(data["format"]),
            uuid=UUID(data["uuid"]),
            anchor=DatasetPath.parse(data["anchor"]) if data["anchor"] else None,
            replaces=data["replaces"],
            first=SnapshotToTake.from_json(data["first"]) if data["first"] else None,
        )


def subject_of(name: ImageName) -> str:
    """What an operation on an image is about: no guest's name has a blank."""
    return f"image {name}"


def image_plan(request: ImageRequest, datastore: DatastoreRecord, scene: Scene, operation: str, verb: str) -> Plan:
    """The volume first, what is on it, the snapshot of which guests are cloned; every step can be undone."""
    nas, mark = scene.nas(datastore), request.mark
    path, signature = image_volume(mark.name, datastore), Signature(mark.uuid, operation)
    steps: list[Step] = []
    if request.first:
        steps.append(SnapshotForCopy(nas, request.first.snapshot, request.first.recursive, mark.uuid))
    steps += request.content.steps(path, mark.as_marks(path), signature, datastore, scene)
    steps.append(SnapshotExists(nas, path, KEPT_AS, recursive=False))
    if request.first and not request.depends_on_source:
        steps.append(SnapshotGone(nas, request.first.snapshot.dataset, request.first.snapshot.name, recursive=False))
    return Plan(verb, subject_of(mark.name), tuple(steps))


def image_destroy_plan(request: ImageDestroyRequest, datastore: DatastoreRecord, scene: Scene, operation: str) -> Plan:
    """Refused while a guest depends on it; then there is no way back, which is announced: it may have snapshots."""
    nas, volume = scene.nas(datastore), request.volume
    steps: list[Step] = [
        MarkedStill(nas, datastore.parent, volume, "image", request.uuid),
        NothingKeepsSnapshots(nas, (volume,)),
        Announced(nas, volume, f"end of image {request.name}", operation, ends=True),
        NoSnapshotLeft(nas, (volume,)),
        VolumeGone(nas, volume),
    ]
    if request.origin:
        steps.append(SnapshotForCopyGone(nas, request.origin, recursive=False, owner=request.uuid))
    return Plan(DESTROY, subject_of(request.name), tuple(steps), no_return=2)


def export_plan(request: ExportRequest, datastore: DatastoreRecord, scene: Scene, operation: str) -> Plan:
    """A snapshot, unless there is one, the file, and nothing is left on the nas; every step can be undone."""
    nas = scene.nas(datastore)
    source = SnapshotSource(nas, datastore, request.source.dataset, request.source.name)
    signature, transport = Signature(request.uuid, operation), Transport(scene.block_access())
    saved = FileSaved(source, request.file, request.format, transport, signature, request.replaces)
    if request.first is None:
        return Plan(EXPORT, request.subject, (saved,))
    taken = SnapshotForCopy(nas, request.source, recursive=False, owner=request.uuid)
    gone = SnapshotGone(nas, request.source.dataset, request.source.name, recursive=False)
    return Plan(EXPORT, request.subject, (taken, saved, gone))


def image_journal(name: ImageName, datastore: DatastoreRecord, scene: Scene) -> SharedJournal:
    """The journal of what happens to an image."""
    return SharedJournal(DatasetAnchor(scene.nas(datastore), datastore.parent), subject_of(name))


def export_journal(request: ExportRequest, datastore: DatastoreRecord, scene: Scene) -> ChangeJournal:
    """A guest's own, so that nothing else is done to it meanwhile; or the image's."""
    if request.anchor is not None:
        return change_journal(request.anchor, datastore, scene, owned_by(request.subject))
    return SharedJournal(DatasetAnchor(scene.nas(datastore), datastore.parent), request.subject)
