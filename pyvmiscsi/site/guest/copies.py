"""A guest copied: clones, and what depends on what."""

from __future__ import annotations

from pyvmiscsi.errors import AlreadyExistsError, ConflictError, NotFoundError
from pyvmiscsi.names import GuestName, SnapshotName, SnapshotPath
from pyvmiscsi.operations.clone import VERB as CLONE
from pyvmiscsi.operations.clone import clone_request
from pyvmiscsi.operations.create import CreateRequest
from pyvmiscsi.operations.guests import GuestRecord
from pyvmiscsi.operations.lineage import lineage, trees_with
from pyvmiscsi.operations.pending import PlannedOperation, planned
from pyvmiscsi.operations.promote import VERB as PROMOTE
from pyvmiscsi.operations.promote import PromoteRequest
from pyvmiscsi.plan.engine import Preview
from pyvmiscsi.site.connections import SiteScene
from pyvmiscsi.site.guest.access import GuestAccess
from pyvmiscsi.site.making import beside, make_guest, planned_guest
from pyvmiscsi.site.running import Run, new_intent
from pyvmiscsi.site.views import CloneView, clone_view


class Copies(GuestAccess):
    """Clones of the guest."""

    def clone(
        self,
        new: str | GuestName,
        *,
        snapshot: str | None = None,
        full: bool = False,
        force: bool = False,
        run: Run | None = None,
    ) -> str:
        """Make another guest of this one as it was at a snapshot, or as it is now; its name.

        It copies no data, and the new guest's disks depend on that snapshot; with `full` every byte is copied, and
        they do not. BusyError for a guest that runs, unless a snapshot is named or `force` says that what a power
        failure would leave is good enough. NotFoundError without that snapshot of every disk; AlreadyExistsError when
        there is a guest `new`.
        """
        request = self._clone_request(new, snapshot, full=full, force=force)
        run = run or Run()
        try:
            make_guest(CLONE, request, self.datastore, self._connections, run)
        except ConflictError as error:
            again = beside(request, self.datastore, self._connections, error)
            make_guest(CLONE, again, self.datastore, self._connections, run)
        return str(request.guest)

    def preview_clone(
        self, new: str | GuestName, *, snapshot: str | None = None, full: bool = False, force: bool = False
    ) -> Preview:
        """The steps that `clone` would take; nothing is changed."""
        request = self._clone_request(new, snapshot, full=full, force=force)
        return Run().engine().preview(planned_guest(CLONE, request, self.datastore, self._connections).plan)

    def promote(self, run: Run | None = None) -> tuple[str, ...]:
        """Make what the guest's disks came from depend on them, and no longer they on it: then that can be destroyed.

        What that was a clone of itself, the guest now is: these snapshots are the answer. Older snapshots move along,
        and there is no way back. Also for a guest that runs: nobody notices. ConflictError when no disk is a clone, or
        has a snapshot of the same name as one that would move.
        """
        self._execute(self._planned_promote(), run)
        return tuple(disk.volume.origin for disk in self.record().disks if disk.volume.origin)

    def preview_promote(self) -> Preview:
        """The steps that `promote` would take, and which snapshots would move; nothing is changed."""
        return Run().engine().preview(self._planned_promote().plan)

    def tree(self) -> tuple[CloneView, ...]:
        """What the guest's disks are clones of, and their clones; each followed by its own."""
        inventory = self._connections.nas(self.datastore.nas).inventory(self.datastore.parent)
        found = trees_with(str(self.record().name), lineage(self.datastore, inventory))
        return tuple(clone_view(one, self.datastore) for one in found)

    def _planned_promote(self) -> PlannedOperation:
        record, scene = self.record(), self._scene()
        nas = scene.recalling(self.datastore)
        origins = [SnapshotPath.parse(disk.volume.origin) for disk in record.at_home if disk.volume.origin]
        paths = {*(origin.dataset for origin in origins), *(disk.volume.path for disk in record.at_home)}
        looks = [lambda path=path: tuple(one.name for one in nas.snapshots(path)) for path in paths]
        request = PromoteRequest.of(record, dict(zip(paths, nas.together(*looks), strict=True)))
        intent = new_intent(PROMOTE, str(self.name), request.as_json())
        return planned(intent, self.datastore, scene)

    def _clone_request(self, new: str | GuestName, snapshot: str | None, *, full: bool, force: bool) -> CreateRequest:
        name = GuestName.parse(str(new))
        self._refuse_existing_guest(name)
        if snapshot is None and not force:
            self._refuse_running()
        record, scene = self.record(), self._scene()
        self._refuse_unfinished(record)
        chosen = SnapshotName.parse(snapshot) if snapshot else None
        path, conf = self._config_at(chosen, scene)
        request = clone_request(record, conf, path, name, self.datastore, snapshot=chosen, full=full)
        if chosen is not None:
            self._refuse_without_snapshot(record, request, scene)
        return request

    def _refuse_existing_guest(self, name: GuestName) -> None:
        other = GuestAccess(name, self.datastore, self._connections).find_record()
        if other is not None:
            self._refuse_unfinished(other)
            raise AlreadyExistsError(f"guest {name}: exists already", hint="choose another name")

    def _refuse_without_snapshot(self, record: GuestRecord, request: CreateRequest, scene: SiteScene) -> None:
        nas = scene.recalling(self.datastore)
        sources = [disk.source for disk in request.copies]
        looks = [lambda one=one: nas.find_snapshot(one.dataset, one.name) for one in sources]
        for source, found in zip(sources, nas.together(*looks), strict=True):
            if found is None:
                raise NotFoundError(
                    f"guest {record.name}: no snapshot {source}",
                    hint=f"pyvmiscsi vm snapshots {record.name} lists what there is",
                )
