"""The sandbox as the kernel outside sees it: start it, run commands in it, make device nodes in it."""

from __future__ import annotations

import array
import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from pyvmiscsi.errors import HostError, NotFoundError
from pyvmiscsi.lab.hypervisor import sandbox_argv
from pyvmiscsi.lab.hypervisor.userland import Bind

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_libc = ctypes.CDLL(None)


def dies_with_us() -> None:
    """In a child before exec: be killed when the thread that started us ends (prctl(2))."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of what our children leave behind (prctl(2), PR_SET_CHILD_SUBREAPER)."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)


class Sandbox:
    """One running bubblewrap sandbox. It ends when this object is closed, or this process ends."""

    def __init__(
        self, *, root: Path, shared_config: Path, run: Path, hostname: str, binds: Sequence[Bind], log: int
    ) -> None:
        if shutil.which("bwrap") is None:
            raise NotFoundError("the lab needs the program bwrap", hint="install bubblewrap")
        self.root = root
        self._shared_config = shared_config
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        argv = sandbox_argv.bwrap_argv(
            root=root, shared_config=shared_config, run=run, hostname=hostname, binds=binds, channel=theirs.fileno()
        )
        self._process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(theirs.fileno(),), process_group=0
        )
        theirs.close()
        self._link = ours
        self._lock = threading.Lock()
        self._link.settimeout(60)
        if self._link.recv(16) != b"ready":
            self._process.wait(60)
            raise HostError("the sandbox did not start", hint="see the hypervisor's log; are user namespaces allowed?")
        self._link.settimeout(None)
        self.init_pid = self._find_init()
        self.namespace = _namespace(self.init_pid)

    @property
    def pid(self) -> int:
        return self._process.pid

    def run(
        self,
        program: str,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        fds: Sequence[int],
        cwd: str = "/",
        terminal: bool = False,
    ) -> socket.socket:
        """Start a program; the answer comes on the socket: a terminal's descriptor if asked, then `exit N`."""
        ours, theirs = socket.socketpair()
        order = {
            "do": "run",
            "program": program,
            "argv": list(argv),
            "environment": dict(environment),
            "cwd": cwd,
            "terminal": terminal,
        }
        with theirs:
            self._order(order, [*([] if terminal else fds), theirs.fileno()])
        return ours

    def make_node(self, path: str) -> None:
        """A character device node; OSError when it cannot be."""
        self._node("node", path)

    def remove_node(self, path: str) -> None:
        self._node("forget", path)

    def host_path(self, path: str) -> Path:
        """Where a file of the sandbox lies on this machine."""
        if path == "/vmconfig" or path.startswith("/vmconfig/"):
            return self._shared_config / path.removeprefix("/vmconfig").lstrip("/")
        return self.root / path.lstrip("/")

    def has(self, path: str) -> bool:
        """Whether the sandbox sees something at `path`, its own mounts included."""
        return os.path.lexists(f"/proc/{self.init_pid}/root{path}")

    def processes(self) -> list[int]:
        """The process ids, outside, of all that runs in the sandbox."""
        found = []
        for entry in os.listdir("/proc"):  # noqa: PTH208 - names are enough, and this runs for every pgrep
            if entry.isdigit() and _namespace(int(entry)) == self.namespace:
                found.append(int(entry))
        return found

    def pid_outside(self, pid: int) -> int | None:
        """The process id on the machine of the sandbox's process `pid`."""
        for outside in self.processes():
            if _inside(outside) == pid:
                return outside
        return None

    def signal(self, pid: int, number: int) -> None:
        """Send a signal to the sandbox's process `pid`, if it is still there."""
        outside = self.pid_outside(pid)
        if outside is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(outside, number)

    def close(self) -> None:
        """End every process in it."""
        self._link.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(60)

    def _node(self, what: str, path: str) -> None:
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                self._order({"do": what, "path": path}, [theirs.fileno()])
            answer = ours.recv(400).decode()
        if not answer.startswith("done"):
            _, number, text = answer.split(None, 2)
            raise OSError(int(number), text.strip(), path)

    def _order(self, order: dict[str, object], fds: list[int]) -> None:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
        with self._lock:
            self._link.sendmsg([json.dumps(order).encode()], rights)

    def _find_init(self) -> int:
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return int(children[0]) if children else self._process.pid


def _namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")  # noqa: PTH115 - a magic link, no path
    except OSError:
        return ""


def _inside(pid: int) -> int:
    """The innermost process id of a process of the machine (proc(5), NSpid)."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    except OSError:
        pass
    return -1
