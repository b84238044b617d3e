"""A guest renamed through the SDK: everything of it, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyvmiscsi.errors import AlreadyExistsError, BusyError, ConflictError, InputError, NotFoundError
from pyvmiscsi.model import Extent, NasSession, Target
from pyvmiscsi.names import DatasetPath, Serial
from pyvmiscsi.plan.intent import Intent, intent_marks
from pyvmiscsi.steps import exports
from tests.fakes.nas import BASENAME
from tests.site.worlds import World, web1


@pytest.fixture(params=["nested", "flat"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    world = World(tmp_path, request.param)
    world.site().datastore().create(web1("1G", "2G", mutual=True))
    return world


def test_everything_of_the_guest_has_the_new_name(world: World) -> None:
    datastore = world.site().datastore()
    before = datastore.guest("web1").info()
    renamed = datastore.guest("web1").rename("web2")

    assert str(renamed.name) == "web2"
    assert "web1" not in repr(world.nas.state())
    assert not (world.directory / "web1").exists()
    after = renamed.info()
    assert [disk.target for disk in after.disks] == [f"{BASENAME}:web2-disk0", f"{BASENAME}:web2-disk1"]
    assert after.configuration
    assert after.uuid == before.uuid
    assert [(disk.serial, disk.naa) for disk in after.disks] == [(disk.serial, disk.naa) for disk in before.disks]
    datastore.guest("web2").destroy()
    assert world.nas.count(writes=True)
    assert "web2" not in repr(world.nas.state())


def test_a_guest_renamed_there_and_back_is_what_it_was(world: World) -> None:
    before = world.nas.state()
    guest = world.site().datastore().guest("web1")
    guest.rename("web2").rename("web1")
    assert world.nas.state() == before


def test_volumes_stay_where_datasets_cannot_be_renamed(world: World) -> None:
    world.nas.renames_datasets = False
    datastore = world.site().datastore()
    paths = [disk.volume for disk in datastore.guest("web1").info().disks]
    view = datastore.guest("web1").rename("web2").info()
    assert [disk.volume for disk in view.disks] == paths
    assert [disk.extent for disk in view.disks] == ["web2-disk0", "web2-disk1"]

    another = datastore.create(web1("3G"))
    assert another.info().disks[0].volume not in paths
    assert [guest.name for guest in datastore.guests()] == ["web1", "web2"]


def test_where_another_guests_volumes_stand_it_goes_beside_them(world: World) -> None:
    world.nas.renames_datasets = False
    datastore = world.site().datastore()
    datastore.guest("web1").rename("web2")
    another = datastore.create(web1("3G")).rename("db1")
    world.nas.renames_datasets = True

    uuid = another.record().uuid
    renamed = another.rename("web1")
    assert f"web1-{uuid.hex[:8]}" in str(renamed.record().anchor)
    renamed.destroy()
    datastore.guest("web2").rename("web1")
    assert [str(path) for path in world.nas.contents if "web2" in str(path)] == []


def test_snapshots_and_their_configurations_come_along(world: World) -> None:
    if world.layout == "flat":
        world.site().datastore().guest("web1").destroy()
        world.site().datastore().create(web1())
    guest = world.site().datastore().guest("web1")
    guest.snapshot("monday")
    renamed = guest.rename("web2")
    assert [snapshot.name for snapshot in renamed.snapshots()] == ["monday"]
    renamed.rollback("monday", configuration=True)


@pytest.mark.parametrize("left", ["guest", "target", "extent", "directory", "dataset"])
def test_a_name_that_anything_has_is_refused_before_anything_is_touched(world: World, left: str) -> None:
    datastore = world.site().datastore()
    if left == "guest":
        datastore.guest("web1").rename("web2")
        datastore.create(web1())
    elif left == "target":
        world.nas.create_target(Target(BASENAME.child("web2-disk1"), 1))
    elif left == "extent":
        path = DatasetPath.parse("tank/vm/other")
        world.nas.create_volume(world.volume(path))
        world.nas.create_extent(Extent("web2-disk0", path, Serial.parse("S1")))
    elif left == "directory":
        (world.directory / "web2").mkdir()
        (world.directory / "web2" / "notes").write_text("mine")
    elif world.layout == "nested":
        world.nas.create_dataset(DatasetPath.parse("tank/vm/web2"), {})
    else:
        world.nas.create_volume(world.volume(DatasetPath.parse("tank/vm/web2-disk1")))
    before = world.nas.state()

    with pytest.raises(AlreadyExistsError, match="web2"):
        datastore.guest("web1").rename("web2")

    assert world.nas.state() == before
    assert world.site().operations() == ()


def test_a_volume_that_somebody_else_offers_keeps_the_guest_in_its_place(tmp_path: Path) -> None:
    world = World(tmp_path)
    guest = world.site().datastore().create(web1())
    path = DatasetPath.parse("tank/vm/web1/theirs")
    world.nas.create_volume(world.volume(path))
    world.nas.create_extent(Extent("theirs", path, Serial.parse("S1")))
    with pytest.raises(ConflictError, match="offered by extent theirs"):
        guest.rename("web2")


def test_what_an_unfinished_operation_needs_stays_where_it_is(world: World) -> None:
    datastore = world.site().datastore()
    guest = datastore.guest("web1")
    source = guest.record().disks[0].volume.path
    request = {"disks": [{"origin": f"{source}@monday"}]}
    clone = Intent("c10e", "clone", "web9", request, "root@control", "2026-11-22T11:00:00Z")
    world.nas.change_marks(datastore.record.parent, intent_marks(datastore.record.parent, clone))
    with pytest.raises(BusyError, match="clone web9 is unfinished"):
        guest.rename("web2")


def test_a_clones_source_is_renamed_and_the_snapshot_for_its_sake_still_goes_with_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    source = world.site().datastore().create(web1())
    source.clone("copy")
    source.rename("web2")
    (disk,) = world.site().guest("copy").record().disks
    assert (disk.volume.origin or "").startswith("tank/vm/web2/disk0@")
    world.site().guest("copy").rename("other").destroy()
    assert world.nas.state()["snapshots"] == ()


def test_its_own_name_no_name_or_too_long_a_name_is_refused(world: World) -> None:
    guest = world.site().datastore().guest("web1")
    for name in ("web1", "Web 2", "x" * 58):
        with pytest.raises(InputError):
            guest.rename(name)
    with pytest.raises(NotFoundError):
        world.site().datastore().guest("nobody").rename("web2")


def test_a_guest_that_somebody_has_open_is_not_renamed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "SEEN_GONE_WITHIN", 0.0)
    world.nas.sessions_now.append(NasSession(BASENAME.child("web1-disk1"), "iqn.1994-09.org.freebsd:hv9", "10.0.0.9"))
    before = world.nas.state()
    with pytest.raises(BusyError, match="hv9"):
        world.site().datastore().guest("web1").rename("web2")
    assert world.nas.state() == before


def test_a_preview_names_every_step_and_changes_nothing(world: World) -> None:
    before = world.nas.state()
    preview = world.site().datastore().guest("web1").preview_rename("web2")
    assert preview.no_return is None
    assert any(title.startswith("configuration ") for title, holds in preview.steps if not holds)
    assert world.nas.state() == before
