"""What a guest was: its snapshots."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.configuration.config_text import parse_guest
from pyvmiscsi.errors import AlreadyExistsError, ConflictError, NotFoundError
from pyvmiscsi.model import Snapshot
from pyvmiscsi.names import DatasetPath, SnapshotName
from pyvmiscsi.operations.guests import GuestRecord, refuse_elsewhere
from pyvmiscsi.operations.pairing import names_the_same
from pyvmiscsi.operations.pending import PlannedOperation, planned
from pyvmiscsi.operations.snapshots import (
    FORGET,
    ROLLBACK,
    SNAPSHOT,
    RollbackRequest,
    SnapshotRequest,
    default_name,
    refuse_several_moments,
)
from pyvmiscsi.plan.engine import Preview
from pyvmiscsi.site.connections import SiteScene
from pyvmiscsi.site.guest.access import GuestAccess
from pyvmiscsi.site.running import Run, new_intent
from pyvmiscsi.site.views import PrunedView, SnapshotView
from pyvmiscsi.steps.configuration import kept_path
from pyvmiscsi.steps.snapshots import Expiry, refuse_kept_snapshots


class Snapshots(GuestAccess):
    """Snapshots taken, listed, forgotten, rolled back to."""

    def snapshot(
        self,
        name: str | None = None,
        *,
        force: bool = False,
        keep: timedelta | None = None,
        run: Run | None = None,
    ) -> str:
        """Keep what all disks of the guest are at one moment, and its configuration; the snapshot's name.

        With `keep` it expires after that time, and `prune_snapshots` then takes it away; that cannot be changed later.
        vm-bhyve's default name, the time. BusyError for a guest that runs unless `force`: what is kept is then what a
        power failure would leave. AlreadyExistsError for a name that is taken.
        """
        if not force:
            self._refuse_running()
        record, scene = self.record(), self._scene()
        refuse_several_moments(record, self.datastore)
        chosen = SnapshotName.parse(name) if name else default_name(datetime.now().astimezone())
        expiry = Expiry(record.uuid, datetime.now(UTC) + keep) if keep else None
        request = SnapshotRequest(self.name, record.anchor, record.uuid, chosen, expiry)
        if scene.nas(self.datastore).find_snapshot(record.anchor, chosen) is not None:
            raise AlreadyExistsError(f"snapshot {self.name}@{chosen}: is there already", hint="choose another name")
        intent = new_intent(SNAPSHOT, str(self.name), request.as_json())
        self._execute(planned(intent, self.datastore, scene), run)
        return str(chosen)

    def snapshots(self) -> tuple[SnapshotView, ...]:
        """The guest's snapshots, oldest first, also those that others took."""
        record = self.record()
        found = self._connections.nas(self.datastore.nas).snapshots(record.anchor)
        return tuple(self._view(one, Expiry.in_marks(one.marks), record) for one in found)

    def prune_snapshots(self, *, dry_run: bool = False, run: Run | None = None) -> tuple[PrunedView, ...]:
        """Forget the guest's own snapshots that have expired, each for good; which those are, the oldest first.

        What a clone or a hold keeps stays, and is told; with `dry_run` all of them stay. BusyError while another
        operation on the guest is unfinished.
        """
        record, nas, now = self.record(), self._connections.nas(self.datastore.nas), datetime.now(UTC)
        expired = [
            (one, expiry.until)
            for one in nas.snapshots(record.anchor)
            if (expiry := Expiry.in_marks(one.marks)) and expiry.guest == record.uuid and expiry.until <= now
        ]
        if not expired:
            return ()
        keepers = nas.snapshot_keepers((record.anchor, *(disk.volume.path for disk in record.at_home)))
        pruned = []
        for one, until in expired:
            kept_by = tuple(
                keeper for full, found in keepers.items() if full.endswith(f"@{one.name}") for keeper in found
            )
            if not kept_by and not dry_run:
                self.forget_snapshot(str(one.name), run)
            pruned.append(PrunedView(str(self.name), str(one.name), until.isoformat(), kept_by))
        return tuple(pruned)

    def forget_snapshot(self, name: str, run: Run | None = None) -> None:
        """Have the nas keep it no longer.

        NotFoundError without it, and BusyError while a clone depends on it, before anything is touched.
        """
        record, scene, chosen = self.record(), self._scene(), SnapshotName.parse(name)
        if scene.nas(self.datastore).find_snapshot(record.anchor, chosen) is None:
            raise NotFoundError(
                f"guest {self.name}: no snapshot {chosen}",
                hint=f"pyvmiscsi vm snapshots {self.name} lists what there is",
            )
        going = {f"{path}@{chosen}" for path in (record.anchor, *(disk.volume.path for disk in record.at_home))}
        self._refuse_kept(going, record, scene)
        request = SnapshotRequest(self.name, record.anchor, record.uuid, chosen)
        intent = new_intent(FORGET, str(self.name), request.as_json())
        self._execute(planned(intent, self.datastore, scene), run)

    def rollback(self, name: str, *, newer: bool = False, configuration: bool = False, run: Run | None = None) -> None:
        """Make all disks of the stopped guest what they were; what was written since is lost.

        `newer` lets newer snapshots go, which are in the way; `configuration` brings back the configuration kept with
        the snapshot, too. NotFoundError, ConflictError and BusyError before anything is touched.
        """
        self._refuse_running()
        operation = self._planned_rollback(SnapshotName.parse(name), newer=newer, configuration=configuration)
        self._execute(operation, run)

    def preview_rollback(self, name: str, *, newer: bool = False, configuration: bool = False) -> Preview:
        """The steps that `rollback` would take; nothing is changed."""
        operation = self._planned_rollback(SnapshotName.parse(name), newer=newer, configuration=configuration)
        return Run().engine().preview(operation.plan)

    def _view(self, snapshot: Snapshot, expiry: Expiry | None, record: GuestRecord) -> SnapshotView:
        expires = expiry.until.isoformat() if expiry and expiry.guest == record.uuid else None
        return SnapshotView(str(self.name), str(snapshot.name), snapshot.created.isoformat(), expires)

    def _planned_rollback(self, name: SnapshotName, *, newer: bool, configuration: bool) -> PlannedOperation:
        record, scene = self.record(), self._scene()
        refuse_elsewhere(record, "and was not kept with the others")
        nas = scene.nas(self.datastore)
        later: list[tuple[DatasetPath, SnapshotName]] = []
        for path in sorted({record.anchor, *(disk.volume.path for disk in record.at_home)}):
            found = [one.name for one in nas.snapshots(path)]
            if name not in found:
                raise NotFoundError(
                    f"guest {self.name}: no snapshot {path}@{name}",
                    hint="a disk added since the snapshot has none; pyvmiscsi vm snapshots lists what there is",
                )
            later += [(path, one) for one in found[found.index(name) + 1 :]]
        if later and not newer:
            names = ", ".join(sorted({str(one) for _, one in later}))
            raise ConflictError(f"guest {self.name}: newer snapshots than {name}: {names}", hint="-r lets them go")
        self._refuse_kept({f"{path}@{one}" for path, one in later}, record, scene)
        if configuration:
            directory = f"{self.datastore.config_path}/{self.name}"
            host = self._config_host(scene)
            kept = host.read_file(kept_path(directory, str(name)))
            if kept is None:
                raise NotFoundError(f"guest {self.name}: no configuration was kept with {name}")
            self._refuse_other_disks(record, ConfText(kept.decode(errors="surrogateescape")), name)
        request = RollbackRequest.of(record, name, tuple(later), configuration=configuration)
        intent = new_intent(ROLLBACK, str(self.name), request.as_json())
        return planned(intent, self.datastore, scene)

    def _refuse_other_disks(self, record: GuestRecord, kept: ConfText, name: SnapshotName) -> None:
        """ConflictError when disks came or went since: the guest could not start with the configuration of then."""
        if not names_the_same(record, parse_guest(self.name, kept)):
            raise ConflictError(
                f"guest {self.name}: the configuration kept with {name} names other disks than it has now",
                hint="roll back without the configuration",
            )

    def _refuse_kept(self, going: set[str], record: GuestRecord, scene: SiteScene) -> None:
        """BusyError when a clone or a hold keeps one of these snapshots."""
        paths = {record.anchor, *(disk.volume.path for disk in record.at_home)}
        keepers = scene.nas(self.datastore).snapshot_keepers(paths) if going else {}
        refuse_kept_snapshots({snapshot: names for snapshot, names in keepers.items() if snapshot in going})
