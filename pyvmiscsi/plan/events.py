"""What the engine tells whoever listens: one event a fact, in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from pyvmiscsi.plan.step import Learnt


class Phase(StrEnum):
    INTENT = "intent"
    FOUND = "found"
    MAKING = "making"
    MADE = "made"
    NOTED = "noted"
    """Not a step's title: what a person should know of the one that is being made."""
    UNDOING = "undoing"
    UNDONE = "undone"
    DONE = "done"
    REWOUND = "rewound"


@dataclass(frozen=True, slots=True)
class Event:
    """Step `number` of `count` of an operation reached a phase."""

    operation: str
    phase: Phase
    title: str
    number: int
    count: int

    @property
    def text(self) -> str:
        """One line for a person: `[3/6] made target iqn…:web1-disk0`."""
        return f"[{self.number}/{self.count}] {self.phase} {self.title}"


Listener = Callable[[Event], None]


def nobody(_event: Event) -> None:
    """Listens to nothing."""


Meter = Callable[[str, int, int | None], None]
"""Told a long step's title, how many bytes it has done, and of how many if that is known."""

Notebook = Callable[[str, Learnt], None]
"""Told a long step's title and what it found out."""


def unmetered(_title: str, _done: int, _total: int | None) -> None:
    """Measures nothing."""


def unread(_title: str, _learnt: Learnt) -> None:
    """Keeps nothing."""
