"""Process 1 of the sandbox: runs what comes in through the door, makes device nodes, reaps what is left behind.

It is one thread around one socket, and holds no state that the kernel outside would need. When that socket ends,
it ends, and the whole process namespace with it. It runs as `python -I -S`, standard library only.
"""

from __future__ import annotations

import array
import ctypes
import fcntl
import json
import os
import pty
import select
import signal
import socket
import sys
import termios
from pathlib import Path
from typing import Any

MS_BIND = 0x1000
MNT_DETACH = 2
PROC = "/libexec/lab/proc"  # the machine's own, out of sight: only /dev/fd needs it


class Init:
    """Serves the orders that arrive on `link`, one JSON object a datagram, each with the descriptors it needs."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._replies: dict[int, socket.socket] = {}
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)

    def serve(self) -> None:
        while True:
            ready, _, _ = select.select([self._link.fileno(), self._woken], [], [])
            if self._woken in ready:
                os.read(self._woken, 4096)
                self._reap()
            if self._link.fileno() in ready:
                data, rights, _, _ = self._link.recvmsg(262144, socket.CMSG_SPACE(32), socket.MSG_CMSG_CLOEXEC)
                if not data:
                    return
                fds = array.array("i", rights[0][2]) if rights else array.array("i")
                self._obey(json.loads(data), list(fds))

    def _obey(self, order: dict[str, Any], fds: list[int]) -> None:
        if order["do"] == "run":
            self._run(order, fds)
            return
        reply = socket.socket(fileno=fds[0])
        try:
            getattr(self, "_" + order["do"])(Path(order["path"]))
            reply.sendall(b"done\n")
        except OSError as error:
            reply.sendall(f"failed {error.errno} {error.strerror}\n".encode())
        finally:
            reply.close()

    def _node(self, path: Path) -> None:
        """A character device at `path`: /dev/null under another name, which is all that test(1) and ls(1) look at."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        if self._libc.mount(b"/dev/null", os.fsencode(path), None, MS_BIND, None) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))

    def _forget(self, path: Path) -> None:
        """Take the node away, and the directories that it alone kept below /dev."""
        self._libc.umount2(os.fsencode(path), MNT_DETACH)
        path.unlink(missing_ok=True)
        for parent in path.parents:
            if parent in (Path("/dev"), Path("/dev/vmm"), Path("/")) or any(parent.iterdir()):
                return
            parent.rmdir()

    def _run(self, order: dict[str, Any], fds: list[int]) -> None:
        reply = socket.socket(fileno=fds[-1])
        if order["terminal"]:
            inside, slave = pty.openpty()
            rights = array.array("i", [inside])
            reply.sendmsg([b"t"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
            os.close(inside)
            standard = [slave, slave, slave]
        else:
            standard = fds[:3]
        pid = os.fork()
        if pid == 0:
            _become(order, standard)
        for fd in {*standard, *fds[:-1]}:
            os.close(fd)
        self._replies[pid] = reply

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            reply = self._replies.pop(pid, None)
            if reply is None:
                continue
            code = os.waitstatus_to_exitcode(status)
            try:
                reply.sendall(f"signal {-code}\n".encode() if code < 0 else f"exit {code}\n".encode())
            except OSError:
                pass  # the connection that asked is gone: nobody is left to tell
            finally:
                reply.close()


def _become(order: dict[str, Any], standard: list[int]) -> None:
    """In the child: a session of its own, then the command. Does not come back."""
    try:
        os.setsid()
        if order["terminal"]:
            fcntl.ioctl(standard[0], termios.TIOCSCTTY, 0)
        for target, fd in enumerate(standard):
            os.dup2(fd, target)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.chdir(order["cwd"])
        os.execve(order["program"], order["argv"], order["environment"])  # noqa: S606 - an argument list
    except OSError as error:
        os.write(2, f"{order['program']}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def main() -> None:
    """`init.py FD`: serve the inherited socket. The name of the process is set by who starts it."""
    libc = ctypes.CDLL(None, use_errno=True)
    Path("/dev/pts").mkdir(exist_ok=True)
    if libc.mount(b"devpts", b"/dev/pts", b"devpts", 0, b"newinstance,ptmxmode=0666,mode=620") != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "/dev/pts")
    Path("/dev/ptmx").symlink_to("pts/ptmx")
    Path("/dev/fd").symlink_to(f"{PROC}/self/fd")
    link = socket.socket(fileno=int(sys.argv[1]))
    link.set_inheritable(False)
    link.send(b"ready")
    Init(link).serve()


if __name__ == "__main__":
    main()
