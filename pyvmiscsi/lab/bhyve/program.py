"""The program bhyve: judge the command line, open what it names, run the guest in QEMU, end as bhyve ends."""

from __future__ import annotations

import errno
import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from pyvmiscsi.lab.bhyve import control, firmware
from pyvmiscsi.lab.bhyve.errno_text import EBUSY
from pyvmiscsi.lab.bhyve.guest import Ending, Guest, Outside, Stdio
from pyvmiscsi.lab.bhyve.host import SandboxHost
from pyvmiscsi.lab.bhyve.machine import Machine
from pyvmiscsi.lab.bhyve.nmdm import End
from pyvmiscsi.lab.bhyve.qemu_argv import CannotEmulate, Plumbing, qemu_argv
from pyvmiscsi.lab.bhyve.qmp import Qmp
from pyvmiscsi.lab.bhyve.title import set_title
from pyvmiscsi.lab.bhyve.verdict import Refused, judge

if TYPE_CHECKING:
    from pyvmiscsi.lab.hypervisor.applets import Call

_LOADED = f"{firmware.DIRECTORY}/BHYVE_UEFI.fd"  # stands in for the kernel that a loader has put into memory
_VARIABLES = f"{firmware.DIRECTORY}/BHYVE_UEFI_VARS.fd"


def bhyve(call: Call) -> int:
    """Run as `/usr/sbin/bhyve` in a sandbox of the lab."""
    host = SandboxHost(call.kernel)
    verdict = judge(("bhyve", *call.argv[1:]), host)
    if isinstance(verdict, Refused):
        call.out(verdict.stdout)
        call.err("".join(f"{line}\n" for line in verdict.message) + verdict.usage)
        if verdict.made_vm:
            call.kernel.vmm_create(verdict.made_vm)
        return verdict.status
    call.err("".join(f"{line}\n" for line in verdict.warnings))
    machine = verdict.machine
    loaded = call.kernel.vmm_loaded(machine.name)
    if not machine.bootrom and loaded not in (0, machine.memory):
        call.err(f"Unable to setup memory ({errno.EINVAL})\n")  # it was loaded with another size (libvmmapi)
        return int(Ending.ERROR)
    try:
        if machine.name not in call.kernel.vmm_names():
            call.kernel.vmm_create(machine.name)
        call.kernel.vmm_run(machine.name)
    except OSError:  # another bhyve was quicker by a moment
        call.err(f"vm_create: {EBUSY}\n")
        return 4
    try:
        # processors that no loader has given a place to begin run into nothing
        ending = _Run(call, host, machine).run() if machine.bootrom or loaded else Ending.TRIPLE_FAULT
    except CannotEmulate as limit:
        call.err(f"bhyve: the lab cannot run this guest: {limit}\n")
        ending = Ending.ERROR
    call.kernel.vmm_ended(machine.name)
    # the last close of a disk that was written to and has lost its session waits, and with it all of GEOM
    for disk in host.disks.values():
        call.kernel.close_disk(disk.handle)
    if ending is Ending.POWEROFF and machine.destroy_on_poweroff:
        call.kernel.vmm_destroy(machine.name)
    if ending is Ending.TERMINATED:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
    return int(ending)


class _Run:
    """From an accepted machine to its end."""

    def __init__(self, call: Call, host: SandboxHost, machine: Machine) -> None:
        self._call = call
        self._host = host
        self._machine = machine

    def run(self) -> Ending:
        log, said = os.memfd_create("resets"), os.memfd_create("said")
        monitor, monitor_inside = socket.socketpair()
        ports: dict[str, tuple[socket.socket, socket.socket]] = {
            port: socket.socketpair() for port, _ in self._machine.consoles
        }
        inside = {port: theirs.fileno() for port, (_, theirs) in ports.items()}
        argv = qemu_argv(self._machine, self._plumbing(inside, monitor_inside.fileno(), log))
        listener = control.listen(self._machine.name)
        set_title("bhyve", self._machine.name)  # whoever sees it may tell it something
        try:
            qemu = self._launch(argv, said, (log, monitor_inside.fileno(), *inside.values()))
            for closing in (monitor_inside, *(theirs for _, theirs in ports.values())):
                closing.close()
            ends = {ports[port][0]: self._end(backend) for port, backend in self._machine.consoles}
            guest = Guest(qemu, Qmp(monitor), ends, listener, log=log, said=said, complain=self._complain)
            return guest.run()
        finally:
            listener.close()
            control.forget(self._machine.name)

    def _launch(self, argv: tuple[str, ...], said: int, pass_fds: tuple[int, ...]) -> Outside:
        nothing = os.open(os.devnull, os.O_RDWR)
        try:
            launched: Outside = self._call.kernel.launch(list(argv), nothing, said, said, pass_fds=pass_fds)
            return launched
        finally:
            os.close(nothing)

    def _end(self, backend: str) -> End | Stdio:
        return Stdio(self._call.stdin, self._call.stdout) if backend == "stdio" else self._host.lines[backend]

    def _plumbing(self, consoles: dict[str, int], qmp: int, log: int) -> Plumbing:
        machine = self._machine
        if machine.bootvars and Path(machine.bootvars).stat().st_size != Path(_VARIABLES).stat().st_size:
            raise CannotEmulate(f"variables {machine.bootvars!r}: not a copy of {_VARIABLES}")
        return Plumbing(
            firmware=self._host_path(machine.bootrom or _LOADED),
            variables=self._host_path(machine.bootvars or _VARIABLES),
            keep_variables=bool(machine.bootvars),
            backings={disk.place: self._backing(disk.path) for disk in machine.disks},
            consoles=consoles,
            qmp=qmp,
            reset_log=log,
        )

    def _backing(self, path: str) -> str:
        if not path:
            return "ram:"
        disk = self._host.disks.get(path)
        return f"nbd:{disk.nbd_socket}" if disk is not None else f"file:{self._host_path(path)}"

    def _host_path(self, path: str) -> str:
        found: str = self._call.kernel.host_path(self._call.path(path))
        return found

    def _complain(self, line: str) -> None:
        self._call.err(f"{line}\n")
