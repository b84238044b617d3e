"""What the engine tells whoever listens: one event a fact, in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    INTENT = "intent"
    FOUND = "found"
    MAKING = "making"
    MADE = "made"
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
