"""What every test run does: the published schemas judge what went over the wire (tests/judge)."""

from __future__ import annotations

import pytest

from tests.judge import session


def pytest_configure(config: pytest.Config) -> None:
    session.install(config)
