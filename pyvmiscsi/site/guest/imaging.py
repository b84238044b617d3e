"""A guest's disk made into an image, or saved to a file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from pyvmiscsi.bhyve.configuration.config_text import parse_guest
from pyvmiscsi.errors import NotFoundError, RuleError
from pyvmiscsi.images.formats.kinds import Format
from pyvmiscsi.names import DiskName, ImageName, SnapshotName, SnapshotPath
from pyvmiscsi.operations.clone import copy_of, settings_for_image, snapshot_for
from pyvmiscsi.operations.create import SnapshotToTake
from pyvmiscsi.operations.guests import GuestDisk, GuestRecord
from pyvmiscsi.operations.image_marks import ImageMark
from pyvmiscsi.operations.images import CREATE, EXPORT, ExportRequest, ImageRequest, subject_of
from pyvmiscsi.operations.pairing import paired_disks
from pyvmiscsi.operations.pending import PlannedOperation, planned
from pyvmiscsi.plan.engine import Preview
from pyvmiscsi.site.connections import SiteScene
from pyvmiscsi.site.guest.access import GuestAccess
from pyvmiscsi.site.images import Image, refuse_found
from pyvmiscsi.site.running import Run, new_intent
from pyvmiscsi.steps.saving import identity_of


class Imaging(GuestAccess):
    """Images of the guest's disks."""

    def make_image(
        self,
        name: str | ImageName | None = None,
        *,
        snapshot: str | None = None,
        disk: str | None = None,
        description: str = "",
        full: bool = False,
        force: bool = False,
        run: Run | None = None,
    ) -> Image:
        """Make an image of a disk as it was at a snapshot, or as it is now, from which guests are provisioned.

        Named after the guest unless it gets a name. It copies no data, and depends on that snapshot of the guest; with
        `full` every byte is copied. RuleError for a guest with several disks of which none is named; BusyError for a
        guest that runs, unless a snapshot is named or `force`; NotFoundError, and AlreadyExistsError for an image of
        that name.
        """
        operation, chosen = self._planned_image(name, snapshot, disk, description, full=full, force=force)
        self._execute(operation, run)
        return Image(chosen, self.datastore, self._connections)

    def preview_image(
        self,
        name: str | ImageName | None = None,
        *,
        snapshot: str | None = None,
        disk: str | None = None,
        full: bool = False,
        force: bool = False,
    ) -> Preview:
        """The steps that `make_image` would take; nothing is changed."""
        operation, _ = self._planned_image(name, snapshot, disk, "", full=full, force=force)
        return Run().engine().preview(operation.plan)

    def export_disk(
        self,
        file: Path,
        kind: Format,
        *,
        disk: str | None = None,
        snapshot: str | None = None,
        replace: bool = False,
        force: bool = False,
        run: Run | None = None,
    ) -> None:
        """Save a disk as it was at a snapshot, or as it is now, to a file of this machine: whole, or not at all.

        What it wrote is told to `run.note`. AlreadyExistsError when there is such a file, unless `replace`; BusyError
        for a guest that runs, unless a snapshot is named or `force`.
        """
        record, scene = self._record_to_copy(snapshot, force=force), self._scene()
        uuid, chosen = uuid4(), self._chosen(record, disk)
        source, first = self._source(chosen, snapshot, snapshot_for(EXPORT, str(self.name), uuid), scene)
        request = ExportRequest(
            subject=str(self.name),
            source=source,
            file=file.absolute(),
            format=kind,
            uuid=uuid,
            anchor=record.anchor,
            replaces=identity_of(file) if replace else None,
            first=first,
        )
        refuse_found(request)
        intent = new_intent(EXPORT, request.subject, request.as_json())
        self._execute(planned(intent, self.datastore, scene), run)

    def _planned_image(
        self,
        name: str | ImageName | None,
        snapshot: str | None,
        disk: str | None,
        description: str,
        *,
        full: bool,
        force: bool,
    ) -> tuple[PlannedOperation, ImageName]:
        image = Image(ImageName.parse(str(name or self.name)), self.datastore, self._connections)
        image.refuse_existing()
        record, scene = self._record_to_copy(snapshot, force=force), self._scene()
        uuid, chosen = uuid4(), self._chosen(record, disk)
        source, first = self._source(chosen, snapshot, snapshot_for("image", str(image.name), uuid), scene)
        _, conf = self._config_at(source.name if snapshot else None, scene)
        paired = paired_disks(record, parse_guest(self.name, conf))
        number = next((number for number, one in paired.items() if one == chosen), chosen.name.number)
        mark = ImageMark(
            name=image.name,
            uuid=uuid,
            description=description,
            created=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            source=f"{self.name}:{chosen.name}" + (f"@{snapshot}" if snapshot else ""),
            settings=settings_for_image(conf, DiskName(number)),
        )
        request = ImageRequest(mark, copy_of(chosen, source.name, full=full, name=DiskName(0)), first)
        intent = new_intent(CREATE, subject_of(image.name), request.as_json())
        return planned(intent, self.datastore, scene), image.name

    def _record_to_copy(self, snapshot: str | None, *, force: bool) -> GuestRecord:
        if snapshot is None and not force:
            self._refuse_running()
        record = self.record()
        self._refuse_unfinished(record)
        return record

    def _chosen(self, record: GuestRecord, disk: str | None) -> GuestDisk:
        names = ", ".join(str(one.name) for one in record.disks) or "none"
        if disk is None and len(record.disks) != 1:
            raise RuleError(f"guest {self.name}: which of its disks?", hint=f"name one: {names}")
        found = next((one for one in record.disks if disk in (None, str(one.name))), None)
        if found is None:
            raise NotFoundError(f"guest {self.name}: has no {disk}", hint=f"it has {names}")
        if found.elsewhere:
            raise RuleError(
                f"guest {self.name}: {found.name} is in datastore {found.elsewhere.name}, and is not copied from here",
                hint="of disks in the guest's own datastore, that can be done",
            )
        return found

    def _source(
        self, disk: GuestDisk, snapshot: str | None, new: SnapshotName, scene: SiteScene
    ) -> tuple[SnapshotPath, SnapshotToTake | None]:
        """The snapshot that is copied, and what has to be taken first if it is not there."""
        if snapshot is None:
            taken = SnapshotPath(disk.volume.path, new)
            return taken, SnapshotToTake(taken, recursive=False)
        source = SnapshotPath(disk.volume.path, SnapshotName.parse(snapshot))
        if scene.nas(self.datastore).find_snapshot(source.dataset, source.name) is None:
            raise NotFoundError(
                f"guest {self.name}: no snapshot {source}",
                hint=f"pyvmiscsi vm snapshots {self.name} lists what there is",
            )
        return source, None
