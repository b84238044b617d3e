"""The sysctls of a host: which there are, which may be set, what they say about themselves."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from uuid import NAMESPACE_DNS, uuid5


@dataclass(frozen=True)
class Oid:
    """One sysctl. `text` is its description; a number can be set only to a number."""

    name: str
    value: str
    text: str = ""
    writable: bool = False
    number: bool = True
    binary: bool = False


class Sysctls:
    """All of them, in the order the kernel walks them. Some are asked for each time."""

    def __init__(self, oids: list[Oid], live: dict[str, Callable[[], bytes]], trees: dict[str, str]) -> None:
        self._lock = threading.Lock()
        self._oids = {oid.name: oid for oid in oids}
        self._values = {oid.name: oid.value for oid in oids}
        self._live = live
        self._trees = trees

    def names(self, prefix: str) -> list[str]:
        """The sysctl itself, or all below a name; OSError ENOENT when there is none."""
        if prefix in self._oids:
            return [prefix]
        found = [name for name in self._oids if name.startswith(prefix + ".")]
        if not found:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), prefix)
        return found

    def all(self) -> list[str]:
        return [name for name, oid in self._oids.items() if not oid.binary]

    def oid(self, name: str) -> Oid:
        return self._oids[name]

    def tree_text(self, name: str) -> str | None:
        """The description of an inner node."""
        return self._trees.get(name)

    def get(self, name: str) -> str:
        """Its value as text; OSError ENOENT."""
        if name not in self._values:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        if name in self._live:
            return self._live[name]().decode()
        with self._lock:
            return self._values[name]

    def set(self, name: str, value: str) -> None:
        """EPERM for one that cannot be set, EINVAL for a word where a number belongs."""
        oid = self._oids.get(name)
        if oid is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        if not oid.writable:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM), name)
        if oid.number and not value.lstrip("-").isdigit():
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), name)
        with self._lock:
            self._values[name] = value


ISCSI = (
    ("fail_on_shutdown", "1", "Fail disconnected sessions on shutdown"),
    ("fail_on_disconnection", "0", "Destroy CAM SIM on connection failure"),
    ("maxtags", "255", "Max number of IO requests queued"),
    ("login_timeout", "60", "Time to wait for iscsid(8) to finish Login Phase, in seconds"),
    ("iscsid_timeout", "60", "Time to wait for iscsid(8) to handle reconnection, in seconds"),
    ("ping_timeout", "5", "Timeout for ping (NOP-Out) requests, in seconds"),
    ("debug", "1", "Enable debug messages"),
)


def oids(*, hostname: str, release: str, version: str, osreldate: int, ncpu: int, physmem: int) -> list[Oid]:
    """What a hypervisor is asked about."""
    found = [Oid(f"kern.iscsi.{name}", value, text, writable=True) for name, value, text in ISCSI]
    found += [
        Oid("kern.ostype", "FreeBSD", "Operating system type", number=False),
        Oid("kern.osrelease", release, "Operating system release", number=False),
        Oid("kern.version", version, "Kernel version", number=False),
        Oid("kern.hostname", hostname, "Hostname", writable=True, number=False),
        Oid("kern.hostuuid", str(uuid5(NAMESPACE_DNS, hostname)), "Host UUID", writable=True, number=False),
        Oid("kern.osreldate", str(osreldate), "Kernel release date"),
        Oid("kern.boottime", "{ sec = 1795271400, usec = 0 } Sun Nov 22 01:10:00 2026", number=False),
        Oid("kern.geom.confxml", "", "Dump the GEOM config in XML", number=False, binary=True),
        Oid("kern.geom.conftxt", "", "Dump the GEOM config in txt", number=False, binary=True),
        Oid(
            "kern.geom.label.disk_ident.enable",
            "1",
            "Create device nodes for drives which export a disk identification string",
            writable=True,
        ),
        Oid("kern.geom.label.gptid.enable", "1", "Create device nodes for GPT UUIDs", writable=True),
        Oid("kern.geom.label.debug", "0", "Debug level", writable=True),
        Oid("kern.geom.debugflags", "0", "Set various trace levels for GEOM debugging", writable=True),
        Oid("kern.securelevel", "-1", "Current secure level", writable=True),
        Oid("kern.smp.cpus", str(ncpu), "Number of CPUs online"),
        Oid("kern.disks", "", "names of available disks", number=False),
        Oid("kern.racct.enable", "0", "Enable RACCT/RCTL"),
        Oid("hw.machine", "amd64", "Machine class", number=False),
        Oid("hw.machine_arch", "amd64", "System architecture", number=False),
        Oid("hw.model", "Lab CPU", "Machine model", number=False),
        Oid("hw.ncpu", str(ncpu), "Number of active CPUs"),
        Oid("hw.physmem", str(physmem), "Amount of physical memory (in bytes)"),
        Oid("hw.realmem", str(physmem), "Amount of memory (in bytes) reported by the firmware"),
        Oid("hw.usermem", str(physmem * 9 // 10), "Amount of memory (in bytes) which is not wired"),
        Oid("hw.pagesize", "4096", "System memory page size"),
        Oid("hw.vmm.maxcpu", str(ncpu), "maximum number of vCPUs per VM"),
        Oid("hw.vmm.destroy", "", number=False),
        Oid("hw.vmm.create", "", number=False),
        Oid("hw.vmm.vmx.initialized", "1", "Intel VMX initialized"),
        Oid("hw.vmm.vmx.cap.unrestricted_guest", "1", "Unrestricted guests"),
        Oid("net.link.tap.up_on_open", "0", "Bring interface up when /dev/tap is opened", writable=True),
        Oid("net.link.tap.user_open", "0", "Enable legacy devfs interface creation for all users", writable=True),
        Oid("net.link.bridge.pfil_member", "1", "Packet filter on the member interface", writable=True),
        Oid("net.link.bridge.inherit_mac", "0", "Inherit MAC address from the first bridge member", writable=True),
        Oid("net.inet.ip.forwarding", "0", "Enable IP forwarding between interfaces", writable=True),
        Oid("vfs.zfs.volmode", "1", "Expose as GEOM providers (1), device files (2) or neither", writable=True),
    ]
    return found


TREES = {"kern.iscsi": "iSCSI initiator"}
