"""Row numbers of what this process has just made or seen: a mapping is made of two of them."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import Generic, TypeVar

from pyvmiscsi.ports import Clock
from pyvmiscsi.waiting import SystemClock

V = TypeVar("V")

FRESH_FOR = 60.0
"""Seconds. The appliance gives the number of a deleted row to the next one, so an old number may be another thing's."""


class JustSeen(Generic[V]):
    """What was learnt of each key in the last minute. Safe to use from several threads at once."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._seen: dict[Hashable, tuple[V, float]] = {}
        self._lock = threading.Lock()

    def note(self, key: Hashable, value: V) -> None:
        with self._lock:
            self._seen[key] = (value, self._clock.now())

    def get(self, key: Hashable) -> V | None:
        with self._lock:
            value, when = self._seen.get(key, (None, 0.0))
            return value if value is not None and self._clock.now() - when < FRESH_FOR else None

    def drop(self, key: Hashable) -> None:
        with self._lock:
            self._seen.pop(key, None)
