"""What every initiator must do, whoever the host is. Subclass it, and give a `world` and an `initiator` in it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import NamedTuple, Protocol

import pytest

from pyvmiscsi.errors import BusyError, LoginError, ProofError, SessionLostError
from pyvmiscsi.model import Credential, DiskProof, SessionState
from pyvmiscsi.names import Iqn, Lun, LunAddress, Portal, Serial
from pyvmiscsi.ports import Initiator
from pyvmiscsi.secrets import Secret
from pyvmiscsi.units import MIB, Size
from pyvmiscsi.waiting import wait_for

SIZE = Size(16 * MIB.bytes)
LUN = Lun(1)


class World(Protocol):
    """A nas that serves disks, and a host that may log in to them."""

    @property
    def portal(self) -> Portal: ...

    @property
    def other_spelling(self) -> str:
        """The same portal, written in another way."""
        ...

    def serve(self, target: Iqn, *, serial: str, sector: int = 512, login: Credential | None = None) -> None:
        """Offer a disk of SIZE as LUN of this target, to whoever knows the login."""

    def withdraw(self, target: Iqn) -> None:
        """Offer it no more: sessions die."""

    def grow(self, target: Iqn, size: Size) -> None:
        """Make the disk it serves larger."""

    def log_in_by_hand(self, target: Iqn, portal: str) -> None:
        """As an administrator would, without proof."""

    def hold_open(self, device: str) -> AbstractContextManager[object]:
        """Somebody reads and writes this device for the length of the block."""

    def told(self) -> str:
        """Every word of every command that the host was given."""


def iqn(name: str) -> Iqn:
    return Iqn(f"iqn.2005-10.org.freenas.ctl:{name}")


def proof_of(world: World, target: Iqn, *, serial: str = "5c4ae0d1b2f7-00", size: Size = SIZE) -> DiskProof:
    return DiskProof(LunAddress(world.portal, target, LUN), Serial(serial), size)


def of(sessions: tuple[SessionState, ...], target: Iqn) -> list[SessionState]:
    return [session for session in sessions if session.target == target]


class Wrong(NamedTuple):
    """A disk that is served otherwise than the record says, and what the error must tell."""

    name: str
    words: str
    serial: str = "5c4ae0d1b2f7-00"
    sector: int = 512
    recorded: Size = SIZE


WRONG = (
    Wrong("serial", "serial", serial="another"),
    Wrong("size", "bytes", recorded=Size(SIZE.bytes * 2)),
    Wrong("sector", "logical block size 512", sector=4096),
)


class InitiatorContract:
    """The laws of `ports.Initiator`."""

    @staticmethod
    def device_of(proof: DiskProof) -> str:
        """The stable name that this system gives the disk."""
        return f"/dev/diskid/DISK-{proof.serial}"

    def test_attaches_finds_and_detaches(self, world: World, initiator: Initiator) -> None:
        target = iqn("whole-life")
        world.serve(target, serial="5c4ae0d1b2f7-00")
        proof = proof_of(world, target)
        assert initiator.find(proof) is None
        disk = initiator.attach(proof, None)
        assert (disk.address, disk.device) == (proof.address, self.device_of(proof))
        assert (disk.serial, disk.size, disk.sector) == (proof.serial, SIZE, Size(512))
        assert initiator.find(proof) == disk
        (session,) = of(initiator.sessions(), target)
        assert session.connected
        assert list(session.luns) == [1]
        initiator.detach(target)
        assert of(initiator.sessions(), target) == []
        assert initiator.find(proof) is None

    def test_attaching_twice_is_one_session(self, world: World, initiator: Initiator) -> None:
        target = iqn("twice")
        world.serve(target, serial="5c4ae0d1b2f7-00")
        first = initiator.attach(proof_of(world, target), None)
        assert initiator.attach(proof_of(world, target), None) == first
        assert len(of(initiator.sessions(), target)) == 1
        initiator.detach(target)

    def test_detaching_nothing_is_no_error(self, initiator: Initiator) -> None:
        initiator.detach(iqn("never-there"))
        assert of(initiator.sessions(), iqn("never-there")) == []

    def test_a_disk_that_grew_is_proven_anew_while_it_is_in_use(self, world: World, initiator: Initiator) -> None:
        target, grown = iqn("grown"), Size(SIZE.bytes * 2)
        world.serve(target, serial="5c4ae0d1b2f7-00")
        before = initiator.attach(proof_of(world, target), None)
        with world.hold_open(before.device):
            world.grow(target, grown)
            after = initiator.reprobe(proof_of(world, target, size=grown))
            assert after == replace(before, size=grown)
            assert initiator.find(proof_of(world, target, size=grown)) == after
        with pytest.raises(ProofError, match=f"{grown.bytes} bytes, not {SIZE.bytes}"):
            initiator.reprobe(proof_of(world, target), deadline=0.5)
        with pytest.raises(ProofError, match="serial"):
            initiator.reprobe(proof_of(world, target, serial="another", size=grown))
        assert [session.connected for session in of(initiator.sessions(), target)] == [True]
        initiator.detach(target)

    def test_what_is_not_attached_cannot_be_reprobed(self, world: World, initiator: Initiator) -> None:
        target = iqn("reprobed")
        world.serve(target, serial="5c4ae0d1b2f7-00")
        with pytest.raises(SessionLostError):
            initiator.reprobe(proof_of(world, target))
        assert of(initiator.sessions(), target) == []

    @pytest.mark.parametrize("case", WRONG, ids=lambda case: case.name)
    def test_a_disk_that_is_not_the_right_one_is_logged_out_again(
        self, world: World, initiator: Initiator, case: Wrong
    ) -> None:
        target = iqn(f"wrong-{case.name}")
        world.serve(target, serial=case.serial, sector=case.sector)
        with pytest.raises(ProofError, match=case.words):
            initiator.attach(proof_of(world, target, size=case.recorded), None)
        assert of(initiator.sessions(), target) == []

    def test_a_target_that_is_not_there_is_not_found(self, world: World, initiator: Initiator) -> None:
        target = iqn("nobody")
        world.serve(iqn("somebody"), serial="5c4ae0d1b2f7-00")  # a tgtd without any target just hangs up
        with pytest.raises(LoginError) as caught:
            initiator.attach(proof_of(world, target), None)
        assert (caught.value.reason, caught.value.permanent) == ("Not found", True)
        assert of(initiator.sessions(), target) == []

    def test_chap_lets_in_who_knows_the_secret_and_tells_nobody(self, world: World, initiator: Initiator) -> None:
        target, login = iqn("locked"), Credential(1, "locked1", Secret("secretsecret12"))
        world.serve(target, serial="5c4ae0d1b2f7-00", login=login)
        initiator.attach(proof_of(world, target), login)
        assert login.secret.reveal() not in world.told()
        assert login.secret.reveal() not in repr(initiator.sessions())
        initiator.detach(target)

    def test_mutual_chap_tells_nobody_either(self, world: World, initiator: Initiator) -> None:
        target = iqn("both-locked")
        login = Credential(1, "locked3", Secret("secretsecret13"), "itself3", Secret("othersecret13"))
        world.serve(target, serial="5c4ae0d1b2f7-00", login=login)
        initiator.attach(proof_of(world, target), login)
        assert "othersecret13" not in f"{world.told()}{initiator.sessions()!r}"
        initiator.detach(target)

    def test_chap_keeps_out_who_does_not(self, world: World, initiator: Initiator) -> None:
        target, login = iqn("locked-out"), Credential(1, "locked2", Secret("secretsecret12"))
        world.serve(target, serial="5c4ae0d1b2f7-00", login=login)
        with pytest.raises(LoginError) as caught:
            initiator.attach(proof_of(world, target), Credential(1, "locked2", Secret("wrongwrong12")))
        assert caught.value.reason == "Authentication failure"
        assert "wrongwrong12" not in f"{caught.value}{world.told()}"
        assert of(initiator.sessions(), target) == []

    def test_a_dead_session_is_replaced(self, world: World, initiator: Initiator) -> None:
        target = iqn("died")
        world.serve(target, serial="5c4ae0d1b2f7-00")
        world.log_in_by_hand(target, str(world.portal))
        self.await_state(initiator, target, connected=True)
        world.withdraw(target)
        self.await_state(initiator, target, connected=False)
        world.serve(target, serial="5c4ae0d1b2f7-00")
        assert initiator.attach(proof_of(world, target), None).serial == Serial("5c4ae0d1b2f7-00")
        assert len(of(initiator.sessions(), target)) == 1
        initiator.detach(target)

    def test_a_dead_session_is_seen_and_taken_away_without_touching_its_disk(
        self, world: World, initiator: Initiator
    ) -> None:
        target = iqn("dead")
        world.serve(target, serial="5c4ae0d1b2f7-00")
        proof = proof_of(world, target)
        initiator.attach(proof, None)
        world.withdraw(target)
        self.await_state(initiator, target, connected=False)
        assert initiator.find(proof) is None
        initiator.detach(target)
        assert of(initiator.sessions(), target) == []

    def test_twin_sessions_are_refused_and_can_be_ended(self, world: World, initiator: Initiator) -> None:
        target = iqn("twins")
        world.serve(target, serial="5c4ae0d1b2f7-00")
        world.log_in_by_hand(target, str(world.portal))
        world.log_in_by_hand(target, world.other_spelling)
        with pytest.raises(ProofError, match="2 sessions"):
            initiator.attach(proof_of(world, target), None)
        assert {session.portal for session in of(initiator.sessions(), target)} == {
            str(world.portal), world.other_spelling,
        }  # fmt: skip
        initiator.detach(target)
        assert of(initiator.sessions(), target) == []

    def test_a_disk_that_is_open_is_not_detached(self, world: World, initiator: Initiator) -> None:
        target = iqn("in-use")
        world.serve(target, serial="5c4ae0d1b2f7-00")
        disk = initiator.attach(proof_of(world, target), None)
        with world.hold_open(disk.device):
            with pytest.raises(BusyError, match="open"):
                initiator.detach(target)
            assert len(of(initiator.sessions(), target)) == 1
        initiator.detach(target)
        assert of(initiator.sessions(), target) == []

    @staticmethod
    def await_state(initiator: Initiator, target: Iqn, *, connected: bool) -> None:
        wait_for(
            lambda: [session.connected for session in of(initiator.sessions(), target)] == [connected],
            what=f"{target} connected: {connected}",
            deadline=60,
        )
