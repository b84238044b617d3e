"""The hypervisor's kernel: what the stand-ins ask, and what holds the iSCSI sessions.

initiator   iscsi(4): sessions, each with a thread and a real login
cam         buses and peripherals
geom        providers, labels, open counts, the topology lock
disk, nbd   reading and writing through a session, also for a guest's QEMU
sysctls, modules, interfaces, vmm, console
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from pyvmiscsi.lab.hypervisor.kernel import sysctls
from pyvmiscsi.lab.hypervisor.kernel.cam import Cam
from pyvmiscsi.lab.hypervisor.kernel.conf import Conf
from pyvmiscsi.lab.hypervisor.kernel.console import Console
from pyvmiscsi.lab.hypervisor.kernel.delays import Delays
from pyvmiscsi.lab.hypervisor.kernel.disk import Disk
from pyvmiscsi.lab.hypervisor.kernel.geom import Geom, Opened
from pyvmiscsi.lab.hypervisor.kernel.initiator import Initiator
from pyvmiscsi.lab.hypervisor.kernel.interfaces import Interfaces
from pyvmiscsi.lab.hypervisor.kernel.modules import Modules
from pyvmiscsi.lab.hypervisor.kernel.nbd import NbdServer
from pyvmiscsi.lab.hypervisor.kernel.netgraph import Netgraph
from pyvmiscsi.lab.hypervisor.kernel.portals import resolve_with
from pyvmiscsi.lab.hypervisor.kernel.process import Process
from pyvmiscsi.lab.hypervisor.kernel.scan import Scan
from pyvmiscsi.lab.hypervisor.kernel.session import Session
from pyvmiscsi.lab.hypervisor.kernel.vmm import Vmm
from pyvmiscsi.lab.hypervisor.options import HypervisorOptions
from pyvmiscsi.lab.hypervisor.sandbox import Sandbox
from pyvmiscsi.lab.hypervisor.texts import geom_text
from pyvmiscsi.lab.hypervisor.userland import version_number

LOADED_AT_BOOT = ("iscsi", "vmm", "nmdm", "if_bridge", "if_tuntap")


@dataclass(frozen=True)
class Facts:
    """What uname(1) tells."""

    hostname: str
    release: str

    @property
    def version(self) -> str:
        return f"FreeBSD {self.release} lab GENERIC"

    @property
    def version_number(self) -> int:
        return version_number(self.release)


@dataclass
class OpenedDisk:
    """An open of a disk whose blocks are served to a guest."""

    opened: Opened
    disk: Disk
    server: NbdServer
    pid: int


class Kernel:
    """Everything that one host's stand-ins share."""

    def __init__(self, facts: Facts, options: HypervisorOptions, sandbox: Sandbox) -> None:
        self.facts = facts
        self.options = options
        self.sandbox = sandbox
        self.console = Console()
        self.cam = Cam()
        self.interfaces = Interfaces()
        self.netgraph = Netgraph()
        self.routes: dict[str, str] = {}
        self.modules = Modules(LOADED_AT_BOOT)
        self._delays = Delays(options.time_scale)
        self._nbd_directory = options.directory / "nbd"
        self._nbd_directory.mkdir(exist_ok=True)
        self._nbd_number = 0
        self._lock = threading.Condition()
        self._opened: list[OpenedDisk] = []
        self._calls: dict[int, int] = {}
        self.sysctls = self._make_sysctls()
        self.geom = Geom(
            self.console,
            make_node=sandbox.make_node,
            remove_node=sandbox.remove_node,
            delays=self._delays,
            sysctl=self.sysctls.get,
        )
        self.vmm = Vmm(make_node=sandbox.make_node, remove_node=sandbox.remove_node)
        self.initiator = Initiator(lambda number, conf: Session(self, number, conf))
        for node in ("/dev/iscsi", "/dev/xpt0", "/dev/vmmctl", "/dev/pass0", "/dev/pass1"):
            sandbox.make_node(node)

    def state(self) -> dict[str, Any]:
        """What a test may want to look at, without any stand-in in between."""
        sessions = [
            {
                "number": row.number,
                "target": row.conf.target,
                "portal": row.conf.portal,
                "state": row.state,
                "connected": row.connected,
                "devices": {str(lun): name for lun, name in row.devices},
            }
            for row in self.initiator.rows()
        ]
        return {
            "hostname": self.facts.hostname,
            "sessions": sessions,
            "disks": [unit.da for _, unit in self.cam.units() if unit.da],
            "interfaces": {found.name: asdict(found) | {"private": []} for found in self.interfaces.all()},
            "guests": self.vmm.names(),
            "sysctls": {name: self.sysctls.get(name) for name in self.sysctls.all()},
        }

    def is_at_rest(self) -> bool:
        """Whether no login, scan or tasting is under way: what is shown now stays so until somebody does something.

        GEOM that a dead disk has stopped is at rest, too.
        """
        if any(session.is_under_way for session in self.initiator.sessions()):
            return False  # looked at first: what they find they hand to GEOM
        return not self.geom.is_under_way or self.is_held_up()

    def is_held_up(self) -> bool:
        """Whether a command waits for a lost session."""
        return any(session.holds_somebody_up for session in self.initiator.sessions())

    def close(self) -> None:
        """Log out of everything."""
        self._delays.close()
        sessions = self.initiator.sessions()
        threads = [threading.Thread(target=session.remove, daemon=True) for session in sessions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(3)

    # who is in a system call

    @contextmanager
    def calling(self, pid: int) -> Iterator[None]:
        """Note that the process is inside the kernel."""
        with self._lock:
            self._calls[pid] = self._calls.get(pid, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                self._calls[pid] -= 1
                if not self._calls[pid]:
                    del self._calls[pid]
                    self._lock.notify_all()

    def wait_until_out(self, pid: int) -> None:
        """Wait until the process is in no call any more: no signal ends one before that."""
        with self._lock:
            self._lock.wait_for(lambda: pid not in self._calls)

    def process(self, pid: int) -> Process:
        return Process(self, pid)

    # disks for guests

    def open_disk(self, path: str, *, write: bool, pid: int, read: bool = True) -> OpenedDisk:
        """Open a disk's node with GEOM's rules, and serve its blocks; see `applets.KernelServices`."""
        opened = self.geom.open(node_name(path), write=write, read=read)
        disk = opened.provider.backend
        if not isinstance(disk, Disk):
            self.geom.close(opened)
            raise OSError(errno.ENODEV, "only disks of iSCSI sessions can be given to a guest in this lab", path)
        with self._lock:
            self._nbd_number += 1
            number = self._nbd_number
        server = NbdServer(self._nbd_directory / f"{number}.sock", disk, writable=write)
        made = OpenedDisk(opened, disk, server, pid)
        with self._lock:
            self._opened.append(made)
        return made

    def open_disks(self) -> list[tuple[int, str, bool]]:
        """Process, node and whether for writing, of every disk that a guest has."""
        with self._lock:
            return [(entry.pid, entry.opened.name, entry.opened.write) for entry in self._opened]

    def close_disk(self, opened: OpenedDisk) -> None:
        with self._lock:
            self._opened.remove(opened)
        opened.server.close()
        self.geom.close(opened.opened)

    def disk(self, name: str) -> Disk | None:
        """The iSCSI disk `daN` (or behind its label), whether it answers or not."""
        provider = self.geom.find(name)
        return provider.backend if provider is not None and isinstance(provider.backend, Disk) else None

    # what sessions need (session.Host, scan.Host)

    def sysctl_number(self, name: str) -> int:
        return int(self.sysctls.get(name))

    def iscsid_slot(self, session: Session, seconds: float) -> bool:
        return self.initiator.slot(session, seconds)

    def iscsid_done(self) -> None:
        self.initiator.slot_free()

    def resolve(self, host: str) -> str:
        hosts = self.sandbox.host_path("/etc/hosts")
        return resolve_with(hosts.read_text() if hosts.exists() else "", host)

    def warn(self, session: Session, text: str) -> None:
        if self.sysctl_number("kern.iscsi.debug") > 0:
            name = f" ({session.conf.target})" if session.conf.target else ""
            self.console.print(f"WARNING: {session.conf.portal}{name}: {text}")

    def log(self, tag: str, text: str) -> None:
        with self.sandbox.host_path("/var/log/messages").open("a") as stream:
            stream.write(f"{self.facts.hostname.partition('.')[0]} {tag}: {text}\n")

    def pause(self, name: str) -> None:
        self._delays.pause(name)

    def found(self, session: Session, targets: list[str]) -> None:
        """Discovery: a normal session for every target told of, then the discovery session goes."""
        for target in targets:
            conf = Conf(**{**vars(session.conf), "target": target, "discovery": False})
            try:
                self.initiator.add(conf)
            except OSError as error:
                self.log("iscsid", f"failed to add {target}: ISCSISADD: {error.strerror}")
        threading.Thread(target=self._forget, args=(session,), daemon=True).start()

    def _forget(self, session: Session) -> None:
        self.initiator.remove(lambda found: found is session)

    def scan(self, session: Session) -> Scan:
        return Scan(self, session)

    def _make_sysctls(self) -> sysctls.Sysctls:
        options = self.options
        found = sysctls.oids(
            hostname=self.facts.hostname,
            release=self.facts.release,
            version=self.facts.version,
            osreldate=self.facts.version_number,
            ncpu=options.ncpu,
            physmem=options.physmem,
        )
        preset = {"kern.iscsi.login_timeout": str(options.login_retry)} | options.sysctls
        found = [
            sysctls.Oid(**{**vars(oid), "value": preset[oid.name]}) if oid.name in preset else oid for oid in found
        ]
        live: dict[str, Callable[[], bytes]] = {
            "kern.geom.confxml": lambda: geom_text.confxml(self.geom.providers()).encode(),
            "kern.geom.conftxt": lambda: geom_text.conftxt(self.geom.providers()).encode(),
            "kern.disks": lambda: " ".join(found.name for found in reversed(self.geom.providers())).encode(),
        }
        return sysctls.Sysctls(found, live, sysctls.TREES)


def node_name(path: str) -> str:
    """`da0` or `diskid/…` of a path below /dev, or as it is."""
    return os.path.normpath(path).removeprefix("/dev/")
