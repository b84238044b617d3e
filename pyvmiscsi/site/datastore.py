"""A datastore and the guests in it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from pyvmiscsi.bhyve.vm_bhyve.templates import Template, find_templates, get_template
from pyvmiscsi.errors import BusyError, ConflictError
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.names import GuestName, ImageName
from pyvmiscsi.operations.create import VERB as CREATE
from pyvmiscsi.operations.create import CreateRequest, DiskRequest, create_plan
from pyvmiscsi.operations.guests import GuestRecord, guest_records
from pyvmiscsi.operations.lineage import lineage
from pyvmiscsi.operations.pending import planned
from pyvmiscsi.plan.engine import Preview
from pyvmiscsi.plan.intent import Intent, read_intents
from pyvmiscsi.site.connections import Connections, SiteScene
from pyvmiscsi.site.foundations import check_foundations, config_paths, content, readiness
from pyvmiscsi.site.guest import Guest
from pyvmiscsi.site.images import Image, images_of
from pyvmiscsi.site.isos import Isos
from pyvmiscsi.site.making import beside, make_guest, planned_guest
from pyvmiscsi.site.running import Run, is_under_way
from pyvmiscsi.site.survey import neighbours, survey_guests
from pyvmiscsi.site.switches import Switches
from pyvmiscsi.site.views import (
    CloneView,
    DatastoreDetailView,
    DatastoreView,
    GuestView,
    ImageView,
    TemplateView,
    clone_view,
    template_view,
)
from pyvmiscsi.steps.difference import refuse_difference


class Datastore:
    """Where guests live: their LUNs on a nas, their configurations below a path that its hosts share."""

    def __init__(self, record: DatastoreRecord, connections: Connections, *, default: bool = False) -> None:
        self.record = record
        self._connections = connections
        self._default = default

    def view(self) -> DatastoreView:
        record = self.record
        return DatastoreView(
            name=record.name,
            spec=f"iscsi:{record.nas}:{record.basename}:{record.config_path}",
            nas=record.nas,
            parent=str(record.parent),
            portal=str(record.portal),
            portal_group=record.portal_group,
            initiator_group=record.initiator_group,
            lun=record.lun.number,
            layout=record.layout,
            hosts=record.hosts,
            default=self._default,
        )

    def details(self, *, check: bool = False) -> DatastoreDetailView:
        """The same with what the nas has in it, and how each host sees the config path.

        With `check` also what keeps each host from attaching disks, or will bite later.
        """
        with ThreadPoolExecutor(2, thread_name_prefix="details") as pool:
            inside = pool.submit(content, self.record, self._connections)
            ready = pool.submit(readiness, self.record, self._connections) if check else None
            hosts = config_paths(self.record, self._connections)
            return DatastoreDetailView(self.view(), inside.result(), hosts, ready.result() if ready else None)

    def check(self) -> None:
        """See that guests can live there; NotFoundError names the dataset, group or directory that is missing."""
        check_foundations(self.record, self._connections)

    def guest(self, name: str | GuestName) -> Guest:
        """The guest of this name, whether or not there is one: its methods raise NotFoundError."""
        return Guest(GuestName.parse(str(name)), self.record, self._connections)

    def guests(self) -> tuple[GuestView, ...]:
        """Every guest, by name: what the nas, the config path and the hosts show."""
        theirs = neighbours(self.record, self._connections)
        guests = survey_guests(self.record, self._connections)
        return tuple(guest for guest in guests if guest.disks or guest.operations or guest.name not in theirs)

    def tree(self) -> tuple[CloneView, ...]:
        """Every volume that is a clone or has clones, each followed by its own."""
        inventory = self._connections.nas(self.record.nas).inventory(self.record.parent)
        return tuple(clone_view(one, self.record) for one in lineage(self.record, inventory))

    def template(self, name: str) -> Template:
        """vm-bhyve's template of this name; NotFoundError telling those that are there."""
        scene = SiteScene(self._connections)
        return get_template(scene.host(scene.host_names(self.record)[0]), self.record.config_path, name)

    def templates(self) -> tuple[TemplateView, ...]:
        """Every template in the config path, and every other of the first host's vm-bhyve."""
        scene = SiteScene(self._connections)
        found = find_templates(scene.host(scene.host_names(self.record)[0]), self.record.config_path)
        return tuple(template_view(one) for one in found.values())

    def image(self, name: str | ImageName) -> Image:
        """The image of this name, whether or not there is one: its methods raise NotFoundError."""
        return Image(ImageName.parse(str(name)), self.record, self._connections)

    def images(self) -> tuple[ImageView, ...]:
        """Every image, by name."""
        return images_of(self.record, self._connections)

    def isos(self) -> Isos:
        """The installation media on its hosts."""
        return Isos(self.record, self._connections)

    def switches(self) -> Switches:
        """The virtual switches of its hosts, as vm-bhyve's `system.conf` in its config path has them."""
        return Switches(self.record, self._connections)

    def intents(self) -> tuple[Intent, ...]:
        """Every unfinished operation that the nas tells of, whatever object carries it."""
        nas = self._connections.nas(self.record.nas)
        parent, inventory = nas.find_dataset(self.record.parent), nas.inventory(self.record.parent)
        places = (*((parent,) if parent else ()), *inventory.datasets, *inventory.volumes)
        return tuple(intent for place in places for intent in read_intents(place.path, place.marks))

    def records(self) -> tuple[GuestRecord, ...]:
        """Every guest as the nas shows it."""
        nas = self._connections.nas(self.record.nas)
        return guest_records(self.record, nas.inventory(self.record.parent))

    def create(self, request: CreateRequest, run: Run | None = None) -> Guest:
        """Make the guest, or go on with the same create if one was begun.

        ConflictError names the first difference when there is another guest, or anything else, in the way.
        """
        run = run or Run()
        try:
            make_guest(CREATE, request, self.record, self._connections, run)
        except ConflictError as error:
            self._carry_on(request, run, error)
        return self.guest(request.guest)

    def preview_create(self, request: CreateRequest) -> Preview:
        """The steps that `create` would take; nothing is changed."""
        return Run().engine().preview(planned_guest(CREATE, request, self.record, self._connections).plan)

    def _carry_on(self, request: CreateRequest, run: Run, error: ConflictError) -> None:
        """Something is in the way: it may be the same request, unfinished or complete."""
        scene = SiteScene(self._connections)
        found = self.guest(request.guest).find_record()
        if found is None:
            self.create(beside(request, self.record, self._connections, error), run)
            return
        elsewhere = found.anchor != self.record.anchor_of(request.guest)
        same = replace(request, uuid=found.uuid, beside=elsewhere)
        pending = found.intents
        if not pending:
            self._refuse_another(same, scene)
        elif is_under_way(pending[0]):
            raise BusyError(
                f"guest {request.guest}: {pending[0].by} is at work on it",
                hint=f"if that process is none of ours: pyvmiscsi ops resume {pending[0].id}",
            )
        elif pending[0].verb == CREATE and CreateRequest.from_json(pending[0].request) == same:
            operation = planned(pending[0], self.record, scene)
            run.engine().resume(operation.plan, operation.journal, operation.intent)
        else:
            raise BusyError(
                f"guest {request.guest}: another {pending[0].verb}, by {pending[0].by}, is unfinished",
                hint=f"pyvmiscsi ops resume {pending[0].id}, or ops rewind {pending[0].id}",
            )

    def _refuse_another(self, request: CreateRequest, scene: SiteScene) -> None:
        for step in create_plan(request, self.record, scene, "").steps:
            if not step.holds():
                raise ConflictError(f"guest {request.guest}: exists already, without {step.title}")
        disks = self.guest(request.guest).record().disks
        title = f"guest {request.guest}"
        refuse_difference(title, [("its number of disks", len(disks), len(request.disks))])
        for disk, asked in zip(disks, request.disks, strict=True):
            if isinstance(asked, DiskRequest):
                refuse_difference(f"{title}, {disk.name}", [("size", disk.volume.size, asked.size)])
