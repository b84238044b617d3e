"""Going on looking, and trying a refused login again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pyvmiscsi.errors import DeadlineError, InputError, LoginError
from pyvmiscsi.initiator.trying import PAUSES, log_in, watched
from tests.fakes.clock import FakeClock


def refusals(*refused: LoginError | None) -> Callable[[], LoginError | None]:
    """A login that is refused so, one try after the other, and as the last time from then on."""
    left = list(refused)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def test_what_was_seen_already_is_judged_before_anybody_looks_again() -> None:
    looks: list[str] = []
    found = watched(lambda: looks.append("look"), lambda: "da1", what="disk", seconds=5, clock=FakeClock())
    assert (found, looks) == ("da1", [])


def test_every_later_judgement_is_of_a_new_look() -> None:
    looks: list[str] = []
    found = watched(
        lambda: looks.append("look"),
        lambda: f"da{len(looks)}" if len(looks) == 2 else None,
        what="disk",
        seconds=5,
        clock=FakeClock(),
    )
    assert (found, looks) == ("da2", ["look", "look"])


@pytest.mark.parametrize("seconds", [-3.0, 0.0, 2.0])
def test_looking_ends_with_what_was_waited_for_and_the_hint(seconds: float) -> None:
    clock = FakeClock()
    with pytest.raises(DeadlineError, match="disk: not so") as caught:
        watched(lambda: None, lambda: None, what="disk", seconds=seconds, clock=clock, hint="look at dmesg")
    assert caught.value.hint == "look at dmesg"
    assert sum(clock.slept) == pytest.approx(max(seconds, 0))


def test_a_login_that_is_let_in_waits_for_nothing() -> None:
    clock = FakeClock()
    log_in(refusals(None), what="login", seconds=60, clock=clock)
    assert clock.slept == []


def test_a_passing_refusal_is_outlived() -> None:
    clock = FakeClock()
    log_in(refusals(*[LoginError("busy")] * 6, None), what="login", seconds=60, clock=clock)
    assert clock.slept == [*PAUSES, PAUSES[-1], PAUSES[-1]]


def test_a_permanent_refusal_is_believed_after_every_pause_was_made_once() -> None:
    clock = FakeClock()
    refused = LoginError("no such target", reason="Not found", permanent=True)
    with pytest.raises(LoginError) as caught:
        log_in(refusals(refused), what="login", seconds=600, clock=clock)
    assert caught.value is refused
    assert clock.slept == list(PAUSES)


def test_when_time_is_up_the_last_refusal_says_why() -> None:
    last = LoginError("still busy")
    with pytest.raises(LoginError) as caught:
        log_in(refusals(LoginError("busy"), last), what="login", seconds=20, clock=FakeClock())
    assert caught.value is last


def test_what_an_attempt_raises_ends_it_at_once() -> None:
    clock = FakeClock()

    def attempt() -> LoginError | None:
        raise InputError("two targets of this name")

    with pytest.raises(InputError, match="two targets"):
        log_in(attempt, what="login", seconds=60, clock=clock)
    assert clock.slept == []
