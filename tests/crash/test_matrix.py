"""No accident leaves a third world: what was there before, or what the command makes, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pyvmiscsi.operations.pending import VERBS
from tests.crash.matrix import Theatre, play_all
from tests.crash.scenarios import SCENARIOS, Scenario
from tests.crash.turns import this_turn

pytestmark = pytest.mark.crash


@pytest.mark.timeout(600)
@pytest.mark.parametrize("scenario", [one for one in SCENARIOS if not one.seldom], ids=lambda scenario: scenario.key)
def test_an_accident_is_taken_back_or_brought_to_its_end(
    theatre_of: Callable[[str], Theatre], scenario: Scenario
) -> None:
    theatre = theatre_of(scenario.release)
    rehearsal = theatre.rehearse(scenario)
    outcomes = list(play_all(theatre, rehearsal, rehearsal.turn(this_turn())))
    assert len(outcomes) == len(rehearsal.writes)
    assert [f"{outcome.case}\n{outcome.complaint}" for outcome in outcomes if outcome.complaint] == []


def test_every_verb_that_can_be_resumed_is_played() -> None:
    assert VERBS.keys() - {scenario.verb for scenario in SCENARIOS} == set()
