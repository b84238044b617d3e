"""Facts about a guest that runs, or does not, on a hypervisor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from pyvmiscsi.bhyve.command.argv import bhyve_argv
from pyvmiscsi.bhyve.command.bhyve_conf import bhyve_conf, bhyve_conf_argv
from pyvmiscsi.bhyve.configuration.config import Afterwards, Disk, GuestConfig
from pyvmiscsi.bhyve.hypervisor import Hypervisor
from pyvmiscsi.bhyve.machine.capabilities import Capabilities
from pyvmiscsi.bhyve.machine.devices import Devices, FoundDisk
from pyvmiscsi.bhyve.machine.loader import loader_argv, viewers
from pyvmiscsi.bhyve.networks.taps import Networks, own_taps
from pyvmiscsi.bhyve.supervision.limits import rctl_rules
from pyvmiscsi.bhyve.supervision.run_lock import LockHolder, RunLock
from pyvmiscsi.bhyve.supervision.supervisor import Supervision
from pyvmiscsi.bhyve.vnc import free_vnc_port
from pyvmiscsi.errors import BusyError, DeadlineError, NotFoundError, ProofError, UnsupportedError
from pyvmiscsi.model import DiskProof
from pyvmiscsi.names import GuestName
from pyvmiscsi.plan.step import Watch
from pyvmiscsi.ports import Host, Initiator
from pyvmiscsi.secrets import Secret
from pyvmiscsi.steps.sessions import AllDetached
from pyvmiscsi.units import SECTOR

_FORCED_OFF = 60.0
_STARTS = 3
"""How many starts a stop ends, one after the other."""
_LABELS = "/dev/diskid/"  # the supervisor opens the same path at every reboot, long after the proof


@dataclass(frozen=True, slots=True)
class GuestRunning:
    """bhyve runs the guest on its proven disks, under a supervisor that needs nobody else from then on."""

    host: Host
    initiator: Initiator
    config: GuestConfig
    directory: str
    disks: Mapping[int, DiskProof]
    system_conf: str
    """vm-bhyve's file that names the host's switches."""
    operation: str
    store: str = ""
    """What vm-bhyve would call the datastore's dataset: told to the guest's prestart program."""
    iso: str | None = None
    """What it is installed from: in its drive until the guest reboots."""
    capabilities: Capabilities | None = None
    """What the host has just said of itself, if it has."""
    signed: ClassVar[bool] = True

    @property
    def title(self) -> str:
        return f"guest {self.config.name} running" + (f" from {self.iso}" if self.iso else "")

    def holds(self) -> bool:
        found = Hypervisor(self.host).guest(self.config.name)
        return (found.is_running and found.has_vm) or found.is_loading

    def make(self) -> None:
        hypervisor = Hypervisor(self.host)
        capabilities = hypervisor.prepared(self.config, self.capabilities)
        hypervisor.keep_variables(self.config, self.directory)
        backends = Networks(self.host, self.system_conf).plug_in(self.config)
        devices = Devices(self.directory, self._found_disks(), backends, self._vnc_port())
        installing = replace(devices, install_iso=self.iso)
        hypervisor.write_grub_files(self.config, installing)
        argv, conf = self._command(hypervisor, capabilities, devices)
        supervision = Supervision(
            guest=self.config.name,
            operation=self.operation,
            directory=self.directory,
            bhyve=argv,
            loader=self._loader(devices, installed=self.iso is not None),
            first_bhyve=self._command(hypervisor, capabilities, installing)[0] if self.iso else (),
            first_loader=self._loader(installing) if self.iso else (),
            targets=tuple(proof.address.target for proof in self.disks.values()),
            taps=own_taps(self.config, backends),
            consoles=(*viewers(self.config), *self._screen(devices)),
            keeps_console=any(self.config.com_devices.get(port) == "stdio" for port in self.config.comports),
            prestart=self._prestart(),
            priority=self.config.priority,
            limits=rctl_rules(self.config.limits),
            restarts_after_reboot=self.config.on_restart is Afterwards.RESTART,
            restarts_after_fault=self.config.on_fault is Afterwards.RESTART,
            keeps_complaints=self.config.debug,
        )
        hypervisor.start(supervision, conf)

    def undo(self) -> None:
        """A guest that another start made run meanwhile, or vm-bhyve, keeps its machine and its taps."""
        hypervisor = Hypervisor(self.host)
        found = hypervisor.guest(self.config.name)
        if (found.is_running or found.is_supervised) and not found.is_made_by(self.operation):
            return
        hypervisor.end(self.config.name)
        Networks(self.host).unplug(self.config.name)

    def _vnc_port(self) -> int | None:
        graphics = self.config.graphics
        return free_vnc_port(self.host) if graphics is not None and graphics.port is None else None

    def _screen(self, devices: Devices) -> tuple[tuple[str, str], ...]:
        """Where its frame buffer is to be seen, as vm-bhyve tells it beside the serial ports."""
        graphics = self.config.graphics
        if graphics is None:
            return ()
        return (("vnc", f"{graphics.listen}:{graphics.port or devices.vnc_port}"),)

    def _found_disks(self) -> dict[int, FoundDisk]:
        found = other_disks(self.config, self.directory)
        for number, proof in self.disks.items():
            disk = self.initiator.find(proof)
            if disk is None:
                raise ProofError(
                    f"disk{number}: no session to {proof.address.target}", hint="it was there a moment ago"
                )
            if not disk.device.startswith(_LABELS):
                raise ProofError(
                    f"disk{number}: {disk.device} has no name of its own (/dev/diskid/DISK-{proof.serial}), "
                    "and the number may be another disk's when the guest reboots",
                    hint="start it again; if it stays so: sysctl kern.geom.label.disk_ident.enable=1, "
                    "also in /boot/loader.conf",
                )
            found[number] = FoundDisk(disk.device, disk.sector, disk.physical)
        return found

    def _command(
        self, hypervisor: Hypervisor, capabilities: Capabilities, devices: Devices
    ) -> tuple[tuple[str, ...], Secret | None]:
        """By arguments, as vm-bhyve does; by a file of mode 0600 when a password must not be among them."""
        if self.config.graphics is None or self.config.graphics.password is None:
            return bhyve_argv(self.config, capabilities, devices), None
        path = hypervisor.conf_path(self.config.name)
        conf = bhyve_conf(self.config, capabilities, devices)
        return bhyve_conf_argv(self.config, devices, path, capabilities.machine), conf

    def _prestart(self) -> tuple[str, ...]:
        """vm-bhyve gives it the guest's name and dataset; the ancestor's iSCSI datastores are `<nas>:<basename>`."""
        if self.config.prestart is None:
            return ()
        name = self.config.name
        program = self.config.prestart
        return program if program.startswith("/") else f"{self.directory}/{program}", str(name), f"{self.store}/{name}"

    def _loader(self, devices: Devices, *, installed: bool = False) -> tuple[str, ...]:
        return (self.config.uuid and loader_argv(self.config, devices, self.config.uuid, installed=installed)) or ()


@dataclass(frozen=True, slots=True)
class NobodyStarts:
    """No host has the guest's lock: nobody is about to log in to its disks."""

    host: Host
    guest: GuestName
    directory: str
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"nobody starts {self.guest}"

    def holds(self) -> bool:
        return self._holder() is None

    def make(self) -> None:
        holder = self._holder()
        if holder is not None:
            raise BusyError(
                f"guest {self.guest}: {holder.host} has started it meanwhile (run.lock)",
                hint=f"pyvmiscsi vm stop {self.guest}",
            )

    def undo(self) -> None:
        """Nothing was done."""

    def _holder(self) -> LockHolder | None:
        return Hypervisor(self.host).run_lock(self.guest, self.directory).find_holder()


@dataclass(frozen=True, slots=True)
class GuestStopped:
    """Nothing of the guest runs on the host; it was asked to power off and, if `force`, made to.

    Without a `deadline` nobody asked it.
    """

    hypervisor: Hypervisor
    guest: GuestName
    deadline: float | None
    force: bool
    watch: Watch = field(default_factory=Watch)
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"guest {self.guest} stopped"

    def watched(self, watch: Watch) -> Self:
        return replace(self, watch=watch)

    def holds(self) -> bool:
        return self.hypervisor.guest(self.guest).is_gone

    def make(self) -> None:
        try:
            if self.deadline is None or not self._has_heard(self.deadline):
                self.hypervisor.force_poweroff(self.guest)
                self.hypervisor.wait_stopped(self.guest, deadline=_FORCED_OFF)
        except NotFoundError:
            self.hypervisor.sweep(self.guest)  # a virtual machine nobody runs

    def undo(self) -> None:
        """A guest that was stopped is started by `vm start`, when somebody wants it."""

    def _has_heard(self, deadline: float) -> bool:
        """Whether it powered off by itself; DeadlineError when it did not and is not to be made to."""
        self.hypervisor.ask_to_stop(self.guest)
        try:
            self.hypervisor.wait_stopped(self.guest, deadline=deadline, interrupted=self.watch.interrupted)
        except DeadlineError:
            if not self.force:
                raise
            return False
        return True


@dataclass(frozen=True, slots=True)
class NothingLeft:
    """What a start left on the host is gone: sessions, interfaces, run directory, lock. The supervisor did it, mostly.

    A start may be under way meanwhile, by somebody who knows nothing of this. Its lock is taken from it first, so that
    its supervisor will not run bhyve, and no other can take it until all is done; then it is looked once more whether
    one runs by now, and is stopped too; and only then are the sessions taken away.
    """

    stopped: GuestStopped
    logout: AllDetached
    host: Host
    lock: RunLock
    operation: str
    """The stop's own."""
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"nothing left of {self.stopped.guest}"

    def watched(self, watch: Watch) -> Self:
        return replace(self, stopped=self.stopped.watched(watch))

    def holds(self) -> bool:
        holder = self.lock.find_own()
        return (holder is None or holder.operation is None) and self.logout.holds()  # vm-bhyve releases its own

    def make(self) -> None:
        for _ in range(_STARTS):
            if not self.stopped.holds():
                self.stopped.make()
            with self.lock.barred() as holder:
                starter = holder.operation if holder is not None else None
                if starter is not None and starter != self.operation:
                    self.lock.call_off(starter, self.operation)
                if self.stopped.holds():
                    self._take_away(is_ours=starter is not None)
                    return
                self.lock.give_back(self.operation)
        raise BusyError(f"guest {self.stopped.guest}: it was started again and again", hint="see who does that")

    def undo(self) -> None:
        """Nothing of it is wanted back."""

    def _take_away(self, *, is_ours: bool) -> None:
        """The lock last: without it, another host may start the guest."""
        self.logout.make()
        if is_ours:
            Networks(self.host).unplug(self.stopped.guest)
            self.stopped.hypervisor.sweep(self.stopped.guest)
            self.lock.release(self.operation)


def other_disks(config: GuestConfig, directory: str) -> dict[int, FoundDisk]:
    """The guest's disks that are no LUNs of ours: files beside its configuration, or paths as they stand."""
    return {disk.number: FoundDisk(_path_of(disk, directory), SECTOR) for disk in config.disks if not disk.is_lun}


def _path_of(disk: Disk, directory: str) -> str:
    if disk.dev == "custom":
        return disk.name
    if disk.dev == "file":
        return f"{directory}/{disk.name}"
    raise UnsupportedError(
        f"{disk.key}: {disk.dev} disks of vm-bhyve are not on a nas", hint="use pyvmiscsi's disks, a file or a path"
    )
