"""Guests parked, brought back and let go, through the SDK."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pyvmiscsi.errors import AlreadyExistsError, BusyError, ConflictError, InputError, NotFoundError
from pyvmiscsi.model import NasSession, Target
from pyvmiscsi.names import DatasetPath, SnapshotName
from pyvmiscsi.site import trash
from pyvmiscsi.site.trash import Trash
from pyvmiscsi.steps import exports
from tests.fakes.nas import BASENAME
from tests.site.worlds import World, web1


class Later(datetime):
    """A clock a year ahead."""

    @classmethod
    def now(cls, _zone: object = None) -> datetime:  # type: ignore[override]  # one zone is asked for
        return datetime.now(UTC).replace(year=datetime.now(UTC).year + 1, day=1)


@pytest.fixture(params=["nested", "flat"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    world = World(tmp_path, request.param)
    world.site().datastore().create(web1("1G", "2G"))
    for path in world.nas.contents:
        world.nas.contents[path] = f"written to {path}".encode()
    return world


def bin_of(world: World) -> Trash:
    return world.site().trash()


def test_a_parked_guest_is_out_of_the_way_and_comes_back_as_it_was(world: World) -> None:
    datastore = world.site().datastore()
    before, contents = datastore.guest("web1").info(), dict(world.nas.contents)
    label = datastore.guest("web1").park(7)

    assert datastore.guests() == ()
    (view,) = (guest.view() for guest in bin_of(world).parked())
    assert (view.label, view.guest, view.expired, view.size_text) == (label, "web1", False, "3G")
    assert world.nas.state()["targets"] == ()

    restored = bin_of(world).find("web1").restore()
    after = restored.info()
    assert [(disk.name, disk.serial, disk.volume, disk.lun) for disk in after.disks] == [
        (disk.name, disk.serial, disk.volume, disk.lun) for disk in before.disks
    ]
    assert (after.uuid, after.cpu, after.memory) == (before.uuid, before.cpu, before.memory)
    assert world.nas.contents == contents
    assert bin_of(world).parked() == ()
    assert sorted(path.name for path in world.directory.iterdir()) == ["web1"]


def test_a_restored_guest_has_a_new_secret(world: World) -> None:
    guest = world.site().datastore().guest("web1")
    tag = guest.record().chap_tag or 0
    (before,) = world.nas.find_credentials(tag=tag)
    guest.park(7)
    assert world.nas.find_credentials(tag=tag) == ()
    bin_of(world).find("web1").restore()
    (after,) = world.nas.find_credentials(tag=tag)
    assert after.user == "web1"
    assert after.secret.reveal() != before.secret.reveal()


def test_its_name_is_free_and_it_comes_back_under_another(world: World) -> None:
    datastore = world.site().datastore()
    datastore.guest("web1").park(7)
    another = datastore.create(web1("3G"))
    before = world.nas.state()
    with pytest.raises(AlreadyExistsError, match="guest web1"):
        bin_of(world).find("web1").restore()
    assert world.nas.state() == before

    restored = bin_of(world).find("web1").restore("web2")
    assert [disk.size_text for disk in restored.info().disks] == ["1G", "2G"]
    another.destroy()
    restored.destroy()
    assert "web" not in repr(world.nas.state())
    assert list(world.directory.iterdir()) == []


def test_two_of_one_name_are_told_apart_by_their_labels(world: World) -> None:
    datastore = world.site().datastore()
    first = datastore.guest("web1").park(7)
    second = datastore.create(web1("3G")).park(1)
    with pytest.raises(ConflictError, match=f"{second}.*{first}"):
        bin_of(world).find("web1")
    assert bin_of(world).find(second).restore().info().disks[0].size_text == "3G"
    assert bin_of(world).find("web1").label == first


def test_what_is_let_go_leaves_nothing(world: World) -> None:
    guest = world.site().datastore().guest("web1")
    anchor = guest.record().anchor
    guest.park(7)
    world.nas.create_snapshot(anchor, SnapshotName("nightly"), recursive=True)
    bin_of(world).find("web1").empty()
    assert "web1" not in repr(world.nas.state())
    assert world.nas.contents == {}
    assert list(world.directory.iterdir()) == []


def test_what_a_clone_came_from_is_not_let_go(world: World) -> None:
    guest = world.site().datastore().guest("web1")
    record = guest.record()
    guest.park(7)
    name = SnapshotName("nightly")
    world.nas.create_snapshot(record.anchor, name, recursive=True)
    world.nas.clone(record.disks[0].volume.path, name, DatasetPath.parse("tank/vm/other"), {})
    before = world.nas.state()
    with pytest.raises(BusyError, match="tank/vm/other"):
        bin_of(world).find("web1").empty()
    assert world.nas.state() == before
    assert bin_of(world).find("web1").restore().exists()


def test_days_pass(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.site().datastore().guest("web1").park(1)
    assert not bin_of(world).find("web1").is_expired
    monkeypatch.setattr(trash, "datetime", Later)
    assert bin_of(world).find("web1").is_expired


def test_a_disk_that_somebody_has_is_not_parked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "SEEN_GONE_WITHIN", 0.0)
    world.nas.sessions_now.append(NasSession(BASENAME.child("web1-disk1"), "iqn.1994-09.org.freebsd:hv9", "10.0.0.9"))
    before = world.nas.state()
    with pytest.raises(BusyError, match="hv9"):
        world.site().datastore().guest("web1").park(7)
    assert world.nas.state() == before


@pytest.mark.parametrize("left", ["target", "directory"])
def test_what_bears_its_name_by_now_is_named_and_left_alone(world: World, left: str) -> None:
    world.site().datastore().guest("web1").park(7)
    if left == "target":
        world.nas.create_target(Target(BASENAME.child("web1-disk1"), 1))
    else:
        (world.directory / "web1").mkdir()
        (world.directory / "web1" / "notes").write_text("mine")
    before = world.nas.state()
    with pytest.raises(AlreadyExistsError, match="web1"):
        bin_of(world).find("web1").restore()
    assert world.nas.state() == before


def test_a_guest_without_a_configuration_can_be_parked_and_restored(world: World) -> None:
    for file in (world.directory / "web1").iterdir():
        file.unlink()
    (world.directory / "web1").rmdir()
    world.site().datastore().guest("web1").park(7)
    assert len(bin_of(world).find("web1").restore().record().disks) == 2


def test_unknown_guests_and_no_days_are_refused(world: World) -> None:
    with pytest.raises(NotFoundError, match="not in the trash"):
        bin_of(world).find("web1")
    for days in (0, -1, 10**9):
        with pytest.raises(InputError):
            world.site().datastore().guest("web1").park(days)


def test_previews_change_nothing(world: World) -> None:
    guest = world.site().datastore().guest("web1")
    before = world.nas.state()
    assert (guest.preview_park(7).no_return or "").startswith("no extent")
    assert world.nas.state() == before
    guest.park(7)
    before = world.nas.state()
    parked = bin_of(world).find("web1")
    assert parked.preview_restore("web2").no_return is None
    assert parked.preview_empty().no_return == "end of parked guest web1 announced"
    assert world.nas.state() == before


def test_a_volume_that_took_a_parked_disks_place_is_not_let_go_with_it(world: World) -> None:
    guest = world.site().datastore().guest("web1")
    path = guest.record().disks[1].volume.path
    guest.park(7)
    world.nas.delete_volume(path)
    world.nas.create_volume(world.volume(path))
    before = world.nas.state()
    with pytest.raises(ConflictError, match="is no disk of it"):
        world.site().trash().find("web1").empty()
    assert world.nas.state() == before
