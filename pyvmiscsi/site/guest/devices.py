"""What a guest has: its disks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyvmiscsi.errors import BusyError, NotFoundError
from pyvmiscsi.operations.add_disk import VERB as ADD_DISK
from pyvmiscsi.operations.add_disk import AddDiskRequest, add_disk_plan
from pyvmiscsi.operations.create import DiskRequest
from pyvmiscsi.operations.pending import planned_add_disk
from pyvmiscsi.plan.engine import Preview
from pyvmiscsi.ports import BlockDevice
from pyvmiscsi.site.connections import SiteScene
from pyvmiscsi.site.guest.access import GuestAccess
from pyvmiscsi.site.running import Run, new_intent
from pyvmiscsi.steps.sessions import guest_credential


class Devices(GuestAccess):
    """Disks, added and opened."""

    def add_disk(self, disk: DiskRequest, *, emulation: str = "virtio-blk", run: Run | None = None) -> str:
        """Give the stopped guest another disk; its name. No other device of the guest moves its slot."""
        self._refuse_running()
        scene = self._scene()
        request = self._add_disk_request(disk, emulation, scene)
        intent = new_intent(ADD_DISK, str(self.name), request.as_json())
        operation = planned_add_disk(request, intent, self.datastore, scene)
        self._execute(operation, run)
        return str(request.name)

    def preview_add_disk(self, disk: DiskRequest, *, emulation: str = "virtio-blk") -> Preview:
        """The steps that `add_disk` would take; nothing is changed."""
        scene = self._scene()
        request = self._add_disk_request(disk, emulation, scene)
        return Run().engine().preview(add_disk_plan(request, self.datastore, scene, ""))

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

    def _add_disk_request(self, disk: DiskRequest, emulation: str, scene: SiteScene) -> AddDiskRequest:
        text = self._config_text(scene.host_names(self.datastore)[0], scene)
        return AddDiskRequest.of(self.record(), text, disk, emulation)
