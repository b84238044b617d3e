"""Disks that grow, through the SDK."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pyvmiscsi.errors import (
    BusyError,
    ConflictError,
    DeadlineError,
    InputError,
    LoginError,
    NasSpaceError,
    NotFoundError,
    RuleError,
)
from pyvmiscsi.model import Credential, DiskProof, NasSession, SessionState
from pyvmiscsi.names import LunAddress
from pyvmiscsi.operations.create import DiskRequest
from pyvmiscsi.operations.resize import is_seen_while_running
from pyvmiscsi.site import Guest, ResizedView
from pyvmiscsi.units import Size
from tests.fakes.access import FakeAccess, FakeLun
from tests.operations.scenes import RememberingInitiator
from tests.site.worlds import World, web1

GIB, TWO = Size.parse("1G"), Size.parse("2G")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def guest(world: World) -> Guest:
    return world.site().datastore().create(web1("1G", "1G"))


def proof_of(guest: Guest, number: int = 0) -> DiskProof:
    return guest.record().disks[number].proof(guest.datastore)


def log_in(world: World, guest: Guest) -> None:
    """The host has the guest's disk0, and the nas sees it."""
    proof = proof_of(guest)
    world.initiator.attach(proof, None)
    world.nas.sessions_now.append(NasSession(proof.address.target, "iqn.1994-09.org.freebsd:hv1", "10.0.0.11"))


def sizes(guest: Guest) -> list[Size]:
    return [disk.volume.size for disk in guest.record().disks]


def test_the_disk_that_was_named_grows_and_no_other(world: World, guest: Guest) -> None:
    assert guest.resize("disk1", TWO) == ResizedView("web1", "disk1", TWO.bytes, (), None)
    assert sizes(guest) == [GIB, TWO]
    assert {address.target for address in world.access.opened} == {proof_of(guest, 1).address.target}
    assert world.site().operations() == ()


def test_it_costs_the_nas_three_writes(world: World, guest: Guest) -> None:
    world.nas.calls.clear()
    guest.resize("disk0", TWO)
    assert world.nas.count(writes=True) == 3


def test_a_size_that_it_has_is_no_error(world: World, guest: Guest) -> None:
    before = world.nas.state()
    guest.resize("disk0", GIB)
    assert world.nas.state() == before


def test_a_host_that_has_it_sees_the_new_size(world: World, guest: Guest) -> None:
    log_in(world, guest)
    assert guest.resize("disk0", TWO).hosts == ("hv1",)
    assert world.initiator.disks[proof_of(guest).address.target].size == TWO
    assert world.access.opened == []


@pytest.mark.parametrize(
    ("wanted", "error", "words"),
    [
        (("disk0", "512M"), RuleError, "never made smaller"),
        (("disk0", "1073745920"), RuleError, "ask for 1048592K"),
        (("disk2", "2G"), NotFoundError, "has no disk2"),
        (("d0", "2G"), InputError, "disk name"),
    ],
)
def test_what_cannot_be_is_refused_before_anything(
    world: World, guest: Guest, wanted: tuple[str, str], error: type[Exception], words: str
) -> None:
    world.nas.calls.clear()
    with pytest.raises(error, match=words):
        guest.resize(wanted[0], Size.parse(wanted[1]))
    assert world.nas.count(writes=True) == 0


def test_a_pool_without_space_leaves_all_as_it_was(world: World, guest: Guest) -> None:
    guest.add_disk(DiskRequest(GIB, thick=True))
    before = world.nas.state()
    with pytest.raises(NasSpaceError):
        guest.resize("disk2", Size.parse("90T"))
    assert world.nas.state() == before
    assert world.site().operations() == ()


def test_a_stranger_who_is_logged_in_is_named(world: World, guest: Guest) -> None:
    target = proof_of(guest).address.target
    world.nas.sessions_now = [NasSession(target, "iqn.1994-09.org.freebsd:hv9", "10.0.0.19")]
    with pytest.raises(BusyError, match=r"freebsd:hv9 at 10\.0\.0\.19 is logged in"):
        guest.resize("disk0", TWO)
    assert sizes(guest) == [GIB, GIB]


def test_a_host_whose_session_is_dead_could_not_see_it(
    world: World, guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(world, guest)
    dead = SessionState(proof_of(guest).address.target, "10.0.0.10", False, "Waiting for iscsid(8)")
    monkeypatch.setattr(RememberingInitiator, "sessions", lambda _self: (dead,))
    with pytest.raises(BusyError, match=r"hv1: its session .* is not Connected: Waiting for iscsid"):
        guest.resize("disk0", TWO)
    assert sizes(guest) == [GIB, GIB]


def test_a_lun_that_does_not_show_its_volume_is_not_grown(world: World, guest: Guest) -> None:
    world.access.sizes[str(proof_of(guest).serial)] = Size.parse("512M")
    with pytest.raises(ConflictError, match="shows another size than its volume"):
        guest.resize("disk0", TWO)
    assert sizes(guest) == [GIB, GIB]


def test_a_lun_that_cannot_be_reached_from_here_is_proven_by_a_host_that_logs_out_again(
    world: World, guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def nobody(
        _self: FakeAccess, address: LunAddress, _credential: Credential | None = None, *, deadline: float
    ) -> Iterator[FakeLun]:
        raise DeadlineError(f"{address}: no answer after {deadline:g} s")
        yield

    monkeypatch.setattr(FakeAccess, "open", nobody)
    assert [title for title, _ in guest.preview_resize("disk0", TWO).steps] == [
        "volume tank/vm/web1/disk0 of 2G",
        "session hv1 -> iqn.2005-10.org.freenas.ctl:web1-disk0",
        "no session hv1 -> iqn.2005-10.org.freenas.ctl:web1-disk0",
    ]
    guest.resize("disk0", TWO)
    assert sizes(guest) == [TWO, GIB]
    assert [account.user for account in world.initiator.used if account] == ["web1"]
    assert world.initiator.sessions() == ()
    assert world.site().operations() == ()


def test_a_lun_that_lets_nobody_in_is_not_grown(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def refuse(
        _self: FakeAccess, address: LunAddress, _credential: Credential | None = None, *, deadline: float
    ) -> Iterator[FakeLun]:
        assert deadline
        raise LoginError(f"{address}: Not found", reason="Not found", permanent=True)
        yield

    monkeypatch.setattr(FakeAccess, "open", refuse)
    with pytest.raises(LoginError, match="Not found"):
        guest.resize("disk0", TWO)
    assert sizes(guest) == [GIB, GIB]


def test_a_preview_changes_nothing(world: World, guest: Guest) -> None:
    before = world.nas.state()
    preview = guest.preview_resize("disk0", TWO)
    assert preview.no_return == "volume tank/vm/web1/disk0 of 2G"
    assert [holds for _, holds in preview.steps] == [False, False]
    assert world.nas.state() == before


@pytest.mark.parametrize(
    ("emulation", "release", "seen"),
    [
        ("virtio-blk", 1400097, True),
        ("nvme", 1500068, True),
        ("virtio-blk", 1302001, False),
        ("ahci-hd", 1500068, False),
    ],
)
def test_what_bhyve_tells_a_running_guest(emulation: str, release: int, seen: bool) -> None:
    assert is_seen_while_running(emulation, release) is seen
