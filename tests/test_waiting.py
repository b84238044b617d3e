"""Waiting with a deadline, on a clock that takes no time."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.errors import DeadlineError
from pyvmiscsi.waiting import SystemClock, backoff, heeding, rest, wait_for


@dataclass
class FakeClock:
    time: float = 0.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


def test_gives_the_first_answer() -> None:
    answers = iter([None, False, "ready", "later"])
    clock = FakeClock()

    assert wait_for(lambda: next(answers), what="it", deadline=10, clock=clock) == "ready"
    assert len(clock.slept) == 2


def test_does_not_sleep_when_it_is_so_already() -> None:
    clock = FakeClock()

    assert wait_for(lambda: 0, what="it", deadline=10, clock=clock) == 0  # 0 is an answer
    assert clock.slept == []


def test_looks_once_even_without_time() -> None:
    assert wait_for(lambda: "ready", what="it", deadline=0, clock=FakeClock()) == "ready"


def test_names_what_did_not_become_so() -> None:
    with pytest.raises(DeadlineError) as late:
        wait_for(lambda: None, what="disk da0", deadline=2.5, clock=FakeClock(), hint="look at the nas")

    assert str(late.value) == "disk da0: not so after 2.5 s (look at the nas)"


@given(st.floats(0.01, 100), st.floats(0.01, 5))
def test_looks_once_more_at_the_deadline_and_never_sleeps_past_it(deadline: float, pause: float) -> None:
    clock = FakeClock()
    looked_at: list[float] = []

    def look() -> None:
        looked_at.append(clock.now())

    with pytest.raises(DeadlineError):
        wait_for(look, what="it", deadline=deadline, clock=clock, pauses=iter(lambda: pause, None))

    assert looked_at[-1] == pytest.approx(deadline)
    assert clock.time == pytest.approx(deadline)


def test_an_error_while_looking_is_the_callers() -> None:
    def look() -> str:
        raise KeyError("device")

    with pytest.raises(KeyError):
        wait_for(look, what="it", deadline=10, clock=FakeClock())


def test_pauses_grow_to_a_longest() -> None:
    pauses = list(islice(backoff(0.1, 2.0, 0.5), 5))

    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.5, 0.5])


def test_says_so_when_the_pauses_end_before_the_deadline() -> None:
    with pytest.raises(DeadlineError):
        wait_for(lambda: None, what="it", deadline=10, clock=FakeClock(), pauses=[1.0, 1.0])


def test_the_system_clock_goes_forward() -> None:
    clock = SystemClock()
    before = clock.now()

    clock.sleep(0.001)

    assert clock.now() >= before + 0.001


def test_rests_for_as_long_as_it_was_told() -> None:
    clock = FakeClock()

    rest(1.5, clock=clock)

    assert sum(clock.slept) == pytest.approx(1.5)


def test_rests_no_longer_than_until_somebody_wants_it_to_end() -> None:
    clock = FakeClock()

    rest(60, until=lambda: clock.time >= 1, clock=clock)

    assert 1 <= sum(clock.slept) < 2


def test_whoever_waits_asks_meanwhile_and_what_that_raises_ends_the_wait() -> None:
    clock = FakeClock()

    def stop() -> None:
        if clock.now() > 5:
            raise InterruptedError

    with pytest.raises(InterruptedError), heeding(stop):
        wait_for(lambda: None, what="it", deadline=60, clock=clock)
    assert 5 < clock.now() < 7
    with pytest.raises(DeadlineError):
        wait_for(lambda: None, what="it", deadline=60, clock=clock)
