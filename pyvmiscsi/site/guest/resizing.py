"""A guest's disks, made larger."""

from __future__ import annotations

from dataclasses import replace

from pyvmiscsi.bhyve.hypervisor import Hypervisor
from pyvmiscsi.errors import BusyError, ConflictError, DeadlineError, LoginError, MissingLibraryError
from pyvmiscsi.names import DiskName
from pyvmiscsi.operations.guests import GuestDisk
from pyvmiscsi.operations.pairing import disk_name_of
from pyvmiscsi.operations.pending import PlannedOperation, planned
from pyvmiscsi.operations.resize import VERB as RESIZE
from pyvmiscsi.operations.resize import ResizeRequest, is_seen_while_running
from pyvmiscsi.plan.engine import Preview
from pyvmiscsi.site.connections import SiteScene
from pyvmiscsi.site.guest.access import GuestAccess
from pyvmiscsi.site.running import Run, new_intent
from pyvmiscsi.site.survey import HostSurvey, survey_hosts
from pyvmiscsi.site.views import ResizedView
from pyvmiscsi.steps.sizes import LunSized
from pyvmiscsi.units import Size


class Resizing(GuestAccess):
    """Disks that grow, while the guest runs or not."""

    def resize(self, disk: str, size: Size, run: Run | None = None) -> ResizedView:
        """Make a disk larger: on the nas, as its LUN, and proven where the guest has it, else from here or by a host.

        NotFoundError, RuleError (smaller, or no whole number of blocks) and BusyError (somebody unknown is logged in)
        before anything is touched; NasSpaceError leaves all as it was. A size that the disk has already is no error.
        """
        scene, hosts = self._scene(), survey_hosts(self.datastore, self._connections)
        operation, request = self._planned_resize(disk, size, scene, hosts)
        self._execute(operation, run)
        at_once = self._is_told_at_once(request.disk, scene, hosts)
        return ResizedView(str(self.name), str(request.disk), size.bytes, request.hosts, at_once)

    def preview_resize(self, disk: str, size: Size) -> Preview:
        """The steps that `resize` would take; nothing is changed."""
        hosts = survey_hosts(self.datastore, self._connections)
        operation, _ = self._planned_resize(disk, size, self._scene(), hosts)
        return Run().engine().preview(operation.plan)

    def _planned_resize(
        self, disk: str, size: Size, scene: SiteScene, hosts: HostSurvey
    ) -> tuple[PlannedOperation, ResizeRequest]:
        record, name = self.record(), DiskName.parse(disk)
        found = next((one for one in record.disks if one.name == name), None)
        request = ResizeRequest.of(record, name, size, self.datastore, self._hosts_that_have(found, hosts))
        if found is not None and not request.hosts and not self._is_reached_from_here(found, scene):
            request = replace(request, via=hosts.hosts[0].name)
        intent = new_intent(RESIZE, str(self.name), request.as_json())
        return planned(intent, self.datastore, scene), request

    def _is_told_at_once(self, name: DiskName, scene: SiteScene, hosts: HostSurvey) -> bool | None:
        """Whether bhyve tells the guest that its disk has grown; None when it does not run."""
        state, host = hosts.state_of(str(self.name))
        if state != "Running" or host is None:
            return None
        release = Hypervisor(scene.host(host)).capabilities().release
        config = self._config(host, scene)
        emulations = {disk_name_of(disk, config): disk.emulation for disk in config.disks}
        return is_seen_while_running(emulations.get(name, ""), release)

    def _hosts_that_have(self, disk: GuestDisk | None, hosts: HostSurvey) -> tuple[str, ...]:
        """The hosts with a session to the disk; BusyError when one is not Connected: nobody could see the new size."""
        if disk is None or disk.target is None:
            return ()
        having = [
            (host.name, session)
            for host in hosts.hosts
            for session in host.sessions
            if session.target == disk.target.iqn
        ]
        for host, session in having:
            if not session.connected:
                raise BusyError(
                    f"{host}: its session to {session.target} is not Connected: {session.reason or 'no reason given'}",
                    hint=f"wait until it is, or stop guest {self.name}",
                )
        return tuple(host for host, _ in having)

    def _is_reached_from_here(self, disk: GuestDisk, scene: SiteScene) -> bool:
        """Whether this process can log in to the disk, and prove it; False when libiscsi or a way there is missing.

        LoginError for what a host would meet, too; ConflictError when the LUN shows another size than its volume.
        """
        tag = disk.target.chap_tag if disk.target else None
        nas = scene.nas(disk.datastore(self.datastore))
        lun = LunSized(scene.block_access(), nas, disk.proof(self.datastore), tag)
        try:
            shows = lun.holds()
        except (DeadlineError, MissingLibraryError):
            return False
        except LoginError as error:
            if error.permanent:
                raise
            return False
        if not shows:
            raise ConflictError(
                f"{lun.title}: it shows another size than its volume has", hint="restart the iSCSI service of the nas"
            )
        return True
