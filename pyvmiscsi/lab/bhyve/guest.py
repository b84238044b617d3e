"""A running guest: QEMU, its consoles and its end, told as bhyve tells it (freebsd.md 4.4)."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import socket
import termios
import time
import tty
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, Protocol

from pyvmiscsi.lab.bhyve.nmdm import End
from pyvmiscsi.lab.bhyve.qmp import Qmp

_LOOK_EVERY = 1.0  # seconds between two looks for a halted processor, or a reader that has gone
_PIECE = 4096
_MONITOR = "human-monitor-command"
_PM1_ENABLE = "i/hx 0x602"
"""ACPI's PM1 enable register, 2 bytes, where EDK II puts it on this machine (PMBASE 0x600)."""


class Ending(IntEnum):
    """bhyve's exit status."""

    REBOOT = 0
    POWEROFF = 1
    HALT = 2
    TRIPLE_FAULT = 3
    ERROR = 4
    TERMINATED = 128 + signal.SIGTERM
    """Not by `exit`: by the signal itself."""


class Outside(Protocol):
    """QEMU, wherever it was started: readable at `fileno()` once it has ended."""

    def fileno(self) -> int: ...

    def wait(self) -> int: ...

    def signal(self, number: int) -> None: ...


class Stdio:
    """`com1,stdio`: bhyve's own standard input and output; a terminal passes every key on while the guest runs."""

    def __init__(self, stdin: int = 0, stdout: int = 1) -> None:
        self._stdin = stdin
        self._stdout = stdout
        self._before = termios.tcgetattr(stdin) if os.isatty(stdin) else None
        if self._before is not None:
            tty.setraw(stdin)

    def fileno(self) -> int:
        return self._stdin

    def read(self) -> bytes:
        return os.read(self._stdin, _PIECE)

    def write(self, data: bytes) -> int:
        try:
            return os.write(self._stdout, data)
        except BrokenPipeError:
            return len(data)

    def close(self) -> None:
        """They stay open: they are the process's."""
        if self._before is not None:
            termios.tcsetattr(self._stdin, termios.TCSADRAIN, self._before)


class _Console:
    """One serial port: QEMU's side and the far end, with what the far end could not take yet."""

    def __init__(self, port: socket.socket, end: End | Stdio) -> None:
        self.port = port
        self.end = end
        self.pending = b""


class Guest:
    """Watches one QEMU until it is known how bhyve would have ended, then ends QEMU.

    `log` is the descriptor QEMU writes processor resets to; `said` what it wrote on its standard error.
    """

    def __init__(
        self,
        qemu: Outside,
        qmp: Qmp,
        consoles: Mapping[socket.socket, End | Stdio],
        control: socket.socket,
        *,
        log: int,
        said: int,
        complain: Callable[[str], None],
    ) -> None:
        self._qemu = qemu
        self._qmp = qmp
        self._control = control
        self._log = log
        self._said = said
        self._complain = complain
        self._ending: Ending | None = None
        self._halted_before = False
        self._consoles = [_Console(port, end) for port, end in consoles.items()]
        self._selector = selectors.DefaultSelector()

    def run(self) -> Ending:
        """Until the guest ends. SIGTERM meanwhile is the power button, once its system has enabled ACPI, or the end."""
        select = self._selector
        woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        before = signal.signal(signal.SIGTERM, lambda _number, _frame: self._press())
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        select.register(woken, selectors.EVENT_READ, lambda: os.read(woken, _PIECE))
        select.register(self._qmp, selectors.EVENT_READ, self._hear)
        select.register(self._qemu, selectors.EVENT_READ, self._lost)
        select.register(self._control, selectors.EVENT_READ, self._obey)
        for console in self._consoles:
            self._attach(console)
        try:
            look_at = time.monotonic() + _LOOK_EVERY
            while self._ending is None:
                for key, _ in select.select(max(0.0, look_at - time.monotonic())):
                    key.data()
                    if self._ending is not None:
                        break
                if time.monotonic() >= look_at:
                    look_at = time.monotonic() + _LOOK_EVERY
                    self._look_around()
            self._drain()
            return self._ending
        finally:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGTERM, before)
            self._end_qemu()
            select.close()
            os.close(woken)
            os.close(wake)

    # consoles

    def _attach(self, console: _Console) -> None:
        console.port.setblocking(False)
        self._selector.register(console.port, selectors.EVENT_READ, lambda: self._from_guest(console))
        with contextlib.suppress(OSError):  # epoll(7) takes no regular file and no /dev/null: nothing to hear there
            self._selector.register(console.end, selectors.EVENT_READ, lambda: self._to_guest(console))

    def _from_guest(self, console: _Console) -> None:
        """Pass output on. When the far end is full the guest waits, as it does on the real line."""
        try:
            data = console.port.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(console.port)
            return
        taken = console.end.write(data)
        if taken < len(data):
            console.pending = data[taken:]
            self._selector.unregister(console.port)

    def _to_guest(self, console: _Console) -> None:
        data = console.end.read()
        if data:
            with contextlib.suppress(OSError):
                console.port.send(data)
        elif isinstance(console.end, Stdio):
            self._selector.unregister(console.end)

    def _drain(self) -> None:
        """What the guest said last, before QEMU is ended."""
        for console in self._consoles:
            with contextlib.suppress(OSError):
                while data := console.port.recv(_PIECE):
                    console.end.write(data)

    # the monitor, the processor, and bhyvectl

    def _press(self) -> None:
        """bhyve catches SIGTERM from the moment on in which its guest enables ACPI (pm.c), and has the default before.

        OVMF leaves nothing to enable here, so the first thing that a system does next is looked for: ACPICA enables
        the event of the global lock.
        """
        self._qmp.send(_MONITOR, **{"command-line": _PM1_ENABLE})

    def _hear(self) -> None:
        try:
            for message in self._qmp.receive():
                self._take(message)
        except EOFError:
            self._selector.unregister(self._qmp)

    def _take(self, message: dict[str, Any]) -> None:
        if message.get("event") == "SHUTDOWN" and self._ending is None:
            if "reset" in message["data"]["reason"]:
                fault = b"Triple fault" in _contents(self._log)
                self._ending = Ending.TRIPLE_FAULT if fault else Ending.REBOOT
            else:
                self._ending = Ending.POWEROFF
        elif message.get("id") == _MONITOR and str(message.get("return")).startswith("portw["):
            if _enables_events(message["return"]):
                self._qmp.send("system_powerdown")
            elif self._ending is None:
                self._ending = Ending.TERMINATED
        elif message.get("id") == _MONITOR and isinstance(message.get("return"), str):
            halted = _is_halted(message["return"])
            if halted and self._halted_before:
                self._ending = Ending.HALT
            self._halted_before = halted

    def _look_around(self) -> None:
        self._qmp.send(_MONITOR, **{"command-line": "info registers -a"})
        for console in self._consoles:
            if console.pending:
                console.pending = console.pending[console.end.write(console.pending) :]
                if not console.pending:
                    self._selector.register(
                        console.port, selectors.EVENT_READ, lambda console=console: self._from_guest(console)
                    )

    def _obey(self) -> None:
        word = self._control.recv(64)
        if word == b"poweroff":
            self._ending = Ending.POWEROFF
        elif word == b"reset":
            self._ending = Ending.REBOOT
        elif word == b"destroy":
            self._complain("vm_run error -1, errno 6")
            self._ending = Ending.POWEROFF  # exit(1): the processor's thread came back

    def _lost(self) -> None:
        """QEMU ended without the guest having: the lab's fault, told as bhyve's own error."""
        said = _contents(self._said).decode(errors="replace").strip().splitlines()
        self._complain(f"the lab's QEMU ended: {said[-1] if said else self._qemu.wait()}")
        self._ending = Ending.ERROR

    def _end_qemu(self) -> None:
        # not asked to quit: it would first wait for its disks, which may never answer
        with contextlib.suppress(OSError):
            self._qemu.signal(signal.SIGKILL)
        self._qemu.wait()
        self._qmp.close()
        for console in self._consoles:
            console.port.close()
            console.end.close()


def _contents(fd: int) -> bytes:
    return os.pread(fd, 1 << 20, 0)


def _enables_events(answer: str) -> bool:
    """Whether `portw[0x0602] = 0x0020` tells of an event that is enabled; no firmware has placed a port of all ones."""
    value = int(answer.rpartition("=")[2], 16)
    return value not in (0, 0xFFFF)


def _is_halted(registers: str) -> bool:
    """Whether every processor has stopped with interrupts off, so that nothing can wake it."""
    states = re.findall(r"[ER]FL=([0-9a-f]{8}).*?HLT=([01])", registers, re.DOTALL)
    return bool(states) and all(halted == "1" and not int(flags, 16) & 0x200 for flags, halted in states)
