"""The process behind one hypervisor: it owns the sandbox, sshd and the kernel, and answers at three sockets.

    gate.sock      every login's command, from `door.py gate`
    kernel.sock    every stand-in inside the sandbox, from `door.py` and `process.py`
    control.sock   the lab's tests: faults, logs, restarts (see `control`)

Threads start nothing that must die with us: that is the main thread's, since the kernel ends such a child when the
thread that started it ends (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pyvmiscsi.lab.hypervisor import applets, userland, wire
from pyvmiscsi.lab.hypervisor.faults import Fault, Faults
from pyvmiscsi.lab.hypervisor.kernel import Facts, Kernel
from pyvmiscsi.lab.hypervisor.options import HypervisorOptions, RunningHypervisor
from pyvmiscsi.lab.hypervisor.sandbox import Sandbox, adopt_orphans
from pyvmiscsi.lab.hypervisor.sshd import Sshd

T = TypeVar("T")

ENVIRONMENT = {
    "HOME": "/root",
    "LOGNAME": "root",
    "PATH": "/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/root/bin",
    "SHELL": "/bin/sh",
    "USER": "root",
    "BLOCKSIZE": "K",
}


@dataclass
class Logged:
    """A command as it came in over SSH, or a stand-in's run."""

    text: str
    started: float
    argv: tuple[str, ...] = ()
    status: str = ""
    ended: float | None = None
    fault: int | None = None


@dataclass
class Logs:
    """What ran, for tests to count."""

    commands: list[Logged] = field(default_factory=list)
    calls: list[Logged] = field(default_factory=list)

    def reset(self) -> None:
        self.commands, self.calls = [], []


class Machine:
    """One hypervisor, from start to stop."""

    def __init__(self, options: HypervisorOptions, log: int) -> None:
        self.options = options
        self.faults = Faults()
        self.logs = Logs()
        self._log = log
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        directory = options.directory
        self._run = directory / "run"
        for path in (directory, self._run, directory / "doors"):
            path.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)
        self._listeners = {
            "gate": wire.listen(directory / "doors/gate.sock"),
            "kernel": wire.listen(self._run / "kernel.sock"),
            "control": wire.listen(directory / "control.sock"),
        }
        root = directory / "root"
        binds = userland.build(root, hostname=options.host_name, release=options.release)
        self.sandbox = Sandbox(
            root=root,
            shared_config=options.shared_config,
            run=self._run,
            hostname=options.host_name,
            binds=binds,
            log=log,
        )
        self.kernel = Kernel(Facts(options.host_name, options.release), options, self.sandbox)
        self.sshd = Sshd(
            directory,
            gate_socket=directory / "doors/gate.sock",
            authorized_key=options.authorized_key.read_text(),
            log=log,
        )
        self.sshd.start()

    def describe(self) -> RunningHypervisor:
        return RunningHypervisor(
            name=self.options.name,
            hostname=self.options.host_name,
            address="127.0.0.1",
            port=self.sshd.port,
            user=self.sshd.user,
            host_key_fingerprint=self.sshd.fingerprint,
            known_hosts_line=self.sshd.known_hosts_line,
            control_socket=self.options.directory / "control.sock",
            directory=self.options.directory,
            pids=(os.getpid(), self.sshd.pid, self.sandbox.pid),
        )

    def serve(self) -> None:
        """Answer at the sockets until told to stop."""
        from pyvmiscsi.lab.hypervisor import control_server

        handlers = {
            "gate": self._gate,
            "kernel": self._kernel,
            "control": lambda link: control_server.serve(self, link),
        }
        for name, listener in self._listeners.items():
            threading.Thread(target=_accept, args=(listener, handlers[name]), name=name, daemon=True).start()
        self.sandbox.run("/usr/sbin/iscsid", ["iscsid"], environment=ENVIRONMENT, fds=[self._log] * 3).close()
        while (job := self._jobs.get()) is not None:
            job()

    def stop(self) -> None:
        """Ask the main thread to leave `serve`."""
        self._jobs.put(None)

    def close(self) -> None:
        """End all there is: commands, guests, sessions, servers, sockets."""
        self.sshd.stop()
        self.faults.clear()
        self.kernel.close()
        self.sandbox.close()
        for pid in _descendants(os.getpid()):  # connections that sshd had accepted, idle ones too
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for name in ("doors/gate.sock", "run/kernel.sock", "control.sock"):
            (self.options.directory / name).unlink(missing_ok=True)

    def on_main_thread(self, job: Callable[[], T]) -> T:
        """Run `job` where children may be started; its answer, or its exception."""
        done: Future[T] = Future()

        def run() -> None:
            try:
                done.set_result(job())
            except BaseException as error:  # noqa: BLE001 - handed to who asked
                done.set_exception(error)

        self._jobs.put(run)
        return done.result(60)

    def restart_sshd(self) -> None:
        """Stop the listening sshd and start it again on its port; sandbox and open connections go on."""

        def again() -> None:
            self.sshd.stop()
            self.sshd.start()

        self.on_main_thread(again)

    # the gate

    def _gate(self, link: socket.socket) -> None:
        request = wire.receive_request(link)
        command = request.argv[0]
        logged = Logged(command, time.time())
        self.logs.commands.append(logged)
        try:
            fault = self.faults.meet(command)
            logged.fault = fault.number if fault else None
            answer = self._faulty(fault, "before", request)
            if not answer:
                answer = self._run_command(link, request, command)
                answer = self._faulty(fault, "after", request) or answer
            logged.status, logged.ended = answer, time.time()
            with contextlib.suppress(OSError):
                link.sendall(answer.encode() + b"\n")
        finally:
            for fd in request.fds:
                os.close(fd)

    def _faulty(self, fault: Fault | None, when: str, request: wire.Request) -> str:
        """Let the fault do its work at this moment; an answer, when that is the end of it."""
        if fault is None or fault.when != when:
            return ""
        fault.met.set()
        if fault.action == "hang":
            fault.released.wait()
            return "exit 255" if fault.abandoned else ""
        if fault.action == "fail":
            return "exit 1"
        with contextlib.suppress(ProcessLookupError):
            os.kill(request.parent, signal.SIGKILL)  # the sshd process of this one connection
        return "exit 255"

    def _run_command(self, link: socket.socket, request: wire.Request, command: str) -> str:
        environment = dict(ENVIRONMENT)
        environment |= {name: request.environment[name] for name in _PASSED if name in request.environment}
        argv = ["sh", "-c", command] if command else ["-sh"]
        reply = self.sandbox.run(
            "/bin/sh",
            argv,
            environment=environment,
            fds=request.fds[:3],
            cwd="/root",
            terminal=request.kind == "terminal",
        )
        with reply:
            if request.kind == "terminal":
                data, rights, _, _ = reply.recvmsg(1, socket.CMSG_SPACE(4))
                if data:
                    link.sendmsg([data], rights)
                    os.close(int.from_bytes(rights[0][2][:4], sys.byteorder))
            answer = reply.recv(64).decode().strip()
        return answer or "exit 255"

    # the kernel's door

    def _kernel(self, link: socket.socket) -> None:
        request = wire.receive_request(link)
        if request.kind != "call":
            from pyvmiscsi.lab.hypervisor import services

            services.serve(self, link, request)
            return
        logged = Logged(" ".join(request.argv), time.time(), request.argv)
        self.logs.calls.append(logged)
        call = self._call(link, request)
        try:
            with self.kernel.calling(request.pid):
                status = self._applet(call)
        finally:
            for fd in request.fds:
                os.close(fd)
        logged.status, logged.ended = f"exit {status}", time.time()
        with contextlib.suppress(OSError):
            link.sendall(b"exit %d\n" % (status & 0xFF))

    def _call(self, link: socket.socket, request: wire.Request) -> applets.Call:
        return applets.Call(
            argv=request.argv,
            cwd=request.cwd,
            uid=request.uid,
            pid=request.pid,
            environment=request.environment,
            stdin=request.fds[0],
            stdout=request.fds[1],
            stderr=request.fds[2],
            kernel=self.kernel,
            gone=applets.Leash(link),
        )

    def _applet(self, call: applets.Call) -> int:
        applet = applets.by_name().get(call.name)
        if applet is None:
            return call.fail("not a stand-in of this lab", 127)
        try:
            return applet.function()(call)
        except Exception as error:  # noqa: BLE001 - a mistake of the lab's own must not look like FreeBSD's
            traceback.print_exc()
            return call.fail(f"the lab's stand-in failed: {type(error).__name__}: {error}", 70)


_PASSED = ("SSH_CLIENT", "SSH_CONNECTION", "SSH_TTY", "TERM")


def _accept(listener: socket.socket, handler: Callable[[socket.socket], None]) -> None:
    def handle(link: socket.socket) -> None:
        with link:
            try:
                handler(link)
            except (EOFError, ConnectionError):
                pass  # the far side was killed
            except Exception:  # noqa: BLE001 - one connection's mistake is written down, the others go on
                traceback.print_exc()

    while True:
        try:
            link, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=handle, args=(link,), daemon=True).start()


def main(argv: list[str]) -> int:
    """`machine.py OPTIONS-JSON`: start detached, print what runs as JSON, and return; errors on standard error."""
    options = HypervisorOptions.from_json(argv[1])
    ready, tell = os.pipe()
    if os.fork():
        os.close(tell)
        with os.fdopen(ready) as stream:
            answer = stream.read()
        if answer.startswith("{"):
            sys.stdout.write(answer)
            return 0
        sys.stderr.write(answer or "the hypervisor's process ended at once\n")
        return 1
    os.close(ready)
    os.setsid()
    options.directory.mkdir(parents=True, exist_ok=True)
    log = os.open(options.directory / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    return _detached(options, tell, log)


def _detached(options: HypervisorOptions, tell: int, log: int) -> int:
    _title(f"lab hypervisor {options.name}")
    adopt_orphans()
    _leave_a_sweeper(options, tell)
    machine: Any = None
    try:
        machine = Machine(options, log)
    except Exception as error:  # noqa: BLE001 - told to who started us
        traceback.print_exc()
        os.write(tell, f"{type(error).__name__}: {error}\n".encode())
        os._exit(1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: machine.stop())
    os.write(tell, machine.describe().to_json().encode())
    os.close(tell)
    try:
        machine.serve()
    finally:
        machine.close()
        sys.stderr.flush()
        os._exit(0)  # threads that serve a stuck stand-in are not waited for


def _leave_a_sweeper(options: HypervisorOptions, tell: int) -> None:
    """A child that outlives us for a moment, however we end, and kills what wrote to our log.

    sshd's process for an accepted connection is nobody's child once sshd is gone, and would stay with its client.
    """
    ended, keep = os.pipe()  # the writing end is never written to: it closes when this process ends
    if os.fork():
        os.close(ended)
        return
    os.close(keep)
    os.close(tell)
    _title(f"lab hypervisor {options.name} (sweeper)")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    os.read(ended, 1)
    _sweep(str(options.directory / "log"))
    os._exit(0)


def _sweep(log: str) -> None:
    """Kill every process but this one whose standard error is `log`."""
    for name in os.listdir("/proc"):  # noqa: PTH208 - names are enough
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{name}/fd/2") == log:  # noqa: PTH115 - a magic link, no path
                    os.kill(int(name), signal.SIGKILL)


def _descendants(pid: int) -> list[int]:
    """All processes below this one."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found += [int(child), *_descendants(int(child))]
    return found


def _title(text: str) -> None:
    with contextlib.suppress(ImportError):
        import setproctitle

        setproctitle.setproctitle(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
