"""Reads that do not depend on each other, in flight at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def begin(read: Callable[[], T]) -> Future[T]:
    """The answer of `read`, which runs from now on in a thread of its own.

    No pool of threads: leaving one waits for all of them, and so would Ctrl-C while a nas does not answer.
    """
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(read())
        except BaseException as error:  # noqa: BLE001 - whoever waits for the answer gets it
            answer.set_exception(error)

    threading.Thread(target=run, name="nas-read", daemon=True).start()
    return answer


def together(*reads: Callable[[], T]) -> tuple[T, ...]:
    """All their answers; the first error of any, in their order."""
    answers = [begin(read) for read in reads]
    return tuple(answer.result() for answer in answers)
