"""How a sequence is lived: what it is about to touch, what goes wrong, who sees to it, and the look afterwards."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import ClassVar

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from pyvmiscsi.errors import (
    HostUnreachableError,
    NasUnansweredError,
    NasUnreachableError,
    PastNoReturnError,
    PyvmiscsiError,
)
from pyvmiscsi.site import Site
from tests.model.luck import Fate, Luck
from tests.model.reference import Guest, Image, Kept, Reference, observed
from tests.model.worlds import World
from tests.plan.worlds import Killed

GUESTS = ("a", "b", "c", "d")
IMAGES = ("x", "y")
SNAPSHOTS = ("monday", "tuesday", "sunday")
MOST_MISHAPS = 3
_TRIES = MOST_MISHAPS + 2

Refusal = type[PyvmiscsiError]
Refusals = Refusal | tuple[Refusal, ...]


class Living(RuleBasedStateMachine):
    """One life of a site. After every rule all that can be seen must be as the reference says."""

    layout: ClassVar[str] = "nested"

    def __init__(self) -> None:
        super().__init__()
        self.world = self.make_world()
        self.reference = Reference(flat=self.layout == "flat")
        self.mishaps_left = MOST_MISHAPS
        self.tag = 0
        self.numbers = count(1)

    def make_world(self) -> World:
        raise NotImplementedError

    # which guest, which disk, which snapshot

    @property
    def has_snapshots(self) -> bool:
        """Some that have a name a person gave them."""
        return any(_plain(guest) for guest in self.reference.guests.values())

    def free_name(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from([name for name in GUESTS if name not in self.reference.guests]))

    def any_guest(self, data: st.DataObject, *, stopped: bool = False) -> tuple[str, Guest]:
        names = sorted(name for name, guest in self.reference.guests.items() if not (stopped and guest.host))
        name = data.draw(st.sampled_from(names))
        return name, self.reference.guests[name]

    def any_image(self, data: st.DataObject) -> tuple[str, Image]:
        name = data.draw(st.sampled_from(sorted(self.reference.images)))
        return name, self.reference.images[name]

    def any_disk(self, data: st.DataObject, *, stopped: bool = False) -> tuple[str, Guest, str]:
        name, guest = self.any_guest(data, stopped=stopped)
        return name, guest, data.draw(st.sampled_from(sorted(guest.disks)))

    def any_snapshot(self, data: st.DataObject) -> tuple[str, Guest, Kept]:
        having = sorted(name for name, guest in self.reference.guests.items() if _plain(guest))
        name = data.draw(st.sampled_from(having))
        guest = self.reference.guests[name]
        return name, guest, data.draw(st.sampled_from(_plain(guest)))

    # how a rule is lived

    def live(
        self,
        act: Callable[[Site], object],
        after: Reference,
        *,
        refusal: Refusals | None = None,
        fate: Fate,
    ) -> None:
        """Do it, and if it was cut short have another process end it; then look at everything.

        It must have been done, or not begun, or taken back; which of them, only a cut leaves open: a process that was
        killed, or a peer that did not answer, and nothing unfinished to be found.
        """
        luck = Luck(list(fate.mishaps[: self.mishaps_left]))
        planned = len(luck.ahead)
        before = self.reference
        outcome = self._attempt(act, luck)
        if len(luck.ahead) == planned:
            assert isinstance(outcome, refusal) if refusal else outcome is None, repr(outcome)
        ended = self._recover(luck, fate.ending) if len(luck.ahead) < planned else None
        self.mishaps_left -= planned - len(luck.ahead)
        if refusal:
            candidates = [before]
        elif ended:
            candidates = [after if ended == "resume" else before]
        elif isinstance(outcome, (Killed, HostUnreachableError, NasUnreachableError, NasUnansweredError)):
            candidates = [before, after]
        else:
            candidates = [before] if outcome else [after]
        self._agree(candidates)

    def _attempt(self, act: Callable[[Site], object], luck: Luck) -> BaseException | None:
        with self.world.site(luck) as site:
            try:
                act(site)
            except (Killed, PyvmiscsiError) as error:
                note(f"  {type(error).__name__}: {error}")
                return error
        return None

    def _recover(self, luck: Luck, ending: str) -> str | None:
        """What another process did with what was left unfinished; None when nothing was."""
        ended: str | None = None
        for _ in range(_TRIES):
            ahead = len(luck.ahead)
            with self.world.site(luck) as site:
                try:
                    pending = site.operations()
                    if not pending and len(luck.ahead) == ahead:  # else a host was not there to be asked
                        return ended
                    if not pending:
                        continue
                    assert len(pending) == 1, pending
                    ended = ending
                    getattr(pending[0], ending)()
                except PastNoReturnError:
                    ending = "resume"
                except (Killed, PyvmiscsiError) as error:
                    note(f"  {ending}: {type(error).__name__}: {error}")
                    if len(luck.ahead) == ahead and ending == "resume":
                        ending = "rewind"  # it cannot be done, and nothing but that was in its way
        raise AssertionError("it does not come to an end")

    def _agree(self, candidates: list[Reference]) -> None:
        seen, census = observed(self.world), self.world.census()
        for candidate in candidates:
            if seen == candidate.as_seen():
                self.reference = candidate
                assert census == candidate.census()
                return
        assert seen == candidates[-1].as_seen()


def _plain(guest: Guest) -> list[Kept]:
    """The snapshots that somebody asked for."""
    return [kept for kept in guest.snapshots if kept.name in SNAPSHOTS]
