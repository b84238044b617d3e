"""What may happen to a write, and the lab's faults that make it happen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from pyvmiscsi.errors import DeadlineError
from pyvmiscsi.lab.hypervisor.faults import Action as HostAction
from pyvmiscsi.waiting import wait_for
from tests.crash.launcher import Running
from tests.crash.world import World
from tests.crash.writes import Write, met_or_ended

_EBUSY = 16
_SOON = 10.0


class Fate(StrEnum):
    """What happens to the process that writes, or to its write."""

    KILLED_BEFORE = "killed before the write"
    KILLED_AFTER = "killed before the answer"
    LATE = "killed, and the write comes later"
    ANSWER_LOST = "answer lost"
    RESET = "connection reset"
    REFUSED = "refused: busy"
    BAD_GATEWAY = "502 in place of an answer"

    @property
    def kills(self) -> bool:
        return self in (Fate.KILLED_BEFORE, Fate.KILLED_AFTER, Fate.LATE)

    @property
    def when(self) -> Literal["before", "after"]:
        return "after" if self in (Fate.KILLED_AFTER, Fate.ANSWER_LOST) else "before"


def fates(write: Write, dialect: str) -> tuple[Fate, ...]:
    """The fates that this write can meet: only HTTP has a gateway, and only the nas is behind it."""
    return tuple(fate for fate in Fate if fate is not Fate.BAD_GATEWAY or (write.place, dialect) == ("nas", "rest2"))


_ON_NAS: dict[Fate, dict[str, Any]] = {
    Fate.KILLED_BEFORE: {"action": "hang"},
    Fate.KILLED_AFTER: {"action": "hang"},
    Fate.LATE: {"action": "hang"},
    Fate.ANSWER_LOST: {"action": "drop"},
    Fate.RESET: {"action": "reset"},
    Fate.REFUSED: {"action": "error", "errno": _EBUSY, "text": "Device or resource busy"},
    Fate.BAD_GATEWAY: {"action": "http", "status": 502},
}
_ON_HOST: dict[Fate, HostAction] = {
    Fate.KILLED_BEFORE: "hang",
    Fate.KILLED_AFTER: "hang",
    Fate.LATE: "hang",
    Fate.ANSWER_LOST: "kill-connection",
    Fate.RESET: "kill-connection",
    Fate.REFUSED: "fail",
}


@dataclass
class Armed:
    """A fault that waits for its write."""

    world: World
    control: Any
    """Of the nas or of the host: both wait, release and clear in the same words."""
    number: int
    on_nas: bool

    def is_met(self, running: Running) -> bool:
        """Wait until the write is there; False when the command ended without it."""
        return met_or_ended(lambda: self.control.wait_for_fault(self.number, 0.5), running)

    def was_met(self) -> bool:
        with suppress(DeadlineError):
            self.control.wait_for_fault(self.number, 0.0)
            return True
        return False

    def let_go(self) -> None:
        """The write that was held has its effect now; its answer goes nowhere."""
        self.control.release(self.number)
        wait_for(self._is_through, what="the effect of a write", deadline=_SOON, pauses=iter(lambda: 0.005, None))

    def _is_through(self) -> bool:
        if self.on_nas:
            return all(call["outcome"] != "open" for call in self.control.calls())
        return all(command.status for command in self.control.commands())


@contextmanager
def armed(world: World, write: Write, fate: Fate) -> Iterator[Armed]:
    """The fault is there as long as the context lasts; a write that it still holds then never has its effect."""
    if write.place == "nas":
        nas = world.lab.control
        nas.reset_calls()
        number = nas.fault(write.name, nth=write.nth, when=fate.when, **_ON_NAS[fate])
        try:
            yield Armed(world, nas, number, on_nas=True)
        finally:
            nas.clear()
        return
    with world.hypervisor() as host:
        host.reset_logs()
        number = host.fault(write.pattern, when=fate.when, action=_ON_HOST[fate], nth=write.nth)
        try:
            yield Armed(world, host, number, on_nas=False)
        finally:
            host.clear()
