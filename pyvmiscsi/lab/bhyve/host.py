"""A host of the lab as bhyve finds it from inside the sandbox: real opens, whose results the running guest uses."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pyvmiscsi.lab.bhyve import nmdm
from pyvmiscsi.lab.bhyve.errno_text import ENOENT, freebsd_text
from pyvmiscsi.lab.bhyve.facts import Found, Kind, Trouble, Vm

if TYPE_CHECKING:
    from pyvmiscsi.lab.hypervisor.applets import KernelServices, OpenDisk


class SandboxHost:
    """HostFacts of the sandbox this process runs in. What it opened stays open, by path, for the guest."""

    def __init__(self, kernel: KernelServices) -> None:
        self._kernel = kernel
        self.disks: dict[str, OpenDisk] = {}
        self.lines: dict[str, nmdm.End] = {}

    @property
    def osreldate(self) -> int:
        return int(self._sysctl("kern.osreldate", "1403000"))

    @property
    def machine(self) -> str:
        return self._sysctl("hw.machine", "amd64")

    @property
    def max_vcpus(self) -> int:
        return int(self._sysctl("hw.vmm.maxcpu", "16"))

    def read_text(self, path: str) -> str | None:
        try:
            return Path(path).read_text(errors="replace")
        except OSError:
            return None

    def look(self, path: str, *, write: bool = False) -> Found:
        if nmdm.is_end(path):
            return self._open_line(path)
        if path.startswith("/dev/"):
            return self._open_device(path, write=write)
        with _freebsd_errors():
            status = Path(path).stat()
            if stat.S_ISDIR(status.st_mode):
                return Found(Kind.DIRECTORY)
            writable = write and os.access(path, os.W_OK)
            if not os.access(path, os.R_OK):
                raise PermissionError(13, "")
        return Found(Kind.FILE, status.st_size, stripe=status.st_blksize, writable=writable)

    def vm(self, name: str) -> Vm:
        if not self._kernel.module_loaded("vmm"):
            raise Trouble(ENOENT)
        with _freebsd_errors():
            if name not in self._kernel.vmm_names():
                return Vm.ABSENT
            return Vm.BUSY if self._kernel.vmm_is_busy(name) else Vm.IDLE

    def open_network(self, interface: str) -> None:
        with _freebsd_errors():
            self._kernel.tap_open(interface)

    def has_passthru(self, bus: int, slot: int, func: int) -> bool:
        del bus, slot, func
        return False

    def _open_line(self, path: str) -> Found:
        if not self._kernel.module_loaded("nmdm"):
            raise Trouble(ENOENT)
        if path not in self.lines:
            end = nmdm.End(path)
            self.lines[path] = end
            for node in (path, end.peer_path):
                if not Path(node).exists():
                    with _freebsd_errors():
                        self._kernel.make_node(node)
        return Found(Kind.TTY)

    def _open_device(self, path: str, *, write: bool) -> Found:
        """Read and write, or else, silently, only to read: bhyve's own fallback (freebsd.md 4.5)."""
        with _freebsd_errors():
            try:
                disk = self.disks.get(path) or self._kernel.open_disk(path, write=write)
            except OSError:
                if not write:
                    raise
                disk = self._kernel.open_disk(path, write=False)
        self.disks[path] = disk
        return Found(Kind.DEVICE, disk.size, disk.sector, disk.stripesize, disk.writable, disk.serial)

    def _sysctl(self, name: str, default: str) -> str:
        try:
            return self._kernel.sysctl(name)
        except OSError:
            return default


@contextmanager
def _freebsd_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Trouble(freebsd_text(error.errno or 0)) from error
