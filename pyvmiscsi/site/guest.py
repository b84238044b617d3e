"""A guest and what can be done with it."""

from __future__ import annotations

from dataclasses import replace

from pyvmiscsi.bhyve.config_path import guest_directories
from pyvmiscsi.errors import BusyError, NotFoundError
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.names import GuestName
from pyvmiscsi.operations.destroy import DestroyRequest
from pyvmiscsi.operations.guests import GuestRecord, guest_records
from pyvmiscsi.operations.pending import PlannedOperation, planned_destroy
from pyvmiscsi.plan.engine import Preview
from pyvmiscsi.site.connections import Connections, SiteScene
from pyvmiscsi.site.running import Run, new_intent
from pyvmiscsi.site.survey import glance, guest_view
from pyvmiscsi.site.views import GuestView


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
        record = self.record()
        scene = SiteScene(self._connections)
        hosts = scene.host_names(self.datastore)
        seen = [found for name in hosts if (found := glance(self._connections, name)) is not None]
        directory = guest_directories(scene.host(hosts[0]), self.datastore.config_path).get(str(self.name))
        devices = {
            str(session.target): f"{host.name}:{device}"
            for host in seen
            for session in scene.initiator(host.name).sessions()
            for device in session.luns.values()
        }
        return guest_view(
            str(self.name), self.datastore, record=record, directory=directory, seen=seen, devices=devices
        )

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

    def _refuse_running(self) -> None:
        view = self.info()
        if view.state != "Stopped":
            raise BusyError(
                f"guest {self.name}: {view.state.lower()} on {view.host}", hint=f"pyvmiscsi vm stop {self.name}"
            )

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
