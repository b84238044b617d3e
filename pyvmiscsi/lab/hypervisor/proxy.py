"""The kernel as a process applet sees it: a connection that answers `KernelServices`."""

from __future__ import annotations

import json
import os
import socket
import threading
from typing import Any

from pyvmiscsi.lab.hypervisor import door
from pyvmiscsi.lab.hypervisor.applets import OpenDisk


class KernelProxy:
    """Asks the kernel over a connection of this process; what it opened is closed when the process ends."""

    def __init__(self) -> None:
        self._link = _connect(b"services", [], [])
        self._stream = self._link.makefile("rwb")
        self._lock = threading.Lock()

    def open_disk(self, path: str, *, write: bool, read: bool = True) -> OpenDisk:
        return OpenDisk(**self._ask("open_disk", path=path, write=write, read=read))

    def close_disk(self, handle: int) -> None:
        self._ask("close_disk", handle=handle)

    def vmm_create(self, name: str) -> None:
        self._ask("vmm_create", name=name)

    def vmm_destroy(self, name: str) -> None:
        self._ask("vmm_destroy", name=name)

    def vmm_names(self) -> list[str]:
        names: list[str] = self._ask("vmm_names")
        return names

    def vmm_run(self, name: str) -> None:
        self._ask("vmm_run", name=name)

    def vmm_is_busy(self, name: str) -> bool:
        busy: bool = self._ask("vmm_is_busy", name=name)
        return busy

    def vmm_ended(self, name: str) -> None:
        self._ask("vmm_ended", name=name)

    def vmm_load(self, name: str, memory: int) -> None:
        self._ask("vmm_load", name=name, memory=memory)

    def vmm_loaded(self, name: str) -> int:
        memory: int = self._ask("vmm_loaded", name=name)
        return memory

    def tap_open(self, name: str) -> None:
        self._ask("tap_open", name=name)

    def make_node(self, path: str) -> None:
        self._ask("make_node", path=path)

    def remove_node(self, path: str) -> None:
        self._ask("remove_node", path=path)

    def console(self, line: str) -> None:
        self._ask("console", line=line)

    def sysctl(self, name: str) -> str:
        value: str = self._ask("sysctl", name=name)
        return value

    def module_loaded(self, name: str) -> bool:
        loaded: bool = self._ask("module_loaded", name=name)
        return loaded

    def host_path(self, path: str) -> str:
        found: str = self._ask("host_path", path=path)
        return found

    def wait_until_out(self, pid: int) -> None:
        """Wait until the stand-in with this process id has left the kernel, where no signal reaches it."""
        self._ask("wait_until_out", pid=pid)

    def iscsid(self, most_children: int) -> bool:
        """Be iscsid(8) from now on; False when there is one."""
        started: bool = self._ask("iscsid", most_children=most_children)
        return started

    def launch(
        self, argv: list[str], stdin: int, stdout: int, stderr: int, *, pass_fds: tuple[int, ...] = ()
    ) -> OutsideProcess:
        words = [",".join(str(fd) for fd in pass_fds), *argv]
        link = _connect(b"launch", [os.fsencode(word) for word in words], [stdin, stdout, stderr, *pass_fds])
        return OutsideProcess(link)

    def _ask(self, do: str, **given: Any) -> Any:
        with self._lock:
            self._stream.write(json.dumps({"do": do, **given}).encode() + b"\n")
            self._stream.flush()
            line = self._stream.readline()
        if not line:
            raise OSError("the lab's kernel is gone")
        answer = json.loads(line)
        if "errno" in answer:
            raise OSError(answer["errno"], answer["error"])
        return answer["result"]


class OutsideProcess:
    """A program of the machine, killed when this connection ends."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._stream = link.makefile("rwb")
        answer = json.loads(self._stream.readline() or b'{"error": "the lab\'s kernel is gone"}')
        if "error" in answer:
            raise OSError(answer.get("errno", 0), answer["error"])
        self.pid: int = answer["pid"]
        self._status: int | None = None

    def fileno(self) -> int:
        """Readable once the program has ended."""
        return self._link.fileno()

    def wait(self) -> int:
        if self._status is None:
            line = self._stream.readline()
            self._status = json.loads(line)["status"] if line else -9
        return self._status

    def signal(self, number: int) -> None:
        self._stream.write(json.dumps({"signal": number}).encode() + b"\n")
        self._stream.flush()


def _connect(kind: bytes, argv: list[bytes], fds: list[int]) -> socket.socket:
    link = door.connect(door.KERNEL)
    door.send(link, door.request(kind, argv), fds)
    return socket.socket(fileno=link.detach())
