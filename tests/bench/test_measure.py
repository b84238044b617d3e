from __future__ import annotations

from bench.measure import Bar, Times, side_by_side, table


def test_runs_the_cases_in_turn() -> None:
    ran: list[str] = []
    times = side_by_side({"a": lambda: ran.append("a"), "b": lambda: ran.append("b")}, rounds=2)
    assert ran == ["a", "b", "a", "b"]
    assert {name: len(one.seconds) for name, one in times.items()} == {"a": 2, "b": 2}


def test_prints_medians_ranges_and_whether_each_bar_was_kept() -> None:
    times = {"bare": Times((0.010, 0.020, 0.012)), "ours": Times((0.024, 0.030, 2.0))}
    assert list(table("start-up", times, [Bar("ours", "bare", 2.5), Bar("ours", "bare", 2.0)])) == [
        "start-up: median (least .. most) of 3",
        "  bare  12 ms (10 ms .. 20 ms)",
        "  ours  30 ms (24 ms .. 2.0 s)",
        "  ours / bare = 2.50, bar 2.5: kept",
        "  ours / bare = 2.50, bar 2: MISSED",
    ]
