"""A guest and what can be done with it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from pyvmiscsi.bhyve.conf_text import ConfText
from pyvmiscsi.bhyve.config import GuestConfig
from pyvmiscsi.bhyve.config_text import parse_guest
from pyvmiscsi.bhyve.hypervisor import Hypervisor
from pyvmiscsi.bhyve.loader import console
from pyvmiscsi.bhyve.rules import check
from pyvmiscsi.errors import AlreadyExistsError, BusyError, ConflictError, HostUnreachableError, NotFoundError
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.names import DatasetPath, DiskName, GuestName, SnapshotName
from pyvmiscsi.operations.add_disk import AddDiskRequest, add_disk_plan
from pyvmiscsi.operations.create import DiskRequest
from pyvmiscsi.operations.destroy import DestroyRequest
from pyvmiscsi.operations.guests import GuestRecord, guest_records
from pyvmiscsi.operations.pending import (
    PlannedOperation,
    planned_add_disk,
    planned_destroy,
    planned_rollback,
    planned_snapshot,
)
from pyvmiscsi.operations.snapshots import (
    FORGET,
    ROLLBACK,
    SNAPSHOT,
    RollbackRequest,
    SnapshotRequest,
    default_name,
    refuse_several_moments,
)
from pyvmiscsi.operations.start import StartRequest, start_journal, start_plan, supposed_devices
from pyvmiscsi.operations.stop import stop_plan
from pyvmiscsi.plan.engine import Preview
from pyvmiscsi.plan.intent import Intent
from pyvmiscsi.ports import BlockDevice
from pyvmiscsi.site.connections import Connections, SiteScene
from pyvmiscsi.site.running import Run, new_intent
from pyvmiscsi.site.survey import guest_view, survey_hosts
from pyvmiscsi.site.views import GuestView, SnapshotView
from pyvmiscsi.steps.configuration import kept_path
from pyvmiscsi.steps.lock import NoJournal
from pyvmiscsi.steps.sessions import guest_credential


class Guest:
    """One guest of a datastore, by name; nothing of it is kept here, so every answer is fresh."""

    def __init__(self, name: GuestName, datastore: DatastoreRecord, connections: Connections) -> None:
        self.name = name
        self.datastore = datastore
        self._connections = connections

    def exists(self) -> bool:
        """Whether its mark stands on the nas."""
        return self._find_record() is not None

    def record(self) -> GuestRecord:
        """The guest as the nas shows it; NotFoundError when there is none."""
        record = self._find_record()
        if record is None:
            raise NotFoundError(f"guest {self.name}: not in datastore {self.datastore.name}", hint="pyvmiscsi vm list")
        return record

    def info(self) -> GuestView:
        """Guest, disks, volumes, extents, targets, sessions and devices in one view."""
        with ThreadPoolExecutor(1, thread_name_prefix="record") as pool:
            record = pool.submit(self.record)
            hosts = survey_hosts(self.datastore, self._connections)
            return guest_view(str(self.name), self.datastore, record.result(), hosts)

    def is_configured(self) -> bool:
        """Whether the hosts know it: its configuration stands in the config path."""
        return str(self.name) in survey_hosts(self.datastore, self._connections).directories

    def start(self, host: str | None = None, run: Run | None = None) -> str:
        """Run the guest on a host (the datastore's first, if none is named), on disks proven there; the host's name.

        RuleError names what keeps it from starting before anything is touched; BusyError when it runs already.
        """
        scene = SiteScene(self._connections)
        request = self._start_request(host or scene.host_names(self.datastore)[0], scene)
        check(request.config, Hypervisor(scene.host(request.host)).capabilities(), supposed_devices(request))
        intent = new_intent("start", str(self.name), {"guest": str(self.name), "host": request.host})
        operation = self._planned_start(request, intent, scene)
        (run or Run()).engine().execute(operation.plan, operation.journal, operation.intent)
        return request.host

    def preview_start(self, host: str | None = None) -> Preview:
        """The steps that `start` would take; nothing is changed."""
        scene = SiteScene(self._connections)
        request = self._start_request(host or scene.host_names(self.datastore)[0], scene)
        return Run().engine().preview(start_plan(request, self.datastore, scene, ""))

    def planned_start(self, intent: Intent) -> PlannedOperation:
        """A start that was cut short, as its lock tells of it."""
        scene = SiteScene(self._connections)
        return self._planned_start(self._start_request(intent.request["host"], scene), intent, scene)

    def stop(self, *, deadline: float = 120.0, force: bool = False, run: Run | None = None) -> None:
        """See the guest off and its disks logged out; no error when they are. The nas is not asked: it may be lost.

        DeadlineError when it does not power off in time and `force` does not say to make it.
        """
        hosts = survey_hosts(self.datastore, self._connections)
        _, where = hosts.state_of(str(self.name))
        names = [glance.name for glance in hosts.hosts if where in (None, glance.name)]
        if not names:
            raise HostUnreachableError(f"guest {self.name}: on {where}, which does not answer")
        scene = SiteScene(self._connections)
        config = self._config(names[0], scene)
        targets = [self.datastore.target_of(self.name, DiskName(disk.number)) for disk in config.disks if disk.is_lun]
        for name in names:
            plan = stop_plan(self.name, targets, self.datastore, scene, host=name, deadline=deadline, force=force)
            (run or Run()).engine().execute(plan, NoJournal(), new_intent("stop", str(self.name), {}))

    def console(self) -> int:
        """The guest's first serial port on this terminal, until `~.`; the status of cu(1)."""
        state, host = survey_hosts(self.datastore, self._connections).state_of(str(self.name))
        if state != "Running" or host is None:
            raise NotFoundError(f"guest {self.name}: not running", hint=f"pyvmiscsi vm start {self.name}")
        scene = SiteScene(self._connections)
        return scene.host(host).interact(["/usr/bin/cu", "-l", console(self._config(host, scene), end="B")])

    def add_disk(self, disk: DiskRequest, *, emulation: str = "virtio-blk", run: Run | None = None) -> str:
        """Give the stopped guest another disk; its name. No other device of the guest moves its slot."""
        self._refuse_running()
        scene = SiteScene(self._connections)
        request = self._add_disk_request(disk, emulation, scene)
        intent = new_intent("add-disk", str(self.name), request.as_json())
        operation = planned_add_disk(request, intent, self.datastore, scene)
        (run or Run()).engine().execute(operation.plan, operation.journal, operation.intent)
        return str(request.name)

    def preview_add_disk(self, disk: DiskRequest, *, emulation: str = "virtio-blk") -> Preview:
        """The steps that `add_disk` would take; nothing is changed."""
        scene = SiteScene(self._connections)
        request = self._add_disk_request(disk, emulation, scene)
        return Run().engine().preview(add_disk_plan(request, self.datastore, scene, ""))

    def snapshot(self, name: str | None = None, *, force: bool = False, run: Run | None = None) -> str:
        """Keep what all disks of the guest are at one moment, and its configuration; the snapshot's name.

        vm-bhyve's default name, the time. BusyError for a guest that runs unless `force`: what is kept is then what a
        power failure would leave. AlreadyExistsError for a name that is taken.
        """
        if not force:
            self._refuse_running()
        record, scene = self.record(), SiteScene(self._connections)
        refuse_several_moments(record, self.datastore)
        chosen = SnapshotName.parse(name) if name else default_name(datetime.now().astimezone())
        request = SnapshotRequest(self.name, chosen)
        if scene.nas(self.datastore).find_snapshot(record.anchor, chosen) is not None:
            raise AlreadyExistsError(f"snapshot {self.name}@{chosen}: is there already", hint="choose another name")
        intent = new_intent(SNAPSHOT, str(self.name), request.as_json())
        self._execute(planned_snapshot(request, intent, self.datastore, scene), run)
        return str(chosen)

    def snapshots(self) -> tuple[SnapshotView, ...]:
        """The guest's snapshots, oldest first, also those that others took."""
        record = self.record()
        found = self._connections.nas(self.datastore.nas).snapshots(record.anchor)
        return tuple(SnapshotView(str(self.name), str(one.name), one.created.isoformat()) for one in found)

    def forget_snapshot(self, name: str, run: Run | None = None) -> None:
        """Have the nas keep it no longer; BusyError while a clone depends on it."""
        self.record()
        request = SnapshotRequest(self.name, SnapshotName.parse(name))
        intent = new_intent(FORGET, str(self.name), request.as_json())
        scene = SiteScene(self._connections)
        self._execute(planned_snapshot(request, intent, self.datastore, scene), run)

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

    @contextmanager
    def open_disk(self, name: str = "disk0") -> Iterator[BlockDevice]:
        """A disk of the guest, read and written from this process as long as the context lasts.

        NotFoundError without such a disk; BusyError while anybody is logged in to it: two writers would ruin it.
        """
        disk = next((disk for disk in self.record().disks if str(disk.name) == name), None)
        if disk is None:
            raise NotFoundError(f"guest {self.name}: has no {name}")
        if disk.sessions:
            raise BusyError(f"guest {self.name}: {disk.sessions[0].initiator} is logged in to {name}")
        nas = self._connections.nas(self.datastore.nas)
        credential = guest_credential(nas, disk.target.chap_tag if disk.target else None)
        with self._connections.block_access().open(disk.proof(self.datastore).address, credential) as device:
            yield device

    def destroy(self, run: Run | None = None) -> None:
        """Everything of the guest goes, on the nas too; BusyError while it runs or any session has a disk of it."""
        self._refuse_running()
        operation = self._planned_destroy()
        (run or Run()).engine().execute(operation.plan, operation.journal, operation.intent)

    def preview_destroy(self) -> Preview:
        """The steps that `destroy` would take; nothing is changed."""
        return Run().engine().preview(self._planned_destroy().plan)

    def _planned_destroy(self) -> PlannedOperation:
        request = DestroyRequest.of(self.record(), self.datastore)
        intent = new_intent("destroy", str(self.name), request.as_json())
        return planned_destroy(request, intent, self.datastore, SiteScene(self._connections))

    def _planned_start(self, request: StartRequest, intent: Intent, scene: SiteScene) -> PlannedOperation:
        plan = start_plan(request, self.datastore, scene, intent.id)
        return PlannedOperation(intent, plan, start_journal(request, scene, intent))

    def _start_request(self, host: str, scene: SiteScene) -> StartRequest:
        record = self.record()
        if record.intents:
            first = record.intents[0]
            raise BusyError(
                f"guest {self.name}: {first.verb} begun {first.since} by {first.by} is unfinished",
                hint=f"pyvmiscsi ops resume {first.id}, or ops rewind {first.id}",
            )
        return StartRequest.of(record, self._config(host, scene), self.datastore, host)

    def _planned_rollback(self, name: SnapshotName, *, newer: bool, configuration: bool) -> PlannedOperation:
        record, scene = self.record(), SiteScene(self._connections)
        nas = scene.nas(self.datastore)
        later: list[tuple[DatasetPath, SnapshotName]] = []
        for path in sorted({record.anchor, *(disk.volume.path for disk in record.disks)}):
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
        if configuration:
            directory = f"{self.datastore.config_path}/{self.name}"
            host = scene.host(scene.host_names(self.datastore)[0])
            if host.read_file(kept_path(directory, str(name))) is None:
                raise NotFoundError(f"guest {self.name}: no configuration was kept with {name}")
        request = RollbackRequest.of(record, name, tuple(later), configuration=configuration)
        intent = new_intent(ROLLBACK, str(self.name), request.as_json())
        return planned_rollback(request, intent, self.datastore, scene)

    def _execute(self, operation: PlannedOperation, run: Run | None) -> None:
        (run or Run()).engine().execute(operation.plan, operation.journal, operation.intent)

    def _add_disk_request(self, disk: DiskRequest, emulation: str, scene: SiteScene) -> AddDiskRequest:
        text = self._config_text(scene.host_names(self.datastore)[0], scene)
        return AddDiskRequest.of(self.record(), text, disk, emulation)

    def _config(self, host: str, scene: SiteScene) -> GuestConfig:
        return parse_guest(self.name, self._config_text(host, scene))

    def _config_text(self, host: str, scene: SiteScene) -> ConfText:
        path = f"{self.datastore.config_path}/{self.name}/{self.name}.conf"
        found = scene.host(host).read_file(path)
        if found is None:
            raise NotFoundError(f"guest {self.name}: no {path} on {host}", hint="is the config path mounted there?")
        return ConfText(found.decode(errors="surrogateescape"))

    def _refuse_running(self) -> None:
        state, host = survey_hosts(self.datastore, self._connections).state_of(str(self.name))
        if state != "Stopped":
            raise BusyError(f"guest {self.name}: {state.lower()} on {host}", hint=f"pyvmiscsi vm stop {self.name}")

    def _find_record(self) -> GuestRecord | None:
        nas = self._connections.nas(self.datastore.nas)
        if self.datastore.layout == "flat":
            inventory = nas.inventory(self.datastore.parent)
        else:
            anchor = nas.find_dataset(self.datastore.anchor_of(self.name))
            if anchor is None:
                return None
            inventory = replace(nas.inventory(anchor.path), datasets=(anchor,))
        return next((record for record in guest_records(self.datastore, inventory) if record.name == self.name), None)
