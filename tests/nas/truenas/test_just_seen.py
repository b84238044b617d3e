"""What was learnt lasts a minute."""

from __future__ import annotations

from pyvmiscsi.nas.truenas.just_seen import FRESH_FOR, JustSeen
from tests.fakes.clock import FakeClock


def test_it_is_known_for_a_minute_and_no_longer() -> None:
    clock = FakeClock()
    seen: JustSeen[int] = JustSeen(clock)
    seen.note("web1", 7)

    clock.push(FRESH_FOR - 1)
    assert seen.get("web1") == 7
    clock.push(2)
    assert seen.get("web1") is None


def test_what_was_never_seen_or_was_dropped_is_not_known() -> None:
    seen: JustSeen[int] = JustSeen(FakeClock())
    seen.note("web1", 7)
    seen.drop("web1")
    seen.drop("web2")

    assert (seen.get("web1"), seen.get("web2")) == (None, None)


def test_a_new_look_counts_from_now() -> None:
    clock = FakeClock()
    seen: JustSeen[int] = JustSeen(clock)
    seen.note("web1", 7)
    clock.push(FRESH_FOR - 1)
    seen.note("web1", 8)
    clock.push(FRESH_FOR - 1)

    assert seen.get("web1") == 8
