"""How the initiators of hosts go on looking for what they wait for, and try a refused login again."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TypeVar

from pyvmiscsi.errors import DeadlineError, LoginError
from pyvmiscsi.ports import Clock
from pyvmiscsi.waiting import backoff, wait_for

PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds between tries after a refusal; one that the configuration causes is final after the last of them."""

T = TypeVar("T")


def watched(
    look: Callable[[], None],
    check: Callable[[], T | None],
    *,
    what: str,
    seconds: float,
    clock: Clock,
    hint: str = "",
) -> T:
    """What `check` answers of what was seen last, or of a later `look`: the first answer that is not None.

    DeadlineError naming `what` after so many seconds.
    """
    looks = itertools.chain([lambda: None], itertools.repeat(look))

    def answer() -> T | None:
        next(looks)()
        return check()

    deadline, pauses = max(seconds, 0), backoff(0.1, 1.5, 1.0)
    return wait_for(answer, what=what, deadline=deadline, clock=clock, pauses=pauses, hint=hint)


def log_in(attempt: Callable[[], LoginError | None], *, what: str, seconds: float, clock: Clock) -> None:
    """Try a login until it is not refused: `attempt` answers why it was, and leaves no session behind then.

    Raises the last refusal: a permanent one once all `PAUSES` were made, another when the seconds have passed. What
    `attempt` raises ends it at once.
    """
    refusals: list[LoginError] = []

    def is_let_in() -> bool:
        refusal = attempt()
        if refusal is None:
            return True
        refusals.append(refusal)
        if refusal.permanent and len(refusals) > len(PAUSES):
            raise refusal
        return False

    pauses = itertools.chain(PAUSES, itertools.repeat(PAUSES[-1]))
    try:
        wait_for(is_let_in, what=what, deadline=seconds, clock=clock, pauses=pauses)
    except DeadlineError:
        if refusals:
            raise refusals[-1] from None
        raise
