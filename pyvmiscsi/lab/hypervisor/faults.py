"""Faults on the commands that come in over SSH: which command, when, and what happens to it."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import Literal

When = Literal["before", "after"]
Action = Literal["hang", "kill-connection", "fail"]


@dataclass
class Fault:
    """One fault, used up by the `nth` command that matches."""

    number: int
    pattern: re.Pattern[str]
    when: When
    action: Action
    left: int
    met: threading.Event
    released: threading.Event
    abandoned: bool = False


class Faults:
    """The faults of one hypervisor; safe to use from every connection's thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: dict[int, Fault] = {}
        self._next = 1

    def add(self, pattern: str, *, when: When = "before", action: Action = "hang", nth: int = 1) -> int:
        """Arm a fault; answers its number. ValueError for words that are none."""
        if when not in ("before", "after") or action not in ("hang", "kill-connection", "fail") or nth < 1:
            raise ValueError(f"no such fault: {when} {action} {nth}")
        with self._lock:
            number, self._next = self._next, self._next + 1
            self._faults[number] = Fault(
                number, re.compile(pattern, re.S), when, action, nth, threading.Event(), threading.Event()
            )
            return number

    def meet(self, command: str) -> Fault | None:
        """The fault whose turn this command is, marked as met by the one that runs into it."""
        with self._lock:
            for fault in self._faults.values():
                if fault.left and fault.pattern.search(command):
                    fault.left -= 1
                    if fault.left == 0:
                        return fault
        return None

    def get(self, number: int) -> Fault:
        with self._lock:
            return self._faults[number]

    def clear(self) -> None:
        """Disarm all, and let go of what hangs. A command that hangs before it runs never does."""
        with self._lock:
            faults, self._faults = list(self._faults.values()), {}
        for fault in faults:
            fault.abandoned = fault.when == "before"
            fault.released.set()
