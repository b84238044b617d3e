"""The end of a guest."""

from __future__ import annotations

from pyvmiscsi.operations.destroy import VERB as DESTROY
from pyvmiscsi.operations.destroy import DestroyRequest
from pyvmiscsi.operations.pending import PlannedOperation, planned
from pyvmiscsi.plan.engine import Preview
from pyvmiscsi.site.guest.access import GuestAccess
from pyvmiscsi.site.keepers import refuse_kept
from pyvmiscsi.site.running import Run, new_intent


class Removal(GuestAccess):
    """A guest destroyed."""

    def destroy(self, run: Run | None = None, *, keep_disks: bool = False) -> None:
        """Everything of the guest goes, its snapshots and all that is on the nas too.

        With `keep_disks` its volumes and their snapshots stay, no longer offered to anybody, under a mark that tells
        whose they were. BusyError while it runs, while any session has a disk of it, or while a clone or a hold keeps a
        snapshot of it; nothing is touched then.
        """
        self._refuse_running()
        self._execute(self._planned_destroy(keep_disks=keep_disks), run)

    def preview_destroy(self, *, keep_disks: bool = False) -> Preview:
        """The steps that `destroy` would take; nothing is changed. What would refuse it, refuses this too."""
        return Run().engine().preview(self._planned_destroy(keep_disks=keep_disks).plan)

    def all_snapshots(self) -> tuple[str, ...]:
        """The names of all snapshots of the guest and of single disks of it, whoever took them: a destroy takes them.

        Oldest first.
        """
        record = self.record()
        places = {(self.datastore.nas, record.anchor)}
        places |= {(disk.datastore(self.datastore).nas, disk.volume.path) for disk in record.disks}
        found = sorted(
            (one.created, str(one.name))
            for nas, path in sorted(places)
            for one in self._connections.nas(nas).snapshots(path)
        )
        return tuple(dict.fromkeys(name for _, name in found))

    def _planned_destroy(self, *, keep_disks: bool) -> PlannedOperation:
        scene = self._scene()
        request = DestroyRequest.of(self.record(), self.datastore, keep_disks=keep_disks)
        if not keep_disks:
            refuse_kept(request.volumes, self.datastore, scene.nas(self.datastore))
            for disk in request.disks:
                if disk.datastore:
                    where = scene.datastore(disk.datastore)
                    refuse_kept((disk.volume,), where, scene.nas(where))
        intent = new_intent(DESTROY, str(self.name), request.as_json())
        return planned(intent, self.datastore, scene)
