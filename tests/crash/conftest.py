"""One fork server for the whole run of a worker, and a lab of each release that its scenarios need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.crash.launcher import Launcher
from tests.crash.matrix import Theatre


@pytest.fixture(scope="session")
def launcher() -> Iterator[Launcher]:
    with Launcher() as started:
        yield started


@pytest.fixture(scope="session")
def theatre_of(launcher: Launcher) -> Iterator[Callable[[str], Theatre]]:
    """By release."""
    theatres: dict[str, Theatre] = {}
    with ExitStack() as opened:

        def theatre(release: str) -> Theatre:
            if release not in theatres:
                theatres[release] = opened.enter_context(Theatre(release, launcher))
            return theatres[release]

        yield theatre
