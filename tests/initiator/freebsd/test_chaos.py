"""Attach, detach and look while everything changes between two commands: what holds whatever happens."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from pyvmiscsi.errors import HostUnreachableError, PyvmiscsiError
from pyvmiscsi.initiator.freebsd import FreebsdInitiator
from pyvmiscsi.names import Iqn
from tests.fakes.clock import FakeClock
from tests.fakes.host import Call, FakeHost, Reply
from tests.initiator.freebsd.kernel import FakeKernel, Served, Session
from tests.initiator.web1 import PORTAL, PROOF, TARGET

STRANGER = "iqn.2005-10.org.freenas.ctl:stranger"
DEAD_STRANGER = "iqn.2005-10.org.freenas.ctl:dead-stranger"


def ours(kernel: FakeKernel) -> list[Session]:
    return [session for session in kernel.sessions if session.target == TARGET]


def lose_all(kernel: FakeKernel) -> None:
    for session in ours(kernel):
        session.lost = ""


def forget_all(kernel: FakeKernel) -> None:
    """As when the target asks for a logout."""
    kernel.sessions = [session for session in kernel.sessions if session.target != TARGET]


def refuse(kernel: FakeKernel) -> None:
    for session in ours(kernel):
        session.lost = "Authentication failure"


def come_back(kernel: FakeKernel) -> None:
    for session in ours(kernel):
        session.lost = None


def swap_disk(kernel: FakeKernel) -> None:
    kernel.served[TARGET].serial = "somebody-else"


def wait(kernel: FakeKernel) -> None:
    kernel.clock.push(5)


def stop_iscsid(kernel: FakeKernel) -> None:
    kernel.iscsid_runs = False


def cut_the_line(_kernel: FakeKernel) -> None:
    raise HostUnreachableError("hv1: no SSH connection")


def keep_iscsid_busy(kernel: FakeKernel) -> None:
    kernel.iscsid_busy_until = kernel.clock.now() + 20


def freeze_geom(kernel: FakeKernel) -> None:
    kernel.geom_is_frozen = True


def reserve(kernel: FakeKernel) -> None:
    kernel.served[TARGET].reservation = "Reservation Key: 0x1 Type: write_exclusive (0x1) "


def switch_labels_off(kernel: FakeKernel) -> None:
    kernel.labels_are_off = True


def log_in_by_hand(kernel: FakeKernel) -> None:
    if all(session.portal != "nas1" for session in ours(kernel)):
        kernel.start(TARGET, "nas1")


EVENTS: list[Callable[[FakeKernel], None]] = [
    lose_all, forget_all, refuse, come_back, swap_disk, wait, stop_iscsid, cut_the_line, keep_iscsid_busy, freeze_geom,
    reserve, switch_labels_off,
]  # fmt: skip
"""All but a session by hand, which must outlive whatever we do."""

Luck = list[Callable[[FakeKernel], None] | None]


def lucks(*more: Callable[[FakeKernel], None]) -> st.SearchStrategy[Luck]:
    """What happens before each command: nothing, mostly."""
    return st.lists(st.one_of(st.none(), st.none(), st.sampled_from([*EVENTS, *more])), max_size=12)


class Chaos:
    """A host on which something happens before each command, and two sessions that are none of our business."""

    def __init__(self, luck: Luck) -> None:
        self.clock = FakeClock()
        self.kernel = FakeKernel(self.clock)
        self.kernel.served |= {TARGET: Served(), STRANGER: Served(serial="stranger")}
        self.kernel.conf = {STRANGER}
        self.strangers = [self.kernel.start(STRANGER, PORTAL, age=60), self.kernel.start(DEAD_STRANGER, PORTAL, age=60)]
        self.strangers[1].lost = "Not found"
        self.cut = False
        self._coming = iter(luck)
        self.initiator = FreebsdInitiator(FakeHost(answer=self._answer), self.clock)
        self.begun = self.clock.now()

    def _answer(self, call: Call) -> Reply:
        event = next(self._coming, None)
        self.cut = self.cut or event is cut_the_line
        if event is not None:
            event(self.kernel)
        return self.kernel.answer(call)

    @property
    def lasted(self) -> float:
        return self.clock.now() - self.begun

    def assert_strangers_stay(self) -> None:
        kept = [session for session in self.kernel.sessions if session.target != TARGET]
        assert kept == self.strangers
        assert [session.lost for session in kept] == [None, "Not found"]


@settings(max_examples=200, deadline=None)
@given(lucks())
def test_attach_ends_in_time_and_either_proves_the_disk_or_leaves_nothing(luck: Luck) -> None:
    chaos = Chaos(luck)
    try:
        disk = chaos.initiator.attach(PROOF, None, deadline=60)
    except PyvmiscsiError:
        assert chaos.cut or ours(chaos.kernel) == []
    else:
        assert disk.serial == PROOF.serial
        assert chaos.kernel.served[TARGET].serial == PROOF.serial.text
        assert [(s.target, s.portal) for s in ours(chaos.kernel)] == [(TARGET, PORTAL)]
    assert chaos.lasted < 60 + 5 * len(luck) + 20
    chaos.assert_strangers_stay()


@settings(max_examples=150, deadline=None)
@given(lucks(), st.booleans())
def test_attach_leaves_a_session_that_it_found_alive_whatever_comes_of_it(luck: Luck, is_open: bool) -> None:
    chaos = Chaos([None, *luck])
    found = chaos.kernel.start(TARGET, "10.0.0.10", age=60)
    found.mode = "r1w1e1" if is_open else "r0w0e0"
    with contextlib.suppress(PyvmiscsiError):
        chaos.initiator.attach(PROOF, None, deadline=60)
    assert ours(chaos.kernel) == ([] if forget_all in luck and found not in chaos.kernel.sessions else [found])
    chaos.assert_strangers_stay()


@settings(max_examples=150, deadline=None)
@given(lucks(log_in_by_hand), st.booleans())
def test_detach_ends_in_time_with_no_session_or_an_error_and_never_takes_an_open_disk(
    luck: Luck, is_open: bool
) -> None:
    chaos = Chaos(luck)
    session = chaos.kernel.start(TARGET, PORTAL, age=60)
    session.mode = "r1w1e1" if is_open else "r0w0e0"
    alive = not {lose_all, refuse, forget_all} & set(luck)
    try:
        chaos.initiator.detach(Iqn(TARGET), deadline=30)
    except PyvmiscsiError:
        pass
    else:
        assert session not in chaos.kernel.sessions
        assert not (is_open and alive)
    assert chaos.lasted < 30 + 5 * len(luck) + 20
    chaos.assert_strangers_stay()


@settings(max_examples=150, deadline=None)
@given(lucks(log_in_by_hand), st.lists(st.sampled_from(["find", "sessions", "preflight", "reprobe"]), max_size=5))
def test_looking_changes_nothing(luck: Luck, asked: list[str]) -> None:
    chaos = Chaos(luck)
    chaos.kernel.start(TARGET, PORTAL, age=60)
    for name in asked:
        before = (*chaos.kernel.sessions,)
        with contextlib.suppress(PyvmiscsiError):
            getattr(chaos.initiator, name)(*([PROOF] if name in ("find", "reprobe") else []))
        gone = set(map(id, before)) - set(map(id, chaos.kernel.sessions))
        assert not gone or forget_all in luck
    chaos.assert_strangers_stay()
