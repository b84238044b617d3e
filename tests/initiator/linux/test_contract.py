"""The contract of initiators, on the kernel in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from pyvmiscsi.initiator.linux import LinuxInitiator
from pyvmiscsi.model import Credential, DiskProof
from pyvmiscsi.names import Iqn, Portal
from pyvmiscsi.ports import Initiator
from pyvmiscsi.units import Size
from tests.contracts.initiator_contract import SIZE, InitiatorContract, World
from tests.fakes.clock import FakeClock
from tests.fakes.host import FakeHost
from tests.initiator.linux.kernel import FakeKernel, Served


class InMemory:
    portal = Portal("10.0.0.10")
    other_spelling = "nas1:3260"

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.kernel = FakeKernel(self.clock)
        self.host = FakeHost(answer=self.kernel.answer)

    def serve(self, target: Iqn, *, serial: str, sector: int = 512, login: Credential | None = None) -> None:
        account: tuple[str, ...] | None = None
        if login:
            mutual = (login.peer_user, login.peer_secret.reveal()) if login.is_mutual else ()
            account = (login.user, login.secret.reveal(), *mutual)
        self.kernel.served[target.text] = Served(serial=serial, size=SIZE.bytes, sector=sector, login=account)

    def withdraw(self, target: Iqn) -> None:
        del self.kernel.served[target.text]
        for session in self.kernel.sessions:
            session.lost = session.lost or session.target == target.text

    def grow(self, target: Iqn, size: Size) -> None:
        self.kernel.served[target.text].size = size.bytes

    def log_in_by_hand(self, target: Iqn, portal: str) -> None:
        self.kernel.start(target.text, portal, age=60)

    @contextlib.contextmanager
    def hold_open(self, _device: str) -> Iterator[None]:
        (session,) = self.kernel.sessions
        session.uses = f"/dev/{session.disk}"
        yield
        session.uses = ""

    def told(self) -> str:
        return "\n".join(f"{call.script} {call.words}" for call in self.host.calls)


class TestOnTheKernelInMemory(InitiatorContract):
    @pytest.fixture
    def world(self) -> InMemory:
        return InMemory()

    @pytest.fixture
    def initiator(self, world: InMemory) -> Initiator:
        return LinuxInitiator(world.host, world.clock)

    @staticmethod
    def device_of(proof: DiskProof) -> str:
        portal, target, lun = proof.address.portal, proof.address.target, proof.address.lun
        return f"/dev/disk/by-path/ip-{portal}-iscsi-{target}-lun-{lun}"


def test_the_world_is_one() -> None:
    world: World = InMemory()
    assert world.told() == ""
