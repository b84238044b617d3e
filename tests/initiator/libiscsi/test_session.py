"""A session in this process, against a real tgtd."""

from __future__ import annotations

import os
import threading

import pytest

from pyvmiscsi.errors import LoginError, ScsiError, SessionLostError
from pyvmiscsi.initiator.libiscsi import Session, discover, library
from pyvmiscsi.lab.ports import free_port
from pyvmiscsi.model import Credential
from pyvmiscsi.secrets import Secret
from tests.initiator.tgtd import Account, Target, Tgtd

MIB = 1024 * 1024

needs_mutual_chap = pytest.mark.skipif(not library.load().has_mutual_chap, reason="libiscsi 1.20.1 or 1.20.2")


@pytest.fixture
def target(daemon: Tgtd) -> Target:
    made = daemon.target()
    made.lun(1, size=8 * MIB, serial="5c4ae0d1b2f7-00")
    return made


def test_says_what_the_lun_is(daemon: Tgtd, target: Target) -> None:
    with Session.login(daemon.portal, target.iqn) as session:
        session.settle(1)
        inquiry = session.inquiry(1)
        assert (inquiry.vendor, inquiry.product, inquiry.revision) == ("TrueNAS", "iSCSI Disk", "0123")
        assert inquiry.is_disk
        assert session.serial(1) == "5c4ae0d1b2f7-00"
        assert "6589cfc000000a1b2c3d4e5f60718293" in [d.text for d in session.designators(1) if d.is_naa]
        assert session.provisioning(1).unmap
        assert 0xB0 in session.pages(1)
        capacity = session.capacity(1)
        assert (capacity.size, capacity.sector, capacity.thin) == (8 * MIB, 512, True)


def test_lists_the_luns_and_tells_the_controller_from_the_disk(daemon: Tgtd, target: Target) -> None:
    target.lun(300, size=MIB, serial="far")
    with Session.login(daemon.portal, target.iqn) as session:
        assert session.luns() == (0, 1, 300)
        assert not session.inquiry(0).is_disk
        assert session.serial(300) == "far"


def test_what_is_written_is_read_and_stands_in_the_file(daemon: Tgtd) -> None:
    target = daemon.target()
    file = target.lun(1, size=8 * MIB, serial="rw")
    data = os.urandom(MIB)
    with Session.login(daemon.portal, target.iqn) as session:
        session.write(1, data, sector=2048)
        session.synchronize(1)
        assert session.read(1, sector=2048, count=2048) == data
    assert file.read_bytes()[MIB : 2 * MIB] == data


def test_a_unit_attention_shows_in_a_plain_command_and_is_settled_once(daemon: Tgtd, target: Target) -> None:
    with Session.login(daemon.portal, target.iqn) as session:
        with pytest.raises(ScsiError) as caught:
            session.command(bytes(6), lun=1)
        assert (caught.value.key, caught.value.asc) == (6, 0x29)
        session.settle(1)
        assert session.command(bytes(6), lun=1) == b""


def test_an_impossible_read_is_a_scsi_error_and_the_session_goes_on(daemon: Tgtd, target: Target) -> None:
    with Session.login(daemon.portal, target.iqn) as session:
        with pytest.raises(ScsiError, match="logical block address out of range") as caught:
            session.read(1, sector=10**9, count=8)
        assert (caught.value.status, caught.value.key, caught.value.asc) == (2, 5, 0x21)
        assert session.read(1, sector=0, count=1) == bytes(512)


def test_a_target_that_is_not_there_is_not_found(daemon: Tgtd) -> None:
    with pytest.raises(LoginError) as caught:
        Session.login(daemon.portal, "iqn.2026-01.org.example:nobody")
    assert (caught.value.reason, caught.value.permanent) == ("Not found", True)


def test_a_portal_where_nobody_listens_refuses() -> None:
    with pytest.raises(LoginError) as caught:
        Session.login(f"127.0.0.1:{free_port()}", "iqn.2026-01.org.example:nobody")
    assert (caught.value.reason, caught.value.permanent) == ("Connection refused", False)


class TestChap:
    LOGIN = Account("guest1", "secretsecret12")
    MUTUAL = Account("nas1", "othersecret1234")

    @pytest.fixture
    def locked(self, daemon: Tgtd) -> Target:
        made = daemon.target("locked", login=self.LOGIN, mutual=self.MUTUAL)
        made.lun(1, size=MIB, serial="locked")
        return made

    def test_lets_in_who_knows_the_secret(self, daemon: Tgtd, locked: Target) -> None:
        credential = Credential(1, self.LOGIN.user, Secret(self.LOGIN.secret))
        with Session.login(daemon.portal, locked.iqn, credential=credential) as session:
            assert session.serial(1) == "locked"

    @needs_mutual_chap
    def test_lets_in_who_asks_the_target_for_its_secret_too(self, daemon: Tgtd, locked: Target) -> None:
        credential = Credential(
            1, self.LOGIN.user, Secret(self.LOGIN.secret), self.MUTUAL.user, Secret(self.MUTUAL.secret)
        )
        with Session.login(daemon.portal, locked.iqn, credential=credential) as session:
            assert session.serial(1) == "locked"

    @pytest.mark.parametrize("secret", [None, "wrongwrong12"])
    def test_refuses_a_wrong_secret_and_none(self, daemon: Tgtd, locked: Target, secret: str | None) -> None:
        credential = Credential(1, self.LOGIN.user, Secret(secret)) if secret else None
        with pytest.raises(LoginError) as caught:
            Session.login(daemon.portal, locked.iqn, credential=credential)
        assert caught.value.reason == "Authentication failure"
        assert caught.value.permanent

    @needs_mutual_chap
    def test_refuses_a_target_that_cannot_prove_itself(self, daemon: Tgtd, locked: Target) -> None:
        credential = Credential(
            1, self.LOGIN.user, Secret(self.LOGIN.secret), self.MUTUAL.user, Secret("notthatsecret1")
        )
        with pytest.raises(LoginError) as caught:
            Session.login(daemon.portal, locked.iqn, credential=credential)
        assert caught.value.reason == "Mutual CHAP failed"
        assert "notthatsecret1" not in str(caught.value)


def test_discovery_names_targets_and_portals(daemon: Tgtd, target: Target) -> None:
    found = {each.target: each.portals for each in discover(daemon.portal)}
    assert found[target.iqn] == (f"{daemon.portal},1",)


def test_a_killed_target_ends_the_session(own_daemon: Tgtd) -> None:
    target = own_daemon.target()
    target.lun(1, size=MIB, serial="gone")
    session = Session.login(own_daemon.portal, target.iqn)
    assert session.tend()
    own_daemon.close()
    assert not session.tend(60)
    assert session.loss
    with pytest.raises(SessionLostError):
        session.serial(1)
    session.close()


def test_close_frees_a_thread_that_waits(daemon: Tgtd, target: Target) -> None:
    session = Session.login(daemon.portal, target.iqn)
    os.kill(daemon.process.pid, 19)  # SIGSTOP: the target says nothing any more
    ended: list[BaseException] = []
    begun = threading.Event()

    def ask() -> None:
        begun.set()
        try:
            session.serial(1)
        except SessionLostError as error:
            ended.append(error)

    thread = threading.Thread(target=ask)
    try:
        thread.start()
        begun.wait(60)
        session.close(log_out=False)
        thread.join(60)
    finally:
        os.kill(daemon.process.pid, 18)  # SIGCONT
    assert not thread.is_alive()
    assert len(ended) == 1
