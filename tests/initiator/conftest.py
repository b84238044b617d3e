from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import pytest

from tests.fakes.clock import FakeClock
from tests.fakes.host import Call, FakeHost, Reply
from tests.initiator import tgtd


class Kernel(Protocol):
    """Of a host in memory: answers what an initiator asks there."""

    def answer(self, call: Call) -> Reply: ...


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def host(kernel: Kernel) -> FakeHost:
    return FakeHost(answer=kernel.answer)


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
