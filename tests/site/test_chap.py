"""New CHAP secrets, through the SDK."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pyvmiscsi.errors import BusyError, ConflictError, RuleError
from pyvmiscsi.model import Credential, NasSession, Target, chap_tag_of
from pyvmiscsi.plan.events import Event
from pyvmiscsi.secrets import Secret
from pyvmiscsi.site import Guest
from pyvmiscsi.site.running import Run
from pyvmiscsi.steps import exports
from tests.fakes.nas import BASENAME
from tests.site.worlds import World, web1


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def guest(world: World) -> Guest:
    return world.site().datastore().create(web1("1G", "1G", mutual=True))


def account_of(world: World, guest: Guest) -> Credential:
    (found,) = world.nas.find_credentials(tag=chap_tag_of(guest.record().uuid))
    return found


def test_both_secrets_are_new_and_whoever_logs_in_gets_them(world: World, guest: Guest) -> None:
    before = account_of(world, guest)
    assert guest.rotate_chap() == "web1"
    after = account_of(world, guest)
    assert replace(after, secret=before.secret, peer_secret=before.peer_secret) == before
    assert len({before.secret, before.peer_secret, after.secret, after.peer_secret}) == 4
    with guest.open_disk("disk1") as lun:
        assert lun.serial.endswith("-01")
    assert world.site().operations() == ()


def test_no_secret_is_told(world: World, guest: Guest) -> None:
    heard: list[Event] = []
    world.nas.calls.clear()
    guest.rotate_chap(Run(heard.append))
    account = account_of(world, guest)
    told = f"{heard}{world.nas.calls}{world.nas.state()}{guest.preview_rotate_chap()}"
    assert [one for one in (account.secret, account.peer_secret) if one.reveal() in told] == []


def test_every_host_is_logged_out_before(world: World, guest: Guest) -> None:
    for disk in guest.record().disks:
        world.initiator.attach(disk.proof(guest.datastore), None)
    guest.rotate_chap()
    assert world.initiator.sessions() == ()


def test_an_account_of_another_name_is_rotated_as_it_is(world: World, guest: Guest) -> None:
    before = world.nas.change_credential(account_of(world, guest).tag, "web1", new_user="by-hand")
    assert guest.rotate_chap() == "by-hand"
    assert account_of(world, guest).secret != before.secret


class TestIsRefused:
    @pytest.fixture(autouse=True)
    def unchanged(self, world: World, guest: Guest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Whatever is the matter: the account stays as it was, and nothing is unfinished."""
        monkeypatch.setattr(exports, "SEEN_GONE_WITHIN", 0.0)
        before = account_of(world, guest)
        yield
        assert account_of(world, guest) == before
        assert world.site().operations() == ()

    def test_while_the_guest_runs(self, world: World, guest: Guest) -> None:
        (world.directory / "web1" / "run.lock").write_text("hv1\n")
        with pytest.raises(BusyError, match="locked on hv1"):
            guest.rotate_chap()

    def test_while_somebody_is_logged_in(self, world: World, guest: Guest) -> None:
        world.nas.sessions_now = [NasSession(BASENAME.child("web1-disk1"), "iqn.1994-09.org.freebsd:hv9", "10.0.0.9")]
        with pytest.raises(BusyError, match="hv9"):
            guest.rotate_chap()
        world.nas.sessions_now.clear()

    def test_when_the_account_opens_another_target_too(self, world: World, guest: Guest) -> None:
        tag = account_of(world, guest).tag
        world.nas.create_target(Target(BASENAME.child("backup"), 1, chap_tag=tag))
        with pytest.raises(ConflictError, match=r"also opens target .*:backup"):
            guest.rotate_chap()

    def test_when_another_account_has_its_tag(self, world: World, guest: Guest) -> None:
        account = account_of(world, guest)
        world.nas.create_credential(replace(account, user="stranger"))
        with pytest.raises(ConflictError, match="2 accounts"):
            guest.rotate_chap()
        world.nas.delete_credential(tag=account.tag, user="stranger")

    def test_when_its_disks_have_different_accounts(self, world: World, guest: Guest) -> None:
        (second,) = [disk.target for disk in guest.record().disks if str(disk.name) == "disk1"]
        assert second is not None
        world.nas.create_credential(Credential(7, "other", Secret("twelve2chars")))
        world.nas.delete_target(second.iqn)
        world.nas.create_target(replace(second, chap_tag=7))
        with pytest.raises(RuleError, match="different CHAP accounts"):
            guest.rotate_chap()


def test_a_guest_without_chap_has_no_secret(world: World) -> None:
    guest = world.site().datastore().create(web1(chap=False))
    with pytest.raises(RuleError, match="without CHAP"):
        guest.rotate_chap()
    with pytest.raises(RuleError, match="without CHAP"):
        guest.preview_rotate_chap()
