"""What every test run does: the published schemas judge what went over the wire (tests/judge), and the day says which
turn of the crash matrix is played (tests/crash).
"""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.crash import turns
from tests.judge import session

# a slow machine is no failing test: pytest's own timeout is the only clock
settings.register_profile("pyvmiscsi", deadline=None)
settings.load_profile("pyvmiscsi")

LONGEST = (
    "tests/crash/test_matrix.py",
    "tests/e2e/",
    "tests/bhyve/on_lab/",
    "tests/lab/bhyve/test_guests_on_luns.py",
    "tests/lab/hypervisor/test_transcripts.py",
)
"""Where tests take many seconds each. They come first, so that in the end nobody waits for the last of them."""


def pytest_configure(config: pytest.Config) -> None:
    session.install(config)
    turns.choose_turn()


def pytest_report_header() -> str:
    return f"crash matrix: {turns.TURN}={turns.this_turn()}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))
