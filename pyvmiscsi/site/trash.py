"""The trash: guests that were parked, brought back or let go for good."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from pyvmiscsi.errors import AlreadyExistsError, ConflictError, NotFoundError
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.names import GuestName
from pyvmiscsi.operations.parked import ParkedRecord, parked_records
from pyvmiscsi.operations.pending import PlannedOperation, planned
from pyvmiscsi.operations.trash import EMPTY, RESTORE, EmptyRequest, RestoreRequest, put_away
from pyvmiscsi.plan.engine import Preview
from pyvmiscsi.site.connections import Connections, SiteScene
from pyvmiscsi.site.guest import Guest
from pyvmiscsi.site.running import Run, new_intent
from pyvmiscsi.site.views import ParkedView
from pyvmiscsi.steps.seeds import Seed
from pyvmiscsi.steps.snapshots import refuse_kept_snapshots

_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class ParkedGuest:
    """A guest in the trash, as its nas showed it a moment ago."""

    record: ParkedRecord
    datastore: DatastoreRecord
    _connections: Connections

    @property
    def label(self) -> str:
        """`web1-1f0c2d9a`."""
        return self.record.parked.label

    @property
    def is_expired(self) -> bool:
        """Whether the days for which it was parked are over."""
        return self.record.parked.until <= datetime.now(UTC)

    def view(self) -> ParkedView:
        record, parked = self.record, self.record.parked
        return ParkedView(
            label=parked.label,
            guest=str(parked.guest),
            datastore=self.datastore.name,
            uuid=str(parked.uuid),
            until=parked.until.isoformat(),
            expired=self.is_expired,
            volumes=tuple(str(disk.was.volume) for disk in parked.disks),
            size=record.size,
            operations=tuple(intent.id for intent in record.intents),
        )

    def restore(self, as_name: str | None = None, run: Run | None = None) -> Guest:
        """Make a guest of it again, under its name or this one, with a new CHAP secret and the serials of old.

        AlreadyExistsError, before anything is touched, when anything has that name.
        """
        operation = self._planned_restore(as_name)
        (run or Run()).engine().execute(operation.plan, operation.journal, operation.intent)
        return self._guest(RestoreRequest.from_json(operation.intent.request).guest)

    def preview_restore(self, as_name: str | None = None) -> Preview:
        """The steps that `restore` would take; nothing is changed."""
        return Run().engine().preview(self._planned_restore(as_name).plan)

    def empty(self, run: Run | None = None) -> None:
        """Let it go for good, its snapshots too.

        BusyError, and nothing is touched, while a clone or a hold keeps one of them.
        """
        operation = self._planned_empty()
        (run or Run()).engine().execute(operation.plan, operation.journal, operation.intent)

    def preview_empty(self) -> Preview:
        """The steps that `empty` would take; nothing is changed. What would refuse it, refuses this too."""
        return Run().engine().preview(self._planned_empty().plan)

    def _planned_restore(self, as_name: str | None) -> PlannedOperation:
        parked, scene = self.record.parked, SiteScene(self._connections)
        name = GuestName.parse(as_name) if as_name else parked.guest
        request = RestoreRequest(
            self.record.anchor, parked, name, seeded=name != parked.guest and self._has_seed(scene)
        )
        self._refuse_taken(request, scene)
        intent = new_intent(RESTORE, str(name), request.as_json())
        return planned(intent, self.datastore, scene)

    def _has_seed(self, scene: SiteScene) -> bool:
        parked, host = self.record.parked, scene.host(scene.host_names(self.datastore)[0])
        return parked.configured and Seed(host, put_away(parked, self.datastore).path).tells_name()

    def _planned_empty(self) -> PlannedOperation:
        record, scene = self.record, SiteScene(self._connections)
        request = EmptyRequest(record.anchor, record.parked, record.origins)
        if record.strangers:
            raise ConflictError(
                f"{self.label}: {record.strangers[0]} stands below its dataset, and is no disk of it",
                hint="move it or delete it on the nas",
            )
        refuse_kept_snapshots(scene.nas(self.datastore).snapshot_keepers(request.volumes))
        intent = new_intent(EMPTY, str(record.parked.guest), request.as_json())
        return planned(intent, self.datastore, scene)

    def _refuse_taken(self, request: RestoreRequest, scene: SiteScene) -> None:
        nas, name = scene.nas(self.datastore), request.guest
        taken = [f"guest {name}"] if self._guest(name).exists() else []
        taken += [f"target {iqn}" for iqn in request.targets(self.datastore) if nas.find_target(iqn)]
        taken += [f"extent {extent}" for extent in request.extents if nas.find_extent(extent)]
        directory = f"{self.datastore.config_path}/{name}"
        host = scene.host(scene.host_names(self.datastore)[0])
        taken += [directory] if host.list_directory(directory) else []
        if taken:
            raise AlreadyExistsError(f"{taken[0]}: is there already", hint="restore it under another name")

    def _guest(self, name: GuestName) -> Guest:
        return Guest(name, self.datastore, self._connections)


class Trash:
    """The parked guests of some datastores."""

    def __init__(self, datastores: Iterable[DatastoreRecord], connections: Connections) -> None:
        self._datastores = tuple(datastores)
        self._connections = connections

    def parked(self) -> tuple[ParkedGuest, ...]:
        """Every guest in the trash, by datastore and name."""
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="trash") as pool:
            return tuple(guest for some in pool.map(self._parked_in, self._datastores) for guest in some)

    def find(self, name: str) -> ParkedGuest:
        """The one of this label, or of this name alone; NotFoundError, or ConflictError naming those it could be."""
        found = [guest for guest in self.parked() if name in (guest.label, str(guest.record.parked.guest))]
        if not found:
            raise NotFoundError(f"guest {name}: not in the trash", hint="pyvmiscsi trash list")
        if len(found) > 1:
            could_be = ", ".join(f"{guest.label} in {guest.datastore.name}" for guest in found)
            raise ConflictError(f"guest {name}: several are in the trash: {could_be}", hint="say which, by its label")
        return found[0]

    def _parked_in(self, datastore: DatastoreRecord) -> tuple[ParkedGuest, ...]:
        inventory = self._connections.nas(datastore.nas).inventory(datastore.parent)
        return tuple(
            ParkedGuest(record, datastore, self._connections) for record in parked_records(datastore, inventory)
        )
