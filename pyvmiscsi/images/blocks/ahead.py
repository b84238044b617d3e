"""A source read ahead by a thread of its own, for a reader that has something else to do while it waits."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")

_LOOK_SECONDS = 60.0


class Ahead(Generic[T]):
    """The items of `source`, up to `depth` of them read ahead as long as the context lasts.

    What the source raises is raised to whoever takes its items. Leaving the context does not wait for a source that is
    itself waiting, such as for a pipe: its thread ends with its next item, or with the process.
    """

    def __init__(self, source: Iterator[T], *, depth: int = 16) -> None:
        self._source = source
        self._depth = depth
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._over = self._left = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._read, name="read ahead", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._left = True
            self._changed.notify_all()
        self._thread.join(timeout=1.0)

    def wait(self, seconds: float) -> bool:
        """Wait for an item, or the end, at most so long; whether one of them is there."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._items) or self._over, timeout=seconds)

    def ready(self) -> Iterator[T]:
        """The items that are there, up to the first that one would have to wait for."""
        while (item := self._take()) is not None:
            yield item

    @property
    def is_over(self) -> bool:
        """Whether every item was taken; raises what the source raised."""
        with self._changed:
            if self._items or not self._over:
                return False
            if self._error is not None:
                raise self._error
            return True

    def _take(self) -> T | None:
        with self._changed:
            if not self._items:
                return None
            self._changed.notify_all()
            return self._items.popleft()

    def _read(self) -> None:
        try:
            for item in self._source:
                if not self._kept(item):
                    break
            if isinstance(self._source, Generator):
                self._source.close()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that takes the items
            self._error = error
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()

    def _kept(self, item: T) -> bool:
        """Whether the item was kept, as soon as there is room; False when nobody is there any more to take it."""
        with self._changed:
            self._changed.wait_for(lambda: self._left or len(self._items) < self._depth)
            if self._left:
                return False
            self._items.append(item)
            self._changed.notify_all()
            return True


def in_a_thread(source: Iterator[T], *, depth: int) -> Generator[T, None, None]:
    """The items of `source`, which runs in a thread of its own, up to `depth` items ahead."""
    with Ahead(source, depth=depth) as ahead:
        while not ahead.is_over:
            if ahead.wait(_LOOK_SECONDS):
                yield from ahead.ready()
