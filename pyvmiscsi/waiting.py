"""The only module that sleeps, always with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from pyvmiscsi.errors import DeadlineError
from pyvmiscsi.ports import Clock

T = TypeVar("T")


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


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
    raise DeadlineError(f"{what}: not so after {deadline:g} s", hint=hint)


def rest(seconds: float, *, until: Callable[[], bool] = lambda: False, clock: Clock | None = None) -> None:
    """Let so many seconds pass, fewer when `until` becomes true meanwhile; it is asked several times a second."""
    timer = clock or SystemClock()
    end = timer.now() + seconds
    while (left := end - timer.now()) > 0 and not until():
        timer.sleep(min(left, 0.2))
