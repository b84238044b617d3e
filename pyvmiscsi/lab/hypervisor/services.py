"""The far end of `proxy.KernelProxy`: what the processes of a sandbox ask, and what ends with them."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import threading
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

from pyvmiscsi.lab.hypervisor.sandbox import dies_with_us
from pyvmiscsi.lab.hypervisor.wire import Request

if TYPE_CHECKING:
    from pyvmiscsi.lab.hypervisor.machine import Machine


def serve(machine: Machine, link: socket.socket, request: Request) -> None:
    """Serve one process of the sandbox until its connection ends."""
    if request.kind == "launch":
        _launch(machine, link, request)
        return
    for fd in request.fds:
        os.close(fd)
    process = machine.kernel.process(request.pid)
    try:
        with link.makefile("rwb") as stream:
            for line in stream:
                asked = json.loads(line)
                try:
                    result = getattr(process, asked.pop("do"))(**asked)
                    answer: dict[str, Any] = {"result": asdict(result) if is_dataclass(result) else result}  # type: ignore[arg-type]
                except OSError as error:
                    answer = {"errno": error.errno or 0, "error": error.strerror or str(error)}
                stream.write(json.dumps(answer).encode() + b"\n")
                stream.flush()
    finally:
        process.exit()


def _launch(machine: Machine, link: socket.socket, request: Request) -> None:
    passed = [int(number) for number in request.argv[0].split(",") if number]
    moves = list(zip(request.fds[3:], passed, strict=True))

    def before_exec() -> None:
        dies_with_us()
        spare = [(os.dup2(fd, 200 + index, inheritable=False), target) for index, (fd, target) in enumerate(moves)]
        for fd, target in spare:
            os.dup2(fd, target)

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            request.argv[1:],
            stdin=request.fds[0],
            stdout=request.fds[1],
            stderr=request.fds[2],
            close_fds=not moves,
            preexec_fn=before_exec,  # noqa: PLW1509 - a few system calls: prctl(2), dup2(2)
            process_group=0,
        )

    try:
        process = machine.on_main_thread(start)
    except OSError as error:
        link.sendall(json.dumps({"errno": error.errno or 0, "error": str(error)}).encode() + b"\n")
        return
    finally:
        for fd in request.fds:
            os.close(fd)
    link.sendall(json.dumps({"pid": process.pid}).encode() + b"\n")
    threading.Thread(target=_report, args=(process, link.dup()), daemon=True).start()
    try:
        with link.makefile("rb") as stream:
            for line in stream:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(json.loads(line)["signal"])
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _report(process: subprocess.Popen[bytes], link: socket.socket) -> None:
    handle = os.pidfd_open(process.pid)
    try:
        select.select([handle], [], [])
        status = process.wait()
        with link, contextlib.suppress(OSError):
            link.sendall(json.dumps({"status": status}).encode() + b"\n")
    finally:
        os.close(handle)
