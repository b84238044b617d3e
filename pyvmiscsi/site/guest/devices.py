"""What a guest has: its disks and its networks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.errors import BusyError, NotFoundError
from pyvmiscsi.names import DiskName, Mac
from pyvmiscsi.operations.add_disk import VERB as ADD_DISK
from pyvmiscsi.operations.add_disk import AddDiskRequest, add_disk_plan
from pyvmiscsi.operations.create import DiskRequest
from pyvmiscsi.operations.networks import ADD as ADD_NETWORK
from pyvmiscsi.operations.networks import REMOVE as REMOVE_NETWORK
from pyvmiscsi.operations.networks import NetworkRequest, network_number
from pyvmiscsi.operations.pending import PlannedOperation, planned
from pyvmiscsi.operations.remove_disk import VERB as REMOVE_DISK
from pyvmiscsi.operations.remove_disk import RemoveDiskRequest
from pyvmiscsi.operations.scene import datastore_of
from pyvmiscsi.plan.engine import Preview
from pyvmiscsi.ports import BlockDevice
from pyvmiscsi.site.connections import SiteScene
from pyvmiscsi.site.guest.access import GuestAccess
from pyvmiscsi.site.keepers import refuse_kept
from pyvmiscsi.site.running import Run, new_intent
from pyvmiscsi.steps.sessions import guest_credential


class Devices(GuestAccess):
    """Disks and networks, added and removed; disks, opened."""

    def add_disk(self, disk: DiskRequest, *, emulation: str = "virtio-blk", run: Run | None = None) -> str:
        """Give the stopped guest another disk; its name. No other device of the guest moves its slot.

        It is put in the guest's own datastore, or in the one that `disk` names.
        """
        self._refuse_running()
        scene = self._scene()
        request = self._add_disk_request(disk, emulation, scene)
        intent = new_intent(ADD_DISK, str(self.name), request.as_json())
        operation = planned(intent, self.datastore, scene)
        self._execute(operation, run)
        return str(request.name)

    def preview_add_disk(self, disk: DiskRequest, *, emulation: str = "virtio-blk") -> Preview:
        """The steps that `add_disk` would take; nothing is changed."""
        scene = self._scene()
        request = self._add_disk_request(disk, emulation, scene)
        return Run().engine().preview(add_disk_plan(request, self.datastore, scene, ""))

    def remove_disk(self, name: str, *, keep: bool = False, snapshots: bool = False, run: Run | None = None) -> None:
        """Take a disk from the stopped guest, data and all; no other device moves its slot, no other disk its name.

        With `keep` its volume stays on the nas under a mark that tells whose it was. BusyError while it has snapshots,
        unless they are to go too (`snapshots`), or while a clone or a hold keeps one; RuleError for its only disk.
        """
        self._refuse_running()
        self._execute(self._planned_remove_disk(name, keep=keep, snapshots=snapshots), run)

    def preview_remove_disk(self, name: str, *, keep: bool = False, snapshots: bool = False) -> Preview:
        """The steps that `remove_disk` would take; nothing is changed."""
        return Run().engine().preview(self._planned_remove_disk(name, keep=keep, snapshots=snapshots).plan)

    def add_network(
        self, switch: str, *, emulation: str = "virtio-net", mac: Mac | None = None, run: Run | None = None
    ) -> str:
        """Give the stopped guest another network, on this switch; its name. No other device of it moves its slot."""
        self._refuse_running()
        operation, request = self._planned_add_network(switch, emulation, mac)
        self._execute(operation, run)
        return request.name

    def preview_add_network(self, switch: str, *, emulation: str = "virtio-net", mac: Mac | None = None) -> Preview:
        """The steps that `add_network` would take; nothing is changed."""
        return Run().engine().preview(self._planned_add_network(switch, emulation, mac)[0].plan)

    def remove_network(self, name: str, *, run: Run | None = None) -> None:
        """Take a network (`network0`, …) from the stopped guest; no other device moves its slot or changes its MAC."""
        self._refuse_running()
        self._execute(self._planned_remove_network(name), run)

    def preview_remove_network(self, name: str) -> Preview:
        """The steps that `remove_network` would take; nothing is changed."""
        return Run().engine().preview(self._planned_remove_network(name).plan)

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
        nas = self._connections.nas(disk.datastore(self.datastore).nas)
        credential = guest_credential(nas, disk.target.chap_tag if disk.target else None)
        with self._connections.block_access().open(disk.proof(self.datastore).address, credential) as device:
            yield device

    def _add_disk_request(self, disk: DiskRequest, emulation: str, scene: SiteScene) -> AddDiskRequest:
        where = datastore_of(disk.datastore, self.datastore, scene)
        return AddDiskRequest.of(self.record(), self._own_text(scene), disk, self.datastore, where, emulation=emulation)

    def _planned_remove_disk(self, name: str, *, keep: bool, snapshots: bool) -> PlannedOperation:
        scene, disk = self._scene(), DiskName.parse(name)
        record, conf = self.record(), self._own_text(scene)
        if disk in record.mark.elsewhere and all(disk != one.name for one in record.disks):
            lost = RemoveDiskRequest.of_lost(record, conf, disk, scene.datastore(record.mark.elsewhere[disk]))
            return planned(new_intent(REMOVE_DISK, str(self.name), lost.as_json()), self.datastore, scene)
        request = RemoveDiskRequest.of(record, conf, disk, self.datastore, keep=keep, snapshots=snapshots)
        where = datastore_of(request.disk.datastore, self.datastore, scene)
        nas, volume = scene.nas(where), request.disk.volume
        if snapshots:
            refuse_kept((volume,), where, nas)
        elif not keep and (found := nas.snapshots(volume)):
            names = ", ".join(str(one.name) for one in found)
            raise BusyError(
                f"guest {self.name}: {disk} has the snapshots {names}", hint="--snapshots lets them go, too"
            )
        intent = new_intent(REMOVE_DISK, str(self.name), request.as_json())
        return planned(intent, self.datastore, scene)

    def _planned_add_network(
        self, switch: str, emulation: str, mac: Mac | None
    ) -> tuple[PlannedOperation, NetworkRequest]:
        scene = self._scene()
        request = NetworkRequest.to_add(self.record(), self._own_text(scene), switch, emulation=emulation, mac=mac)
        intent = new_intent(ADD_NETWORK, str(self.name), request.as_json())
        return planned(intent, self.datastore, scene), request

    def _planned_remove_network(self, name: str) -> PlannedOperation:
        scene = self._scene()
        request = NetworkRequest.to_remove(self.record(), self._own_text(scene), network_number(name))
        intent = new_intent(REMOVE_NETWORK, str(self.name), request.as_json())
        return planned(intent, self.datastore, scene)

    def _own_text(self, scene: SiteScene) -> ConfText:
        return self._config_text(scene.host_names(self.datastore)[0], scene)
