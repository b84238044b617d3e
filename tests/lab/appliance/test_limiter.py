from __future__ import annotations

from pyvmiscsi.lab.appliance.limiter import BUDGET, WINDOW, Limiter


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def test_lets_twenty_pass_in_a_minute_and_no_more() -> None:
    limiter = Limiter(Clock())
    assert [limiter.allows("auth.login_ex", "10.0.0.1") for _ in range(21)] == [True] * BUDGET + [False]


def test_counts_each_method_and_address_by_itself() -> None:
    limiter = Limiter(Clock(), budget=1)
    assert limiter.allows("auth.login_ex", "10.0.0.1")
    assert limiter.allows("auth.login_ex", "10.0.0.2")
    assert limiter.allows("auth.login", "10.0.0.1")
    assert not limiter.allows("auth.login_ex", "10.0.0.1")


def test_begins_anew_a_minute_after_the_first_call() -> None:
    clock = Clock()
    limiter = Limiter(clock, budget=1)
    assert limiter.allows("auth.login_ex", "10.0.0.1")
    clock.time = WINDOW - 1
    assert not limiter.allows("auth.login_ex", "10.0.0.1")
    clock.time = WINDOW
    assert limiter.allows("auth.login_ex", "10.0.0.1")


def test_limits_newcomers_while_its_cache_is_full() -> None:
    limiter = Limiter(Clock())
    assert all(limiter.allows("auth.login_ex", f"10.0.0.{number}") for number in range(100))
    assert not limiter.allows("auth.login_ex", "10.0.1.1")
    assert limiter.allows("auth.login_ex", "10.0.0.1")


def test_keeps_the_refused_waiting_for_seconds() -> None:
    assert all(1 <= Limiter.penalty() <= 10 for _ in range(100))
