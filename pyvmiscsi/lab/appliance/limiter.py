"""The limit on calls that need no login: 20 in 60 s for each method and address (nas-wire.md 1.8)."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

WINDOW = 60.0
BUDGET = 20
_MOST_ENTRIES = 100


@dataclass(slots=True)
class _Count:
    begun: float
    calls: int


class Limiter:
    """Counts calls; beyond the budget the caller waits 1 to 10 seconds and is refused.

    The count starts anew a window after its first call, and calls made while limited still count.
    When the cache of counts is full, newcomers are limited too.
    """

    def __init__(self, clock: Callable[[], float], budget: int = BUDGET) -> None:
        self._clock = clock
        self._budget = budget
        self._counts: dict[tuple[str, str], _Count] = {}

    def allows(self, method: str, address: str) -> bool:
        """Count this call, and say whether it is within the budget."""
        now = self._clock()
        self._counts = {key: count for key, count in self._counts.items() if now - count.begun < WINDOW}
        count = self._counts.get((method, address))
        if count is None:
            if len(self._counts) >= _MOST_ENTRIES:
                return False
            count = self._counts[method, address] = _Count(now, 0)
        count.calls += 1
        return count.calls <= self._budget

    @staticmethod
    def penalty() -> float:
        """Seconds that a refused caller waits."""
        return random.uniform(1.0, 10.0)  # noqa: S311 - a delay, not a secret
