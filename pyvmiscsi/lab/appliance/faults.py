"""Faults put into single calls, so that a test can stop the world at a known point (DESIGN section 9)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from pyvmiscsi.errors import InputError
from pyvmiscsi.lab.appliance.errors import CallError

ACTIONS = frozenset({"hang", "drop", "reset", "error", "http", "delay"})


class ConnectionFaultError(Exception):
    """The face must end the connection instead of answering: in good order, or with a reset."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__("connection ended by a fault")
        self.reset = reset


class HttpFaultError(Exception):
    """The face must answer with this HTTP status instead of a result."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status} by a fault")
        self.status = status


class AbandonedError(Exception):
    """A call that hung before its effect and was let go without it."""


@dataclass(slots=True)
class Fault:
    """One fault: which call it meets, and what it does there."""

    number: int
    method: str
    """A method's name, or a pattern such as `iscsi.*`."""
    kind: str | None
    """`read` or `write` to meet only those."""
    nth: int
    when: str
    """`before` the effect or `after` it."""
    action: str
    errno: int = 14
    text: str = "fault injected"
    status: int = 502
    seconds: float = 0.0
    seen: int = 0
    hit: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    abandoned: bool = False
    called: str = ""
    """The method that met it."""

    def meets(self, method: str, kind: str) -> bool:
        return fnmatchcase(method, self.method) and self.kind in {None, kind}


class Faults:
    """The faults that wait for their call. Each strikes once."""

    def __init__(self) -> None:
        self._faults: dict[int, Fault] = {}
        self._next = 1

    def add(
        self, *, method: str, action: str, kind: str | None = None, nth: int = 1, when: str = "before", **more: Any
    ) -> int:
        if action not in ACTIONS:
            raise InputError(f"fault action {action!r}: not one of {', '.join(sorted(ACTIONS))}")
        if when not in {"before", "after"}:
            raise InputError(f"fault when {when!r}: neither before nor after")
        number, self._next = self._next, self._next + 1
        self._faults[number] = Fault(number, method, kind, nth, when, action, **more)
        return number

    def due(self, method: str, kind: str) -> Fault | None:
        """Count this call for every fault that it meets; the first whose turn it is."""
        struck = None
        for fault in self._faults.values():
            if fault.hit.is_set() or not fault.meets(method, kind):
                continue
            fault.seen += 1
            if fault.seen == fault.nth and struck is None:
                struck = fault
                fault.called = method
        return struck

    @staticmethod
    async def strike(fault: Fault, when: str) -> None:
        """Do what the fault does, if this is its moment."""
        if fault.when != when:
            return
        fault.hit.set()
        match fault.action:
            case "hang":
                await fault.released.wait()
                if fault.abandoned:
                    raise AbandonedError
            case "delay":
                await asyncio.sleep(fault.seconds)
            case "drop" | "reset":
                raise ConnectionFaultError(reset=fault.action == "reset")
            case "http":
                raise HttpFaultError(fault.status)
            case "error":
                raise CallError(fault.text, fault.errno)

    def get(self, number: int) -> Fault:
        try:
            return self._faults[number]
        except KeyError:
            raise InputError(f"fault {number}: no such fault") from None

    async def wait(self, number: int, deadline: float) -> str | None:
        """The method that met the fault; None when none did in time."""
        fault = self.get(number)
        try:
            async with asyncio.timeout(deadline):
                await fault.hit.wait()
        except TimeoutError:
            return None
        return fault.called

    def release(self, number: int) -> None:
        """A hanging call goes on: its effect happens if it has not, and it answers if anybody still listens."""
        self.get(number).released.set()

    def clear(self) -> None:
        """Forget all faults. A call that hangs before its effect never has it; one that hangs after answers."""
        for fault in self._faults.values():
            fault.abandoned = fault.when == "before"
            fault.released.set()
        self._faults = {}
