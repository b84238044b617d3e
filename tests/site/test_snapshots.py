"""Snapshots and rollback through the SDK."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyvmiscsi.errors import AlreadyExistsError, BusyError, ConflictError, NotFoundError, RuleError
from pyvmiscsi.model import NasSession
from pyvmiscsi.names import DatasetPath, SnapshotName
from pyvmiscsi.operations.create import DiskRequest
from pyvmiscsi.site import Guest
from pyvmiscsi.steps import exports
from pyvmiscsi.units import Size
from tests.fakes.nas import BASENAME
from tests.site.worlds import World, web1

OLD, NEW = b"as it was", b"written since"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def guest(world: World) -> Guest:
    return world.site().datastore().create(web1("1G", "2G"))


def fill(world: World, guest: Guest, data: bytes) -> None:
    for disk in guest.info().disks:
        world.nas.contents[DatasetPath(disk.volume)] = data


def contents(world: World, guest: Guest) -> set[bytes]:
    return {world.nas.contents[DatasetPath(disk.volume)] for disk in guest.info().disks}


def test_all_disks_are_kept_in_one_call_and_come_back_together(world: World, guest: Guest) -> None:
    fill(world, guest, OLD)
    world.nas.calls.clear()
    assert guest.snapshot("monday") == "monday"
    assert [call.method for call in world.nas.calls if call.when == "before"].count("create_snapshot") == 1
    fill(world, guest, NEW)
    guest.rollback("monday")
    assert contents(world, guest) == {OLD}
    assert world.site().operations() == ()


def test_without_a_name_it_is_named_after_the_time_as_vm_bhyve_does(guest: Guest) -> None:
    name = guest.snapshot()
    assert [one.name for one in guest.snapshots()] == [name]
    assert len(name) == len("2026-11-22-10:00:00")


def test_a_name_that_is_taken_is_refused(world: World, guest: Guest) -> None:
    guest.snapshot("monday")
    before = world.nas.state()
    with pytest.raises(AlreadyExistsError, match="web1@monday"):
        guest.snapshot("monday")
    assert world.nas.state() == before


def test_newer_snapshots_are_named_and_go_only_if_told_to(world: World, guest: Guest) -> None:
    fill(world, guest, OLD)
    for name in ("monday", "tuesday", "wednesday"):
        guest.snapshot(name)
    fill(world, guest, NEW)
    with pytest.raises(ConflictError, match="tuesday, wednesday"):
        guest.rollback("monday")
    assert contents(world, guest) == {NEW}
    guest.rollback("monday", newer=True)
    assert contents(world, guest) == {OLD}
    assert [one.name for one in guest.snapshots()] == ["monday"]
    assert [one.name for one in (world.directory / "web1" / "snapshots").iterdir()] == ["monday.conf"]


def test_a_newer_snapshot_that_a_clone_depends_on_is_named_before_anything_is_touched(
    world: World, guest: Guest
) -> None:
    guest.snapshot("monday")
    guest.snapshot("tuesday")
    guest.clone("web2", snapshot="tuesday")
    fill(world, guest, NEW)
    before = world.nas.state()
    with pytest.raises(BusyError, match="disk0@tuesday: kept by clone tank/vm/web2/disk0"):
        guest.rollback("monday", newer=True)
    assert (world.nas.state(), contents(world, guest)) == (before, {NEW})
    assert world.site().operations() == ()


def test_a_disk_that_has_grown_since_keeps_its_size(world: World, guest: Guest) -> None:
    """What its LUN shows does not shrink with the volume, and an initiator must not read past the end of it."""
    fill(world, guest, OLD)
    guest.snapshot("monday")
    guest.resize("disk0", Size.parse("3G"))
    fill(world, guest, NEW)
    guest.rollback("monday")
    assert [disk.size_text for disk in guest.info().disks] == ["3G", "2G"]
    assert contents(world, guest) == {OLD}


def test_a_newer_snapshot_of_one_disk_alone_is_in_the_way_too(world: World, guest: Guest) -> None:
    guest.snapshot("monday")
    world.nas.create_snapshot(DatasetPath(guest.info().disks[1].volume), SnapshotName("by-hand"))
    with pytest.raises(ConflictError, match="by-hand"):
        guest.rollback("monday")


def test_a_disk_added_since_has_no_such_snapshot_and_nothing_is_touched(world: World, guest: Guest) -> None:
    guest.snapshot("monday")
    guest.add_disk(DiskRequest(Size.parse("1G")))
    before = world.nas.state()
    with pytest.raises(NotFoundError, match="disk2@monday"):
        guest.rollback("monday")
    assert world.nas.state() == before


def test_the_configuration_is_kept_with_the_snapshot_and_comes_back_on_request(world: World, guest: Guest) -> None:
    conf = world.directory / "web1" / "web1.conf"
    then = conf.read_text()
    guest.snapshot("monday")
    conf.write_text(then + 'debug="yes"\n')
    guest.rollback("monday")
    assert conf.read_text() != then
    guest.rollback("monday", configuration=True)
    assert conf.read_text() == then


def test_a_guest_somebody_is_logged_in_to_is_not_rolled_back(
    world: World, guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "SEEN_GONE_WITHIN", 0.0)
    fill(world, guest, OLD)
    guest.snapshot("monday")
    fill(world, guest, NEW)
    world.nas.sessions_now.append(NasSession(BASENAME.child("web1-disk1"), "iqn.1994-09.org.freebsd:hv9", "10.0.0.9"))
    with pytest.raises(BusyError, match="hv9"):
        guest.rollback("monday")
    assert contents(world, guest) == {NEW}
    assert world.site().operations() == ()


def test_a_forgotten_snapshot_is_gone_with_its_configuration(world: World, guest: Guest) -> None:
    guest.snapshot("monday")
    guest.forget_snapshot("monday")
    assert guest.snapshots() == ()
    assert not (world.directory / "web1" / "snapshots" / "monday.conf").exists()


def test_a_snapshot_that_is_not_there_is_not_said_to_be_forgotten(world: World, guest: Guest) -> None:
    guest.snapshot("monday")
    before = world.nas.state()
    with pytest.raises(NotFoundError, match="no snapshot munday"):
        guest.forget_snapshot("munday")
    assert world.nas.state() == before


def test_a_snapshot_that_a_clone_depends_on_is_not_forgotten_nor_begun_to_be(world: World, guest: Guest) -> None:
    guest.snapshot("monday")
    guest.clone("web2", snapshot="monday")
    world.nas.calls.clear()
    with pytest.raises(BusyError, match="disk0@monday: kept by clone tank/vm/web2/disk0"):
        guest.forget_snapshot("monday")
    assert world.nas.count(writes=True) == 0


def test_several_disks_of_a_flat_datastore_cannot_be_kept_at_one_moment(tmp_path: Path) -> None:
    guest = World(tmp_path, "flat").site().datastore().create(web1("1G", "2G"))
    with pytest.raises(RuleError, match="one moment"):
        guest.snapshot("monday")


def test_one_disk_of_a_flat_datastore_can(tmp_path: Path) -> None:
    world = World(tmp_path, "flat")
    guest = world.site().datastore().create(web1())
    fill(world, guest, OLD)
    guest.snapshot("monday")
    fill(world, guest, NEW)
    guest.rollback("monday")
    assert contents(world, guest) == {OLD}


def test_a_configuration_kept_for_a_snapshot_that_is_gone_is_not_taken_for_the_new_ones(
    world: World, guest: Guest
) -> None:
    conf = world.directory / "web1" / "web1.conf"
    guest.snapshot("monday")
    world.nas.delete_snapshot(guest.record().anchor, SnapshotName("monday"), recursive=True)  # by the nas's own task
    conf.write_text(conf.read_text() + 'debug="yes"\n')
    then = conf.read_text()
    guest.snapshot("monday")
    conf.write_text(then + 'cpu_sockets="1"\n')
    guest.rollback("monday", configuration=True)
    assert conf.read_text() == then
