"""What was written to a LUN and may not be on stable storage yet: kept so that it can be sent again, or had again.

A target that restarts may lose what it had said was written, until a SYNCHRONIZE CACHE that was sent afterwards has
ended (SBC-3 4.15). So the memory this takes is bounded by asking for one every `FLUSH_EVERY` bytes; what its source
gives again is not kept at all: memory that is used over and over stays in the processor's cache.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from pyvmiscsi.initiator.libiscsi import cdb
from pyvmiscsi.initiator.libiscsi.nouns import Task

FLUSH_EVERY = 16 * 1024**2
SELDOM = 4
"""So many times rarer is a flush of what can be had again: it bounds what would be written once more, and no memory."""


class Unflushed:
    """The writes that were answered, in that order. Safe to call from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tasks: deque[Task] = deque()
        self._first = 0
        """How many are on stable storage, and are not kept any more."""
        self._asked = 0
        """Bytes sent since a flush was last asked for."""

    def add(self, task: Task) -> None:
        """Keep a write that was answered, but not the data that can be had again."""
        kept = task if task.again is None else replace(task, data=b"")
        with self._lock:
            self._tasks.append(kept)

    def is_due(self, task: Task) -> bool:
        """Whether a flush should follow this write; then the next one is due as much later."""
        most = FLUSH_EVERY if task.again is None else FLUSH_EVERY * SELDOM
        with self._lock:
            self._asked += len(task.data)
            if self._asked < most:
                return False
            self._asked = 0
            return True

    def mark(self) -> int:
        """What a flush that is sent now will have put on stable storage."""
        with self._lock:
            return self._first + len(self._tasks)

    def forget(self, mark: int) -> None:
        """The flush has ended before which the mark was taken."""
        with self._lock:
            while self._first < mark:
                self._tasks.popleft()
                self._first += 1

    def is_forgotten(self, mark: int) -> bool:
        """Whether all that was answered before the mark was taken is on stable storage."""
        with self._lock:
            return self._first >= mark

    def tasks(self) -> Iterator[Task]:
        """All of them, to be sent again in this order; raises what a source does that does not give them again."""
        for task in self._kept():
            yield task if task.again is None else replace(task, data=task.again())

    def first_sector(self) -> int | None:
        """The lowest one that they write to; None when there are none."""
        return min((cdb.first_sector(task.cdb) for task in self._kept()), default=None)

    def _kept(self) -> tuple[Task, ...]:
        with self._lock:
            return tuple(self._tasks)
