"""The stand-ins: which commands the sandbox has besides the base utilities, and what they are given.

An applet is a function `(Call) -> exit status`. There are two kinds:

*Kernel applets* (the default) run in a thread of the hypervisor's kernel, outside the sandbox, with the caller's
descriptors 0, 1 and 2. They start in milliseconds and see `call.kernel` as the real object
(`pyvmiscsi.lab.hypervisor.kernel.Kernel`). `call.gone` tells when the caller has been killed.

*Process applets* (`process=True`) run as a Python process inside the sandbox, which signals, pgrep(1) and daemon(8)
see like any other, and which exits with the function's result. `call.kernel` is then a connection with the methods of
`KernelServices`. Whatever that process had opened through it is closed when it ends, however it ends.

Another package adds its own by a module named in PLUGINS, which has a tuple `APPLETS`. Targets are `module:function`,
imported when first called.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import select
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol


@dataclass(frozen=True)
class OpenDisk:
    """A disk of this host, opened with GEOM's rules, and where its blocks are served while it is open.

    `nbd_socket` is a path on the machine (not in the sandbox) where an NBD server speaks the fixed newstyle handshake
    with the export name `""`; sizes are in bytes; `stripesize` is 0 where the device reports none. `device` is the
    provider's own name (`da0`), `session` the iSCSI session it hangs on.
    """

    handle: int
    nbd_socket: str
    sector: int
    size: int
    stripesize: int
    serial: str
    device: str
    session: int
    writable: bool


class Outside(Protocol):
    """A program of the machine that runs on behalf of a process of the sandbox, and dies with it."""

    @property
    def pid(self) -> int: ...

    def wait(self) -> int:
        """Its exit status, or minus the signal that ended it."""
        ...

    def signal(self, number: int) -> None: ...


class KernelServices(Protocol):
    """What a process applet may ask the kernel for. Refusals are OSError with the errno FreeBSD would give."""

    def open_disk(self, path: str, *, write: bool, read: bool = True) -> OpenDisk:
        """Open `/dev/daN`, `/dev/diskid/…` as bhyve would.

        ENOENT, ENXIO, EPERM (opened exclusively through a label), EACCES. Blocks while the session is not Connected,
        and freezes GEOM meanwhile, as the real one does.
        """
        ...

    def close_disk(self, handle: int) -> None:
        """Close it. Blocks, and freezes GEOM, when the disk was written to and its session is not Connected."""
        ...

    def vmm_create(self, name: str) -> None:
        """Make /dev/vmm/NAME; EEXIST when it is there."""
        ...

    def vmm_destroy(self, name: str) -> None:
        """Remove /dev/vmm/NAME; ENOENT when it is not there."""
        ...

    def vmm_names(self) -> list[str]: ...

    def vmm_run(self, name: str) -> None:
        """Say that this process runs the guest NAME from now on; EBUSY when `vmm_is_busy`."""
        ...

    def vmm_is_busy(self, name: str) -> bool:
        """Whether a guest runs in NAME, or was killed in it."""
        ...

    def vmm_ended(self, name: str) -> None:
        """Say that the guest has ended by itself, so that NAME may run another."""
        ...

    def vmm_load(self, name: str, memory: int) -> None:
        """Say that a loader has put a system into the `memory` bytes of NAME, for one run; ENOENT without NAME."""
        ...

    def vmm_loaded(self, name: str) -> int:
        """How much memory NAME was loaded with; 0 when no loader has, since its guest ran."""
        ...

    def tap_open(self, name: str) -> None:
        """Mark the interface `tapN` as opened; ENOENT when there is none, EBUSY when it is opened already."""
        ...

    def make_node(self, path: str) -> None:
        """Make a character device node below /dev."""
        ...

    def remove_node(self, path: str) -> None: ...

    def console(self, line: str) -> None:
        """Print a line on the kernel's console (dmesg)."""
        ...

    def sysctl(self, name: str) -> str:
        """A sysctl's value; ENOENT for an unknown one."""
        ...

    def module_loaded(self, name: str) -> bool:
        """Whether a kernel module is there, as `kldstat -qm` tells."""
        ...

    def host_path(self, path: str) -> str:
        """Where a file of the sandbox lies on the machine."""
        ...

    def launch(
        self, argv: list[str], stdin: int, stdout: int, stderr: int, *, pass_fds: tuple[int, ...] = ()
    ) -> Outside:
        """Start a program of the machine (QEMU), with these descriptors; it is killed when this process ends.

        Each `pass_fds` appears in the program at the number it has here.
        """
        ...


class Leash:
    """Whether the process at the far end of a connection is still there: it never says a second word."""

    def __init__(self, link: socket.socket | None) -> None:
        self._link = link

    def is_set(self) -> bool:
        return self.wait(0)

    def wait(self, seconds: float | None) -> bool:
        """Wait until it has gone, for so long at most; whether it has."""
        if self._link is None:
            return False
        poll = select.poll()
        poll.register(self._link, select.POLLIN)
        return bool(poll.poll(None if seconds is None else seconds * 1000))


@dataclass
class Call:
    """One run of a stand-in: `argv[0]` is the path it was called by, `name` its last part."""

    argv: tuple[str, ...]
    cwd: str
    uid: int
    pid: int
    environment: Mapping[str, str]
    stdin: int
    stdout: int
    stderr: int
    kernel: Any
    gone: Leash = field(default_factory=lambda: Leash(None))

    @property
    def name(self) -> str:
        return self.argv[0].rsplit("/", 1)[-1]

    def out(self, text: str | bytes) -> None:
        """Write to standard output, unless the caller was killed; a reader that has gone ends only the output."""
        if not self.gone.is_set():
            _write(self.stdout, text)

    def err(self, text: str | bytes) -> None:
        """Write to standard error, on the same terms."""
        if not self.gone.is_set():
            _write(self.stderr, text)

    def fail(self, text: str, status: int = 1) -> int:
        """err(3): `name: text` on standard error, and the status to return."""
        self.err(f"{self.name}: {text}\n")
        return status

    def path(self, name: str) -> str:
        """A file name of the caller as an absolute path of the sandbox."""
        return os.path.normpath(os.path.join(self.cwd, name))  # noqa: PTH118 - a path of the sandbox, not of here


@dataclass(frozen=True)
class Applet:
    """A stand-in: the paths it is installed at, and `module:function` of what it does."""

    name: str
    paths: tuple[str, ...]
    target: str
    process: bool = False

    def function(self) -> Callable[[Call], int]:
        module, _, name = self.target.partition(":")
        found: Callable[[Call], int] = getattr(importlib.import_module(module), name)
        return found


PLUGINS = ("pyvmiscsi.lab.bhyve.applets",)

_COMMANDS = "pyvmiscsi.lab.hypervisor.commands"

APPLETS: tuple[Applet, ...] = (
    Applet("uname", ("/usr/bin/uname",), f"{_COMMANDS}.system:uname"),
    Applet("hostname", ("/bin/hostname",), f"{_COMMANDS}.system:hostname"),
    Applet("dmesg", ("/sbin/dmesg",), f"{_COMMANDS}.system:dmesg"),
    Applet("logger", ("/usr/bin/logger",), f"{_COMMANDS}.system:logger"),
    Applet("uuidgen", ("/bin/uuidgen",), f"{_COMMANDS}.system:uuidgen"),
    Applet("digest", ("/sbin/md5", "/sbin/sha1", "/sbin/sha256", "/sbin/sha512"), f"{_COMMANDS}.system:digest"),
    Applet("df", ("/bin/df",), f"{_COMMANDS}.system:df"),
    Applet("truncate", ("/usr/bin/truncate",), f"{_COMMANDS}.system:truncate"),
    Applet("iscsictl", ("/usr/bin/iscsictl",), f"{_COMMANDS}.iscsictl:iscsictl"),
    Applet("iscsid", ("/usr/sbin/iscsid",), f"{_COMMANDS}.iscsid:iscsid", process=True),
    Applet("diskinfo", ("/usr/sbin/diskinfo",), f"{_COMMANDS}.disks:diskinfo"),
    Applet("geom", ("/sbin/geom",), f"{_COMMANDS}.disks:geom"),
    Applet("glabel", ("/sbin/glabel",), f"{_COMMANDS}.disks:glabel"),
    Applet("gmultipath", ("/sbin/gmultipath",), f"{_COMMANDS}.disks:gmultipath"),
    Applet("dd", ("/bin/dd",), f"{_COMMANDS}.disks:dd"),
    Applet("camcontrol", ("/sbin/camcontrol",), f"{_COMMANDS}.camcontrol:camcontrol"),
    Applet("sysctl", ("/sbin/sysctl",), f"{_COMMANDS}.sysctl:sysctl"),
    Applet("kldload", ("/sbin/kldload",), f"{_COMMANDS}.modules:kldload"),
    Applet("kldunload", ("/sbin/kldunload",), f"{_COMMANDS}.modules:kldunload"),
    Applet("kldstat", ("/sbin/kldstat",), f"{_COMMANDS}.modules:kldstat"),
    Applet("ifconfig", ("/sbin/ifconfig",), f"{_COMMANDS}.ifconfig:ifconfig"),
    Applet("route", ("/sbin/route",), f"{_COMMANDS}.networking:route"),
    Applet("ngctl", ("/usr/sbin/ngctl",), f"{_COMMANDS}.networking:ngctl"),
    Applet("lockf", ("/usr/bin/lockf",), f"{_COMMANDS}.daemons:lockf", process=True),
    Applet("sysrc", ("/usr/sbin/sysrc",), f"{_COMMANDS}.services:sysrc"),
    Applet("service", ("/usr/sbin/service",), f"{_COMMANDS}.services:service", process=True),
    Applet("daemon", ("/usr/sbin/daemon",), f"{_COMMANDS}.daemons:daemon", process=True),
    Applet("timeout", ("/usr/bin/timeout", "/bin/timeout"), f"{_COMMANDS}.daemons:timeout", process=True),
    Applet("pgrep", ("/bin/pgrep",), f"{_COMMANDS}.processes:pgrep"),
    Applet("pkill", ("/bin/pkill",), f"{_COMMANDS}.processes:pkill"),
    Applet("ps", ("/bin/ps",), f"{_COMMANDS}.processes:ps"),
    Applet("procstat", ("/usr/bin/procstat",), f"{_COMMANDS}.processes:procstat"),
    Applet("fstat", ("/usr/bin/fstat",), f"{_COMMANDS}.processes:fstat"),
    Applet("netstat", ("/usr/bin/netstat",), f"{_COMMANDS}.networking:netstat"),
    Applet("rctl", ("/usr/bin/rctl",), f"{_COMMANDS}.rctl:rctl"),
)


@cache
def registered() -> tuple[Applet, ...]:
    """All stand-ins, the plug-ins' included."""
    return APPLETS + tuple(_plugged())


@cache
def by_name() -> dict[str, Applet]:
    return {path.rsplit("/", 1)[-1]: applet for applet in registered() for path in applet.paths}


def _plugged() -> Iterator[Applet]:
    for name in PLUGINS:
        package = name.rpartition(".")[0]
        if importlib.util.find_spec(package) is not None and importlib.util.find_spec(name) is not None:
            yield from importlib.import_module(name).APPLETS


def _write(fd: int, text: str | bytes) -> None:
    data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BrokenPipeError:
            return
