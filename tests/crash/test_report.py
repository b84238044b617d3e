"""What a run of the whole matrix claims, and when it claims nothing."""

from __future__ import annotations

from datetime import date

from tests.crash.report import Played, bound, page, summary

CREATE = Played("create", "25.10", "jsonrpc", writes=9, cases=80, complaints=(), seconds=60.0)
ROLLBACK = Played("rollback", "25.10", "rest2", writes=5, cases=220, complaints=("it lost data",), seconds=300.0)


def test_no_failure_among_n_cases_bounds_the_rate_by_3_over_n() -> None:
    assert bound(300, 0) == "at most 1.00 % of such accidents end otherwise (3/n, at 95 %)"


def test_a_failure_proves_nothing_and_neither_does_no_case() -> None:
    assert bound(300, 1) == bound(0, 0) == "nothing is proven"


def test_the_summary_adds_up() -> None:
    assert summary([CREATE, ROLLBACK], 200.0).startswith("300 cases, 1 failures in 200 s")


def test_a_failure_is_told_with_its_scenario() -> None:
    assert ROLLBACK.line.endswith("rollback, 25.10 rest2: 220 cases, 1 failures, 1.36 s each\nit lost data")


def test_the_page_has_the_date_and_every_scenario() -> None:
    text = page([ROLLBACK, CREATE], date(2026, 11, 22))
    assert "The latest run, 2026-11-22, the whole matrix:\n**300 cases, 1 failures**; nothing is proven." in text
    assert "20 % of the matrix, drawn at random" in page([CREATE], date(2026, 11, 22), 0.2)
    assert "Not played in that run: rename, start." in page([CREATE], date(2026, 11, 22), left=["rename", "start"])
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert rows[1:] == ["| create | 25.10 | jsonrpc | 9 | 80 | 0 |", "| rollback | 25.10 | rest2 | 5 | 220 | 1 |"]
