"""The contract of initiators, on the kernel in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from pyvmiscsi.initiator.freebsd import FreebsdInitiator
from pyvmiscsi.model import Credential
from pyvmiscsi.names import Iqn, Portal
from pyvmiscsi.ports import Initiator
from pyvmiscsi.units import Size
from tests.contracts.initiator_contract import SIZE, InitiatorContract, World
from tests.fakes.clock import FakeClock
from tests.fakes.host import FakeHost
from tests.initiator.freebsd.kernel import FakeKernel, Served


class InMemory:
    portal = Portal("10.0.0.10")
    other_spelling = "10.0.0.10"

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.kernel = FakeKernel(self.clock)
        self.host = FakeHost(answer=self.kernel.answer)

    def serve(self, target: Iqn, *, serial: str, sector: int = 512, login: Credential | None = None) -> None:
        account = (login.user, login.secret.reveal()) if login else None
        self.kernel.served[target.text] = Served(serial=serial, size=SIZE.bytes, sector=sector, login=account)

    def withdraw(self, target: Iqn) -> None:
        del self.kernel.served[target.text]

    def grow(self, target: Iqn, size: Size) -> None:
        self.kernel.served[target.text].size = size.bytes

    def log_in_by_hand(self, target: Iqn, portal: str) -> None:
        self.kernel.start(target.text, portal, age=60)

    @contextlib.contextmanager
    def hold_open(self, _device: str) -> Iterator[None]:
        (session,) = self.kernel.sessions
        session.mode = "r1w1e1"
        yield
        session.mode = "r0w0e0"

    def told(self) -> str:
        return "\n".join(f"{call.script} {call.words}" for call in self.host.calls)


class TestOnTheKernelInMemory(InitiatorContract):
    @pytest.fixture
    def world(self) -> InMemory:
        return InMemory()

    @pytest.fixture
    def initiator(self, world: InMemory) -> Initiator:
        return FreebsdInitiator(world.host, world.clock)


def test_the_world_is_one() -> None:
    world: World = InMemory()
    assert world.told() == ""
