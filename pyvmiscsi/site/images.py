"""Images of a datastore: what guests are provisioned from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

from pyvmiscsi.errors import AlreadyExistsError, BusyError, ConflictError, InputError, NotFoundError, RuleError
from pyvmiscsi.images.formats.kinds import Format
from pyvmiscsi.images.length import layout_in, length_of, measured_length
from pyvmiscsi.images.source.given import place_of
from pyvmiscsi.images.source.published import published_checksum
from pyvmiscsi.model import DatastoreRecord, Inventory
from pyvmiscsi.names import DiskName, GuestName, ImageName, SnapshotPath
from pyvmiscsi.operations.copied_disk import CopiedDisk
from pyvmiscsi.operations.create import USUAL_BLOCK, CreateRequest
from pyvmiscsi.operations.guests import clones_of, guest_records
from pyvmiscsi.operations.image_marks import ImageMark, ImageRecord, image_records, image_volume
from pyvmiscsi.operations.images import (
    DESTROY,
    EXPORT,
    IMPORT,
    PROVISION,
    ExportRequest,
    ImageDestroyRequest,
    ImageFile,
    ImageRequest,
    image_journal,
    subject_of,
)
from pyvmiscsi.operations.pending import PlannedOperation, planned
from pyvmiscsi.plan.engine import Preview
from pyvmiscsi.plan.intent import Intent, read_intents
from pyvmiscsi.plan.step import Progress
from pyvmiscsi.site.connections import Connections, SiteScene
from pyvmiscsi.site.making import beside, make_guest, planned_guest
from pyvmiscsi.site.running import Run, new_intent
from pyvmiscsi.site.views import ImageView
from pyvmiscsi.steps.first_boot import CloudInit
from pyvmiscsi.steps.saving import identity_of
from pyvmiscsi.steps.transfer import filling_of
from pyvmiscsi.units import Size


class Image:
    """One image of a datastore, by name; nothing of it is kept here, so every answer is fresh."""

    def __init__(self, name: ImageName, datastore: DatastoreRecord, connections: Connections) -> None:
        self.name = name
        self.datastore = datastore
        self._connections = connections

    def find_record(self) -> ImageRecord | None:
        """The image as the nas shows it."""
        nas, path = self._connections.nas(self.datastore.nas), image_volume(self.name, self.datastore)
        volume = nas.find_volume(path)
        mark = None if volume is None else ImageMark.in_marks(path, volume.marks)
        return ImageRecord(mark, volume) if volume and mark else None

    def record(self) -> ImageRecord:
        """The image as the nas shows it; NotFoundError when there is none."""
        record = self.find_record()
        if record is None:
            raise NotFoundError(
                f"image {self.name}: not in datastore {self.datastore.name}", hint="pyvmiscsi image list"
            )
        return record

    def info(self) -> ImageView:
        """The image, what it was made of, and the guests that depend on it."""
        nas = self._connections.nas(self.datastore.nas)
        pending = image_journal(self.name, self.datastore, SiteScene(self._connections)).pending()
        return image_view(self.record(), self.datastore, nas.inventory(self.datastore.parent), pending)

    def provision(
        self,
        new: str | GuestName,
        *,
        size: Size | None = None,
        settings: Mapping[str, str] | None = None,
        chap: bool = True,
        mutual: bool = False,
        full: bool = False,
        cloud_init: CloudInit | None = None,
        run: Run | None = None,
    ) -> str:
        """Make a guest whose disk0 begins as the image, and is grown to `size`; its name.

        `settings` are vm-bhyve's keys, before those of the image; `cloud_init` is what it is told at its first boot.
        It copies no data, and the guest depends on the image; with `full` every byte is copied. RuleError for
        a size that is smaller than the image; AlreadyExistsError when there is a guest `new`.
        """
        request = self._request(new, size, settings or {}, cloud_init, chap=chap, mutual=mutual, full=full)
        run = run or Run()
        try:
            make_guest(PROVISION, request, self.datastore, self._connections, run)
        except ConflictError as error:
            again = beside(request, self.datastore, self._connections, error)
            make_guest(PROVISION, again, self.datastore, self._connections, run)
        return str(request.guest)

    def preview_provision(
        self,
        new: str | GuestName,
        *,
        size: Size | None = None,
        settings: Mapping[str, str] | None = None,
        full: bool = False,
        cloud_init: CloudInit | None = None,
    ) -> Preview:
        """The steps that `provision` would take; nothing is changed."""
        request = self._request(new, size, settings or {}, cloud_init, chap=True, mutual=False, full=full)
        return Run().engine().preview(planned_guest(PROVISION, request, self.datastore, self._connections).plan)

    def destroy(self, run: Run | None = None) -> None:
        """The image goes; BusyError, naming them, while guests depend on it."""
        operation = self._planned_destroy()
        (run or Run()).engine().execute(operation.plan, operation.journal, operation.intent)

    def preview_destroy(self) -> Preview:
        """The steps that `destroy` would take; nothing is changed."""
        return Run().engine().preview(self._planned_destroy().plan)

    def export(self, file: Path, kind: Format, *, replace: bool = False, run: Run | None = None) -> None:
        """Save it to a file of this machine: whole, or not at all; what was written is told to `run.note`.

        AlreadyExistsError when there is such a file, unless `replace`.
        """
        record, scene = self._whole_record(), SiteScene(self._connections)
        request = ExportRequest(
            subject=subject_of(self.name),
            source=self._template(record),
            file=file.absolute(),
            format=kind,
            uuid=uuid4(),
            replaces=identity_of(file) if replace else None,
        )
        refuse_found(request)
        intent = new_intent(EXPORT, request.subject, request.as_json())
        operation = planned(intent, self.datastore, scene)
        (run or Run()).engine().execute(operation.plan, operation.journal, operation.intent)

    def import_from(
        self,
        place: str,
        *,
        size: Size | None = None,
        description: str = "",
        sha256: str | None = None,
        checksums: str | None = None,
        verify: bool = False,
        thick: bool = False,
        block_size: Size | None = None,
        run: Run | None = None,
    ) -> None:
        """Make the image of a file, of what a web server sends, or of standard input (`-`).

        `size` is that of its volume: without it, that of the disk in it. A .gz does not tell, nor a .zst that was
        packed from a pipe: it is then unpacked twice. Whatever is packed and no local file needs the size.
        `sha256` is that of the file as given, or its SHA-512; `checksums` is where a list has it, a URL or a path, or
        `auto` for beside the file. `verify` reads all of it back. Raises InputError and ImageError, before
        anything is made where that can be known, and AlreadyExistsError for an image of that name.
        """
        self.refuse_existing()
        absolute = place_of(place)
        if checksums is not None:
            if sha256 is not None:
                raise InputError(f"image {place}: a checksum, and a list of them", hint="one of the two is enough")
            sha256 = published_checksum(absolute, checksums).digest
        name = "standard input" if absolute == "-" else absolute.partition("?")[0].rpartition("/")[2]
        created = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        layout = layout_in(absolute)
        source = f"{name} ({layout})" if layout else name
        mark = ImageMark(self.name, uuid4(), description, created, source)
        progress = partial((run or Run()).meter, f"size of {name}")
        size = _size_for(absolute, size, block_size, progress)
        content = ImageFile(absolute, size, sha256, verify, thick, block_size)
        request = ImageRequest(mark, content)
        intent = new_intent(IMPORT, subject_of(self.name), request.as_json())
        operation = planned(intent, self.datastore, SiteScene(self._connections))
        (run or Run()).engine().execute(operation.plan, operation.journal, operation.intent)

    def refuse_existing(self) -> None:
        """Raise AlreadyExistsError when there is such an image, BusyError when one is being made."""
        scene = SiteScene(self._connections)
        self._refuse_unfinished(image_journal(self.name, self.datastore, scene).pending())
        path = image_volume(self.name, self.datastore)
        found = scene.nas(self.datastore).find_volume(path)
        if found is not None and ImageMark.in_marks(path, found.marks) is not None:
            raise AlreadyExistsError(f"image {self.name}: is there already", hint="choose another name")
        if found is not None:
            raise ConflictError(f"volume {path}: is there already, and is no image", hint="choose another name")

    def _whole_record(self) -> ImageRecord:
        """The image, if nothing is being done to it."""
        record = self.record()
        scene = SiteScene(self._connections)
        self._refuse_unfinished(image_journal(self.name, self.datastore, scene).pending())
        return record

    def _refuse_unfinished(self, pending: tuple[Intent, ...]) -> None:
        for intent in pending:
            raise intent.in_the_way_of(f"image {self.name}")

    def _request(
        self,
        new: str | GuestName,
        size: Size | None,
        settings: Mapping[str, str],
        cloud_init: CloudInit | None,
        *,
        chap: bool,
        mutual: bool,
        full: bool,
    ) -> CreateRequest:
        record, guest = self._whole_record(), GuestName.parse(str(new))
        volume, template = record.volume, self._template(record)
        self._refuse_existing_guest(guest)
        if size is not None and size < volume.size:
            raise RuleError(
                f"disk size {size}: image {self.name} has {volume.size}, and a disk is never made smaller",
                hint=f"ask for {volume.size} or more",
            )
        block = volume.block_size or USUAL_BLOCK
        if size is not None and not size.is_multiple_of(block):
            raise RuleError(
                f"disk size {size}: not a multiple of the block size {block}",
                hint=f"ask for {size.rounded_up_to(block)}",
            )
        grown = size if size is not None and size != volume.size else None
        disk = CopiedDisk(DiskName(0), template, grown)
        if full:
            disk = replace(disk, size=size or volume.size, full=True, block_size=volume.block_size)
        return CreateRequest(
            guest=guest,
            disks=(disk,),
            settings={**record.mark.settings, **settings},
            chap=chap,
            mutual=mutual,
            cloud_init=cloud_init,
        )

    def _template(self, record: ImageRecord) -> SnapshotPath:
        nas = self._connections.nas(self.datastore.nas)
        for one in record.templates():
            if nas.find_snapshot(one.dataset, one.name) is not None:
                return one
        raise NotFoundError(
            f"image {self.name}: its snapshot {record.templates()[0]} is gone", hint="make the image anew"
        )

    def _refuse_existing_guest(self, name: GuestName) -> None:
        inventory = self._connections.nas(self.datastore.nas).inventory(self.datastore.parent)
        if any(record.name == name for record in guest_records(self.datastore, inventory)):
            raise AlreadyExistsError(f"guest {name}: exists already", hint="choose another name")

    def _planned_destroy(self) -> PlannedOperation:
        record, scene = self.record(), SiteScene(self._connections)
        users = self.info().guests
        if users:
            raise BusyError(
                f"image {self.name}: {', '.join(users)} depend{'s' * (len(users) == 1)} on it",
                hint=f"destroy them first, or pyvmiscsi vm promote {users[0]}",
            )
        request = ImageDestroyRequest.of(record)
        intent = new_intent(DESTROY, subject_of(self.name), request.as_json())
        return planned(intent, self.datastore, scene)


def images_of(datastore: DatastoreRecord, connections: Connections) -> tuple[ImageView, ...]:
    """Every image of a datastore, by name."""
    nas = connections.nas(datastore.nas)
    inventory, parent = nas.inventory(datastore.parent), nas.find_dataset(datastore.parent)
    pending = read_intents(parent.path, parent.marks) if parent else ()
    return tuple(image_view(record, datastore, inventory, pending) for record in image_records(inventory))


def image_view(
    record: ImageRecord, datastore: DatastoreRecord, inventory: Inventory, pending: tuple[Intent, ...]
) -> ImageView:
    """An image, who depends on it, and which of these unfinished operations are on it."""
    clones = {clone.path for clone in clones_of(record.volume.path, inventory)}
    guests = guest_records(datastore, inventory)
    filled = filling_of(record.volume)
    return ImageView(
        name=str(record.name),
        datastore=datastore.name,
        description=record.mark.description,
        source=record.mark.source,
        created=record.mark.created,
        size=record.volume.size.bytes,
        used=record.volume.used.bytes if record.volume.used else None,
        volume=str(record.volume.path),
        origin=record.volume.origin,
        digest=filled.get("digest") if filled else None,
        settings=dict(record.mark.settings),
        operations=tuple(intent.id for intent in pending if intent.subject == subject_of(record.name)),
        guests=tuple(str(guest.name) for guest in guests if any(disk.volume.path in clones for disk in guest.disks)),
    )


def refuse_found(request: ExportRequest) -> None:
    """Raise AlreadyExistsError for a file that is there and is not to make room."""
    if request.replaces is None and identity_of(request.file) is not None:
        raise AlreadyExistsError(f"file {request.file}: is there already", hint="--force replaces it")


def _size_for(place: str, size: Size | None, block_size: Size | None, progress: Progress) -> Size:
    """Of the volume: as asked, or room for the disk in whole blocks."""
    block = block_size or USUAL_BLOCK
    length = length_of(place)
    if size is None and length is None:
        length = measured_length(place, progress)
    if size is None and length is None:
        raise InputError(
            f"image {place}: how large its disk is, is known only once all of it was read",
            hint="say how large it is to be: --size; what is behind the image will read as zeros",
        )
    if size is None:
        return Size(length or 0).rounded_up_to(block)
    if not size.is_multiple_of(block):
        raise RuleError(
            f"image size {size}: not a multiple of the block size {block}", hint=f"ask for {size.rounded_up_to(block)}"
        )
    if length is not None and length > size.bytes:
        raise RuleError(f"image size {size}: the disk in it has {Size(length)}", hint="ask for more")
    return size
