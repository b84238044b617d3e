"""Each run of the tests plays another part of the matrix, and a few weeks of them play all of it."""

from __future__ import annotations

import pytest

from tests.crash.matrix import Case, Rehearsal
from tests.crash.scenarios import scenario
from tests.crash.turns import TURN, choose_turn, this_turn
from tests.crash.world import Facts
from tests.crash.writes import Write

WRITES = (*(Write("nas", "pool.dataset.create", nth) for nth in range(1, 6)), Write("host", "mkdir", 1, "mkdir"))
REHEARSAL = Rehearsal(scenario("create"), Facts(()), WRITES)
FOUR_WEEKS = range(739_578, 739_578 + 28)


def test_each_write_is_played_once_in_a_turn() -> None:
    for day in FOUR_WEEKS:
        assert tuple(case.write for case in REHEARSAL.turn(day)) == WRITES


def test_four_weeks_play_all_of_the_matrix() -> None:
    played: set[Case] = {case for day in FOUR_WEEKS for case in REHEARSAL.turn(day)}
    assert played == {case for dialect in REHEARSAL.dialects for case in REHEARSAL.cases(dialect)}


def test_a_day_has_several_fates_both_endings_and_both_dialects() -> None:
    for day in FOUR_WEEKS:
        cases = REHEARSAL.turn(day)
        assert len({case.fate for case in cases}) >= 3
        assert len({(case.ending, case.dialect) for case in cases}) >= 3


def test_the_environment_names_another_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TURN, "7")
    assert choose_turn() == this_turn() == 7


def test_a_run_keeps_its_turn_past_midnight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TURN)
    chosen = choose_turn()
    assert choose_turn() == this_turn() == chosen
