"""Bad luck at one call of many."""

from __future__ import annotations

from pyvmiscsi.errors import NasUnansweredError
from tests.fakes.calls import Call, Watch
from tests.plan.worlds import Killed

FAULTS = ("killed before", "killed after", "answer lost")


def fault_at(number: int, kind: str) -> Watch:
    """A watch under which call `number` meets one of `FAULTS`; whoever is killed makes no further call."""
    now, dead = -1, False

    def watch(call: Call) -> None:
        nonlocal now, dead
        now += call.when == "before"
        dead = dead or (now == number and kind == f"killed {call.when}")
        if dead:
            raise Killed
        if now == number and kind == "answer lost" and call.when == "after" and call.writes:
            raise NasUnansweredError("the connection was lost")

    return watch
