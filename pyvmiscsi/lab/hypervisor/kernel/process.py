"""What one process of the sandbox has open in the kernel: all of it is closed when the process ends."""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING

from pyvmiscsi.lab.hypervisor.applets import OpenDisk

if TYPE_CHECKING:
    from pyvmiscsi.lab.hypervisor.kernel import Kernel, OpenedDisk

_handles = itertools.count(1)


class Process:
    """The services of `applets.KernelServices` for one process."""

    def __init__(self, kernel: Kernel, pid: int) -> None:
        self._kernel = kernel
        self._pid = pid
        self._disks: dict[int, OpenedDisk] = {}
        self._taps: list[str] = []
        self._guest = ""
        self._iscsid = False

    def exit(self) -> None:
        """The process has ended."""
        if self._iscsid:
            self._kernel.initiator.daemon_ended()
        for name in self._taps:
            self._kernel.interfaces.close_tap(name)
        if self._guest:
            self._kernel.vmm.stopped(self._guest, self._pid)
        for handle in list(self._disks):
            with contextlib.suppress(OSError):
                self.close_disk(handle)

    def open_disk(self, path: str, write: bool, read: bool = True) -> OpenDisk:
        opened = self._kernel.open_disk(path, write=write, pid=self._pid, read=read)
        handle = next(_handles)
        self._disks[handle] = opened
        lun = opened.disk.unit.lun
        return OpenDisk(
            handle=handle,
            nbd_socket=str(opened.server.path),
            sector=lun.sector,
            size=lun.size,
            stripesize=lun.stripesize,
            serial=lun.serial,
            device=opened.disk.unit.da,
            session=opened.disk.session.number,
            writable=write,
        )

    def close_disk(self, handle: int) -> None:
        opened = self._disks.pop(handle, None)
        if opened is not None:
            self._kernel.close_disk(opened)

    def vmm_create(self, name: str) -> None:
        self._kernel.vmm.create(name)

    def vmm_destroy(self, name: str) -> None:
        self._kernel.vmm.destroy(name)

    def vmm_names(self) -> list[str]:
        return self._kernel.vmm.names()

    def vmm_run(self, name: str) -> None:
        self._kernel.vmm.run(name, self._pid)
        self._guest = name

    def vmm_is_busy(self, name: str) -> bool:
        return self._kernel.vmm.is_busy(name)

    def vmm_ended(self, name: str) -> None:
        self._kernel.vmm.ended(name, self._pid)

    def vmm_load(self, name: str, memory: int) -> None:
        self._kernel.vmm.load(name, memory)

    def vmm_loaded(self, name: str) -> int:
        return self._kernel.vmm.loaded(name)

    def tap_open(self, name: str) -> None:
        self._kernel.interfaces.open_tap(name, self._pid)
        self._taps.append(name)
        if self._kernel.sysctls.get("net.link.tap.up_on_open") == "1":
            self._kernel.interfaces.get(name).up = True

    def make_node(self, path: str) -> None:
        self._kernel.sandbox.make_node(path)

    def remove_node(self, path: str) -> None:
        self._kernel.sandbox.remove_node(path)

    def console(self, line: str) -> None:
        self._kernel.console.print(line)

    def sysctl(self, name: str) -> str:
        return self._kernel.sysctls.get(name)

    def host_path(self, path: str) -> str:
        return str(self._kernel.sandbox.host_path(path))

    def wait_until_out(self, pid: int) -> None:
        self._kernel.wait_until_out(pid)

    def iscsid(self, most_children: int) -> bool:
        self._iscsid = self._kernel.initiator.daemon_started(most_children)
        return self._iscsid

    def module_loaded(self, name: str) -> bool:
        return self._kernel.modules.is_loaded(name)
