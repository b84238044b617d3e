"""The only module that sleeps, always with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from pyvmiscsi.errors import DeadlineError
from pyvmiscsi.ports import Clock

T = TypeVar("T")

_nothing: Callable[[], None] = lambda: None  # noqa: E731 - a value
_asked: ContextVar[Callable[[], None]] = ContextVar("asked", default=_nothing)


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@contextmanager
def heeding(ask: Callable[[], None]) -> Iterator[None]:
    """As long as the block lasts, whatever waits in this thread asks about once a second; what `ask` raises ends it.

    So a transfer that waits for a target which is gone ends at the first Ctrl-C.
    """
    before = _asked.set(ask)
    try:
        yield
    finally:
        _asked.reset(before)


def heed() -> None:
    """Call what this thread heeds."""
    _asked.get()()


def backoff(first: float = 0.05, factor: float = 1.5, longest: float = 1.0) -> Iterator[float]:
    """Pauses that grow from `first` to `longest` seconds, for ever."""
    pause = first
    while True:
        yield pause
        pause = min(pause * factor, longest)


def wait_for(
    look: Callable[[], T | None],
    *,
    what: str,
    deadline: float,
    clock: Clock | None = None,
    pauses: Iterable[float] | None = None,
    hint: str = "",
) -> T:
    """The first answer of `look` that is not None (False counts as not yet).

    Looks at least once, and once more at the deadline; then raises DeadlineError naming `what`.
    """
    timer = clock or SystemClock()
    end = timer.now() + deadline
    for pause in pauses or backoff():
        answer = look()
        if answer is not None and answer is not False:
            return answer
        left = end - timer.now()
        if left <= 0:
            break
        timer.sleep(min(pause, left))
        heed()
    raise DeadlineError(f"{what}: not so after {deadline:g} s", hint=hint)


def rest(seconds: float, *, until: Callable[[], bool] = lambda: False, clock: Clock | None = None) -> None:
    """Let so many seconds pass, fewer when `until` becomes true meanwhile; it is asked several times a second."""
    timer = clock or SystemClock()
    end = timer.now() + seconds
    while (left := end - timer.now()) > 0 and not until():
        timer.sleep(min(left, 0.2))
