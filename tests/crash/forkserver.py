"""A process that has imported all of `pyvmiscsi`, and becomes the command as often as asked, by fork(2).

`python -m tests.crash.forkserver FD`: the descriptor is a socket of sequenced packets. A request is a JSON object
`{"argv": […]}` with two descriptors, the command's standard output and error; the answers are `{"pid": N}` and, when
it has ended, `{"pid": N, "status": S}` (a negative one is a signal's, as subprocess shows it).

Each command is a process of its own, with its own connections, threads and end. This process never has any of these:
it refuses to fork when it has more than one thread.
"""

from __future__ import annotations

import array
import contextlib
import faulthandler
import gc
import json
import os
import selectors
import signal
import socket
import sys
from typing import NoReturn

import paramiko
import requests
import websockets.sync.client
from pyvmiscsi_cli import app as cli

import pyvmiscsi.hosts.ssh
import pyvmiscsi.initiator.freebsd
import pyvmiscsi.initiator.libiscsi.access
import pyvmiscsi.nas.truenas.connect
import pyvmiscsi.nas.truenas.jsonrpc
import pyvmiscsi.nas.truenas.rest2
import pyvmiscsi.nas.truenas.websocket
import pyvmiscsi.site
import pyvmiscsi.site.datastore

_IMPORTED = (paramiko, requests, websockets, pyvmiscsi)
_CRASHED = 70
_MOST_OPEN = 256
"""Of this process; what a command opens is its own."""


class ForkServer:
    """Serves one client until it leaves."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._waiting = selectors.DefaultSelector()
        self._waiting.register(link, selectors.EVENT_READ)
        cli.whole()  # every module of commands
        gc.collect()
        gc.freeze()  # what is here stays: a child's collector need not touch, and copy, these pages

    def serve(self) -> None:
        while True:
            for key, _ in self._waiting.select():
                if key.data is not None:
                    self._bury(*key.data)
                elif not self._take():
                    return

    def _take(self) -> bool:
        data, rights, _, _ = self._link.recvmsg(1 << 16, socket.CMSG_SPACE(8))
        if not data:
            return False
        fds = array.array("i", rights[0][2])
        threads = os.listdir("/proc/self/task")  # noqa: PTH208 - names are enough
        if len(threads) != 1:
            raise RuntimeError(f"{len(threads)} threads where a fork must find one")
        pid = os.fork()
        if pid == 0:
            _become(json.loads(data)["argv"], fds)
        for fd in fds:
            os.close(fd)
        handle = os.pidfd_open(pid)
        self._waiting.register(handle, selectors.EVENT_READ, (pid, handle))
        self._tell(pid=pid)
        return True

    def _bury(self, pid: int, handle: int) -> None:
        self._waiting.unregister(handle)
        os.close(handle)
        _, status = os.waitpid(pid, 0)
        self._tell(pid=pid, status=os.waitstatus_to_exitcode(status))

    def _tell(self, **answer: int) -> None:
        self._link.send(json.dumps(answer).encode())


def _become(argv: list[str], fds: array.array[int]) -> NoReturn:
    """The command, to its end; never back into the server."""
    status = _CRASHED
    try:
        os.dup2(fds[0], 1)
        os.dup2(fds[1], 2)
        os.closerange(3, _MOST_OPEN)
        faulthandler.register(signal.SIGUSR1, all_threads=True)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.argv = ["pyvmiscsi", *argv]
        from pyvmiscsi_cli.__main__ import main

        status = main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else _CRASHED
    except BaseException:  # noqa: BLE001 - what nobody caught ends a process with a traceback
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    ForkServer(socket.socket(fileno=int(sys.argv[1]))).serve()
