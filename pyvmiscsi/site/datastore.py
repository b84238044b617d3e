"""A datastore and the guests in it.

What a method needs that others do not, it imports itself: most commands want a guest of a datastore, and no more.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.names import GuestName, ImageName
from pyvmiscsi.operations.guests import GuestRecord, guest_records
from pyvmiscsi.plan.engine import Preview
from pyvmiscsi.plan.intent import Intent, read_intents
from pyvmiscsi.site.connections import Connections, SiteScene
from pyvmiscsi.site.guest import Guest
from pyvmiscsi.site.running import Run

if TYPE_CHECKING:
    from pyvmiscsi.bhyve.vm_bhyve.templates import Template
    from pyvmiscsi.operations.create import CreateRequest
    from pyvmiscsi.site.images import Image
    from pyvmiscsi.site.isos import Isos
    from pyvmiscsi.site.switches import Switches
    from pyvmiscsi.site.views import CloneView, DatastoreDetailView, DatastoreView, GuestView, ImageView, TemplateView


class Datastore:
    """Where guests live: their LUNs on a nas, their configurations below a path that its hosts share."""

    def __init__(self, record: DatastoreRecord, connections: Connections, *, default: bool = False) -> None:
        self.record = record
        self._connections = connections
        self._default = default

    def view(self) -> DatastoreView:
        from pyvmiscsi.site.views import DatastoreView

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
        from pyvmiscsi.site.foundations import config_paths, content, readiness
        from pyvmiscsi.site.views import DatastoreDetailView

        with ThreadPoolExecutor(2, thread_name_prefix="details") as pool:
            inside = pool.submit(content, self.record, self._connections)
            ready = pool.submit(readiness, self.record, self._connections) if check else None
            hosts = config_paths(self.record, self._connections)
            return DatastoreDetailView(self.view(), inside.result(), hosts, ready.result() if ready else None)

    def check(self) -> None:
        """See that guests can live there; NotFoundError names the dataset, group or directory that is missing."""
        from pyvmiscsi.site.foundations import check_foundations

        check_foundations(self.record, self._connections)

    def guest(self, name: str | GuestName) -> Guest:
        """The guest of this name, whether or not there is one: its methods raise NotFoundError."""
        return Guest(GuestName.parse(str(name)), self.record, self._connections)

    def guests(self) -> tuple[GuestView, ...]:
        """Every guest, by name: what the nas, the config path and the hosts show."""
        from pyvmiscsi.site.overview import neighbours, survey_guests

        theirs = neighbours(self.record, self._connections)
        guests = survey_guests(self.record, self._connections)
        return tuple(guest for guest in guests if guest.disks or guest.operations or guest.name not in theirs)

    def tree(self) -> tuple[CloneView, ...]:
        """Every volume that is a clone or has clones, each followed by its own."""
        from pyvmiscsi.operations.lineage import lineage
        from pyvmiscsi.site.views import clone_view

        inventory = self._connections.nas(self.record.nas).inventory(self.record.parent)
        return tuple(clone_view(one, self.record) for one in lineage(self.record, inventory))

    def template(self, name: str) -> Template:
        """vm-bhyve's template of this name; NotFoundError telling those that are there."""
        from pyvmiscsi.bhyve.vm_bhyve.templates import get_template

        scene = SiteScene(self._connections)
        return get_template(scene.host(scene.host_names(self.record)[0]), self.record.config_path, name)

    def templates(self) -> tuple[TemplateView, ...]:
        """Every template in the config path, and every other of the first host's vm-bhyve."""
        from pyvmiscsi.bhyve.vm_bhyve.templates import find_templates
        from pyvmiscsi.site.views import template_view

        scene = SiteScene(self._connections)
        found = find_templates(scene.host(scene.host_names(self.record)[0]), self.record.config_path)
        return tuple(template_view(one) for one in found.values())

    def image(self, name: str | ImageName) -> Image:
        """The image of this name, whether or not there is one: its methods raise NotFoundError."""
        from pyvmiscsi.site.images import Image

        return Image(ImageName.parse(str(name)), self.record, self._connections)

    def images(self) -> tuple[ImageView, ...]:
        """Every image, by name."""
        from pyvmiscsi.site.images import images_of

        return images_of(self.record, self._connections)

    def isos(self) -> Isos:
        """The installation media on its hosts."""
        from pyvmiscsi.site.isos import Isos

        return Isos(self.record, self._connections)

    def switches(self) -> Switches:
        """The virtual switches of its hosts, as vm-bhyve's `system.conf` in its config path has them."""
        from pyvmiscsi.site.switches import Switches

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
        from pyvmiscsi.site.creating import create_guest

        create_guest(request, self.record, self._connections, run or Run())
        return self.guest(request.guest)

    def preview_create(self, request: CreateRequest) -> Preview:
        """The steps that `create` would take; nothing is changed."""
        from pyvmiscsi.site.creating import planned_create

        return Run().engine().preview(planned_create(request, self.record, self._connections).plan)
