"""A guest's disks on a host without the guest: for a look inside, a repair, a copy."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pyvmiscsi.bhyve.configuration.config_text import parse_guest
from pyvmiscsi.bhyve.hypervisor import Hypervisor
from pyvmiscsi.bhyve.supervision.run_lock import RunLock
from pyvmiscsi.errors import BusyError, HostUnreachableError, NotFoundError, SessionLostError
from pyvmiscsi.model import Volume
from pyvmiscsi.names import Iqn
from pyvmiscsi.operations.attach import ATTACH, DETACH, DiskToAttach, attach_plan, detach_plan
from pyvmiscsi.operations.guests import GuestDisk, GuestRecord
from pyvmiscsi.operations.pairing import configured_targets, disk_name_of
from pyvmiscsi.plan.engine import Preview
from pyvmiscsi.plan.journal import Anchor, DatasetAnchor, VolumeAnchor
from pyvmiscsi.plan.step import Plan
from pyvmiscsi.site.guest.access import GuestAccess
from pyvmiscsi.site.running import Run, new_intent
from pyvmiscsi.site.survey import HostGlance, HostSurvey, survey_hosts
from pyvmiscsi.site.views import View
from pyvmiscsi.steps.claims import NothingBegun
from pyvmiscsi.steps.lock import NoJournal
from pyvmiscsi.units import Size


@dataclass(frozen=True, slots=True)
class AttachedView(View):
    """A disk that a host is logged in to, proven: its device there, its size in bytes."""

    guest: str
    disk: str
    host: str
    target: str
    device: str
    serial: str
    size: int
    sector: int


class Attaching(GuestAccess):
    """Logins and logouts by hand. A start logs in by itself, a stop out."""

    def attach(self, host: str, disk: str | None = None, run: Run | None = None) -> tuple[AttachedView, ...]:
        """Log a host in to all disks of the guest, or one, each proven; a disk that it has already stays as it is.

        As long as it is logged in no other host can start the guest. BusyError while the guest runs or is locked
        anywhere, while anybody else is logged in, or while another operation on it is unfinished; RuleError,
        LoginError or ProofError when a disk is not what it should be. After an error this host is logged out again
        from what it was not logged in to before.
        """
        disks, plan = self._attach_plan(host, disk)
        intent = replace(new_intent(ATTACH, str(self.name), {}), kept=False)
        (run or Run()).engine().execute(plan, NoJournal(), intent)
        return tuple(self._attached(host, one) for one in disks)

    def preview_attach(self, host: str, disk: str | None = None) -> Preview:
        """The steps that `attach` would take; nothing is changed."""
        return Run().engine().preview(self._attach_plan(host, disk)[1])

    def detach(self, host: str, disk: str | None = None, *, force: bool = False, run: Run | None = None) -> None:
        """Log a host out of all disks of the guest, or one; no error when it is. The nas is not asked: it may be lost.

        BusyError while the guest runs there or has its lock, and while a disk is open. `force` takes a session that
        is not Connected from a guest that runs, which thaws a host that this disk has frozen (docs/sessions.md); the
        guest gets errors from that disk from then on.
        """
        plan = self._detach_plan(host, disk, force=force)
        intent = replace(new_intent(DETACH, str(self.name), {}), kept=False)
        (run or Run()).engine().execute(plan, NoJournal(), intent)

    def refuse_in_use(self, host: str, targets: tuple[Iqn, ...], *, force: bool) -> None:
        """BusyError while the guest runs on this host, or has its lock there, and these sessions are not all dead.

        Dead ones can be taken from it by `force`.
        """
        hosts = survey_hosts(self.datastore, self._connections)
        glance = self._glance(host, hosts)
        directory = hosts.directories.get(str(self.name))
        runs = str(self.name) in glance.running
        if not runs and (directory is None or directory.locked_by != glance.hostname):
            return
        living = [one for one in glance.sessions if one.target in targets and one.connected]
        if force and not living:
            return
        what = f"guest {self.name}: {'runs on' if runs else 'is locked by'} {host}"
        if force:
            raise BusyError(f"{what}, and {living[0].target} is Connected", hint=f"pyvmiscsi vm stop {self.name}")
        raise BusyError(what, hint=f"pyvmiscsi vm stop {self.name}; --force takes only dead sessions from it")

    def lock_on(self, host: str) -> RunLock:
        """Its lock, as this host takes it."""
        directory = f"{self.datastore.config_path}/{self.name}"
        return Hypervisor(self._connections.host(host)).run_lock(self.name, directory)

    def _attach_plan(self, host: str, disk: str | None) -> tuple[tuple[GuestDisk, ...], Plan]:
        scene = self._scene()
        if host not in scene.host_names(self.datastore):
            known = ", ".join(scene.host_names(self.datastore))
            raise NotFoundError(f"host {host}: does not share datastore {self.datastore.name}", hint=f"known: {known}")
        record = self.record()
        self._refuse_unfinished(record)
        hosts = self._refuse_running()
        disks = tuple(one for one in record.disks if disk in (None, str(one.name)))
        if not disks:
            raise NotFoundError(f"guest {self.name}: has no {disk or 'disk'}", hint=f"pyvmiscsi vm info {self.name}")
        chosen = [
            DiskToAttach(
                self._connections.nas(one.datastore(self.datastore).nas),
                one.proof(self.datastore),
                one.target.chap_tag if one.target else None,
            )
            for one in disks
        ]
        begun = NothingBegun(self.name, self._anchor(record), self._locks(hosts))
        initiator = self._connections.initiator(host)
        return disks, attach_plan(chosen, initiator, host, self.lock_on(host), begun)

    def _anchor(self, record: GuestRecord) -> Anchor:
        """What carries its marks, asked of the nas each time: a scene would remember what it was told before."""
        nas = self._connections.nas(self.datastore.nas)
        if self.datastore.layout == "flat":
            return VolumeAnchor(nas, Volume(record.anchor, Size(0)))
        return DatasetAnchor(nas, record.anchor)

    def _locks(self, hosts: HostSurvey) -> tuple[RunLock, ...]:
        """Its lock as each host that answers sees it."""
        return tuple(self.lock_on(one.name) for one in hosts.hosts)

    def _attached(self, host: str, disk: GuestDisk) -> AttachedView:
        proof = disk.proof(self.datastore)
        found = self._connections.initiator(host).find(proof)
        if found is None:
            raise SessionLostError(
                f"{host}: {proof.address.target}: the session was lost just now", hint="attach it again"
            )
        return AttachedView(
            guest=str(self.name),
            disk=str(disk.name),
            host=host,
            target=str(proof.address.target),
            device=found.device,
            serial=str(found.serial),
            size=found.size.bytes,
            sector=found.sector.bytes,
        )

    def _detach_plan(self, host: str, disk: str | None, *, force: bool) -> Plan:
        targets = self._configured(host, disk)
        self.refuse_in_use(host, targets, force=force)
        initiator = self._connections.initiator(host)
        return detach_plan(str(self.name), targets, initiator, host, [self.lock_on(host)], force=force)

    def _configured(self, host: str, disk: str | None) -> tuple[Iqn, ...]:
        """The targets of its disks, or of one by the nas's name for it, as its configuration tells them."""
        conf = self._config_text(host, self._scene())
        config = parse_guest(self.name, conf)
        names = [str(disk_name_of(one, config)) for one in config.disks if one.is_lun]
        targets = configured_targets(config, conf, self.datastore)
        chosen = tuple(target for name, target in zip(names, targets, strict=True) if disk in (None, name))
        if not chosen:
            raise NotFoundError(
                f"guest {self.name}: has no {disk or 'disk'}", hint=f"it has {', '.join(names) or 'none'}"
            )
        return chosen

    def _glance(self, host: str, hosts: HostSurvey) -> HostGlance:
        found = next((one for one in hosts.hosts if one.name == host), None)
        if found is None:
            raise HostUnreachableError(f"host {host}: does not answer, or does not share {self.datastore.config_path}")
        return found
