"""Calls to one appliance whose refusals are our errors, and whose answers are rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pyvmiscsi.errors import DeadlineError, NotFoundError
from pyvmiscsi.nas.truenas import shapes
from pyvmiscsi.nas.truenas.refusals import error_of
from pyvmiscsi.nas.truenas.rpc import Json, Refused, Request, Rpc
from pyvmiscsi.ports import Clock
from pyvmiscsi.waiting import backoff, wait_for


class Calls:
    """What the adapter's parts share: the connection, and one way to read what comes back."""

    def __init__(self, rpc: Rpc, clock: Clock | None) -> None:
        self._rpc = rpc
        self._clock = clock

    def call(self, request: Request) -> Json:
        with _our_errors():
            return self._rpc.call(request)

    def rows(self, request: Request) -> list[shapes.Row]:
        return shapes.rows(request.method, self.call(request))

    def made(self, request: Request) -> shapes.Row:
        return shapes.Row(request.method, self.call(request))

    def when_ready(self, request: Request, not_yet: Callable[[Refused], bool], deadline: float) -> Json:
        """The answer of a call that is made again as long as it is refused for a reason that passes."""
        last: list[Refused] = []

        def attempt() -> tuple[Json] | None:
            try:
                return (self._rpc.call(request),)
            except Refused as refused:
                if not not_yet(refused):
                    raise
                last[:] = [refused]
                return None

        with _our_errors():
            try:
                pauses = backoff(0.25, 2, 8)
                return wait_for(attempt, what=request.method, deadline=deadline, clock=self._clock, pauses=pauses)[0]
            except DeadlineError as late:
                raise last[0] from late


@contextmanager
def _our_errors() -> Iterator[None]:
    try:
        yield
    except Refused as refused:
        raise error_of(refused) from refused


@contextmanager
def nothing_to_delete() -> Iterator[None]:
    """Somebody was faster: what should go is gone."""
    try:
        yield
    except NotFoundError:
        return
