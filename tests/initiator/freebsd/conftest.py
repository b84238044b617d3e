"""A host in memory, with its kernel and the initiator on it."""

from __future__ import annotations

import pytest

from pyvmiscsi.initiator.freebsd import FreebsdInitiator
from pyvmiscsi.ports import Initiator
from tests.fakes.clock import FakeClock
from tests.fakes.host import FakeHost
from tests.initiator.freebsd.kernel import FakeKernel, Served
from tests.initiator.web1 import TARGET


@pytest.fixture
def kernel(clock: FakeClock) -> FakeKernel:
    kernel = FakeKernel(clock)
    kernel.served[TARGET] = Served()
    return kernel


@pytest.fixture
def warned() -> list[str]:
    return []


@pytest.fixture
def initiator(host: FakeHost, clock: FakeClock, warned: list[str]) -> Initiator:
    return FreebsdInitiator(host, clock, warn=warned.append)
