from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.initiator import tgtd


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tgtd.Tgtd]:
    """One real target daemon for all tests of a worker; each test makes targets of its own."""
    with tgtd.running(tmp_path_factory.mktemp("tgtd")) as running:
        yield running


@pytest.fixture
def own_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tgtd.Tgtd]:
    """A real target daemon that the test may kill."""
    with tgtd.running(tmp_path_factory.mktemp("tgtd")) as running:
        yield running
