"""A clock that only moves when somebody sleeps on it, or pushes it."""

from __future__ import annotations


class FakeClock:
    def __init__(self, now: float = 1000.0) -> None:
        self._now = now
        self.slept: list[float] = []

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._now += seconds

    def push(self, seconds: float) -> None:
        """Time that passes without anybody asking for it."""
        self._now += seconds
