"""The same life on a lab, recorded anew, says the same to the nas as the cassette that is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cassettes.record import CASSETTES, RECORDED, record
from tests.cassettes.redaction import secrets_in
from tests.cassettes.stage import asked_in, header_of


@pytest.mark.parametrize(("dialect", "profile"), RECORDED)
def test_the_flow_runs_on_a_lab_as_it_runs_on_cassettes(dialect: str, profile: str, short_directory: Path) -> None:
    made = record(dialect, profile, short_directory)

    kept = header_of(CASSETTES / made.name)
    assert {**header_of(made), "date": "", "portal": ""} == {**kept, "date": "", "portal": ""}
    assert asked_in(made) == asked_in(CASSETTES / made.name), "the cassettes are old: make record"
    assert all(not secrets_in(path.read_text()) for path in made.iterdir())
