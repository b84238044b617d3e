"""Calls to something in memory that a test can watch, count and make fail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from pyvmiscsi.errors import NasUnansweredError

_WRITES = ("create_", "delete_", "change_", "grow_", "rollback", "clone", "promote", "rename_")

When = Literal["before", "after"]


@dataclass(frozen=True)
class Call:
    """One call that reached the nas: `before` it had its effect, or `after`."""

    method: str
    arguments: tuple[object, ...]
    when: When

    @property
    def writes(self) -> bool:
        return self.method.startswith(_WRITES)


Watch = Callable[[Call], None]


def nothing(_: Call) -> None:
    """Watch without doing anything."""


def lose_answer(method: str) -> Watch:
    """A watch under which the first call of `method` has its effect, but its answer is lost."""
    left = [method]

    def watch(call: Call) -> None:
        if call.when == "after" and call.method in left:
            left.clear()
            raise NasUnansweredError(f"{method}: the connection was lost before the answer came")

    return watch


class Watched:
    """Every call is told to `watch` before and after its effect; what `watch` raises reaches the caller."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.calls: list[Call] = []
        self._lock = threading.RLock()

    def count(self, *, writes: bool) -> int:
        """How many writes (or reads) were made."""
        return sum(call.when == "before" and call.writes == writes for call in self.calls)

    @contextmanager
    def _call(self, method: str, *arguments: object) -> Iterator[None]:
        self._tell(Call(method, arguments, "before"))
        with self._lock:
            yield
        self._tell(Call(method, arguments, "after"))

    def _tell(self, call: Call) -> None:
        self.calls.append(call)
        self.watch(call)
