from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.initiator import tgtd
from tests.lab.hypervisor.stage import Stage, hypervisor


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tgtd.Tgtd]:
    """One real target daemon for all tests of a worker that leave it alive."""
    with tgtd.running(tmp_path_factory.mktemp("tgtd")) as running:
        yield running


@pytest.fixture
def own_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tgtd.Tgtd]:
    """A target daemon that the test may kill."""
    with tgtd.running(tmp_path_factory.mktemp("tgtd")) as running:
        yield running


@pytest.fixture
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A hypervisor of the test's own."""
    with hypervisor(tmp_path_factory.mktemp("host")) as stage:
        yield stage


@pytest.fixture(scope="module")
def shared_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A hypervisor for tests that leave nothing behind."""
    with hypervisor(tmp_path_factory.mktemp("shared")) as stage:
        yield stage
