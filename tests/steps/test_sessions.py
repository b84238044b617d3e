"""Sessions as steps: a disk that somebody else has is not given to a second host."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from threading import Event

import pytest

from pyvmiscsi.errors import BusyError, DeadlineError
from pyvmiscsi.model import DiskProof, NasSession, SessionState
from pyvmiscsi.names import Iqn, Lun, LunAddress, Portal, Serial
from pyvmiscsi.steps import sessions
from pyvmiscsi.steps.sessions import AllDetached, NobodyElseLoggedIn
from pyvmiscsi.units import GIB
from tests.fakes.nas import BASENAME, FakeNas
from tests.operations.scenes import RememberingInitiator

TARGET = BASENAME.child("web1-disk0")
PROOF = DiskProof(LunAddress(Portal("10.0.0.10"), TARGET, Lun(1)), Serial.parse("5f0c2d9a1b3e-00"), GIB)
HV1 = NasSession(TARGET, "iqn.1994-09.org.freebsd:hv1", "10.0.0.11")
HV2 = NasSession(TARGET, "iqn.1994-09.org.freebsd:hv2", "10.0.0.12")


@pytest.fixture
def nas() -> FakeNas:
    return FakeNas()


@pytest.fixture
def hv1() -> RememberingInitiator:
    return RememberingInitiator()


@pytest.fixture
def step(nas: FakeNas, hv1: RememberingInitiator) -> NobodyElseLoggedIn:
    return NobodyElseLoggedIn(nas, hv1, "hv1", (TARGET,))


def test_holds_without_any_session(step: NobodyElseLoggedIn) -> None:
    assert step.holds()


def test_the_hosts_own_session_is_no_others(step: NobodyElseLoggedIn, nas: FakeNas, hv1: RememberingInitiator) -> None:
    hv1.attach(PROOF, None)
    nas.sessions_now = [HV1]
    assert step.holds()


def test_another_hosts_session_is_somebody_elses_and_is_named(
    step: NobodyElseLoggedIn, nas: FakeNas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "SEEN_GONE_WITHIN", 0)
    nas.sessions_now = [HV2]
    assert not step.holds()
    with pytest.raises(BusyError, match=r"freebsd:hv2 at 10\.0\.0\.12 is logged in"):
        step.make()


def test_a_second_session_beside_the_hosts_own_is_somebody_elses(
    step: NobodyElseLoggedIn, nas: FakeNas, hv1: RememberingInitiator
) -> None:
    hv1.attach(PROOF, None)
    nas.sessions_now = [HV1, HV2]
    assert not step.holds()


@dataclass
class NamedInitiator(RememberingInitiator):
    """It tells the name under which it logs in."""

    def sessions(self) -> tuple[SessionState, ...]:
        return tuple(replace(session, initiator=HV1.initiator) for session in super().sessions())


def test_another_s_session_is_not_taken_for_the_host_s_own_that_the_nas_does_not_see(nas: FakeNas) -> None:
    hv1 = NamedInitiator()
    hv1.attach(PROOF, None)
    step = NobodyElseLoggedIn(nas, hv1, "hv1", (TARGET,))
    nas.sessions_now = [HV1]
    assert step.holds()
    nas.sessions_now = [HV2]
    assert not step.holds()


def test_it_is_the_other_who_is_named(nas: FakeNas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "SEEN_GONE_WITHIN", 0)
    hv1 = NamedInitiator()
    hv1.attach(PROOF, None)
    nas.sessions_now = [HV1, HV2]
    with pytest.raises(BusyError, match=r"^target \S+: iqn.1994-09.org.freebsd:hv2 at"):
        NobodyElseLoggedIn(nas, hv1, "hv1", (TARGET,)).make()


@dataclass
class FrozenInitiator(RememberingInitiator):
    """A host that `culprit` has frozen: no disk goes away before that one's session does."""

    culprit: Iqn = TARGET
    thawed: Event = field(default_factory=Event)

    def detach(self, target: Iqn, *, deadline: float = 30.0) -> None:
        if target == self.culprit:
            self.thawed.set()
        if not self.thawed.wait(deadline):
            raise DeadlineError(f"{target}: logged out: not so")
        super().detach(target)


def test_sessions_that_wait_for_each_other_are_taken_away_together() -> None:
    other = BASENAME.child("web1-disk1")
    frozen = FrozenInitiator({other: PROOF, TARGET: PROOF})
    step = AllDetached(frozen, "hv1", (other, TARGET))
    assert not step.holds()
    step.make()
    assert step.holds()
