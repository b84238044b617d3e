"""A step brings one fact about; a plan is a tuple of steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable

Progress = Callable[[int, int | None], None]
"""Told often how many bytes are done, and of how many if that is known. What it raises ends the step."""

Learnt = Mapping[str, str | int | None]
"""What a step found out that its caller may want to know, such as a `sha256`."""


class Step(Protocol):
    """One fact to bring about, such as "volume tank/vm/web1/disk0".

    A step holds no result and hands none on: it finds what it needs by name, so that a plan can be rebuilt from
    its request by a process that knows nothing else.
    """

    @property
    def title(self) -> str:
        """The fact, in the words of `ops list`."""

    @property
    def signed(self) -> bool:
        """Whether the thing itself tells which operation made it, so that nothing found is mistaken for made."""

    def holds(self) -> bool:
        """Whether it is so; ConflictError when something nearly like it is in the way. Changes nothing."""

    def make(self) -> None:
        """Bring it about. Called again after a lost answer: what is there already must be no harm."""

    def undo(self) -> None:
        """Take back what `make` did, as far as it did it; what this operation did not make stays."""


def silent(_done: int, _total: int | None) -> None:
    """Nobody is told."""


def never() -> bool:
    """Nobody asks to stop."""
    return False


def unheard(_learnt: Learnt) -> None:
    """Nobody is told."""


def unsaid(_what: str) -> None:
    """Nobody is told."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Who follows a step that takes long: how far it is, whether to stop in its middle, what it found out."""

    progress: Progress = silent
    interrupted: Callable[[], bool] = never
    learnt: Callable[[Learnt], None] = unheard
    say: Callable[[str], None] = unsaid
    """Told what a person should know who waits for it, such as where it goes on."""


@runtime_checkable
class LongStep(Step, Protocol):
    """A step that takes long enough to be watched, and can be stopped in its middle: it raises InterruptedOperation."""

    def watched(self, watch: Watch) -> Self:
        """The same step, watched."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in order. Those before `no_return` can be undone, and are undone from the last to the first."""

    verb: str
    subject: str
    steps: tuple[Step, ...]
    no_return: int | None = None
    """Index of the first step that has no way back; None when there is none."""

    @property
    def reversible(self) -> tuple[Step, ...]:
        return self.steps[: self.no_return]

    @property
    def irreversible(self) -> tuple[Step, ...]:
        return () if self.no_return is None else self.steps[self.no_return :]
