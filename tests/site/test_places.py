"""Marks decide whose volumes are whose, not the paths at which they stand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pyvmiscsi.errors import ConflictError
from pyvmiscsi.names import DatasetPath, GuestName
from pyvmiscsi.operations.guests import TRASH
from pyvmiscsi.plan.intent import Intent, intent_marks, mark
from tests.site.worlds import World, web1

DB1 = GuestName.parse("db1")


@pytest.fixture(params=["nested", "flat"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World(tmp_path, request.param)


def call_it_db1(world: World) -> None:
    """What a rename leaves where volumes cannot be moved: web1's volumes, and everything else named db1."""
    datastore = world.site().datastore()
    guest = datastore.guest("web1").record()
    world.nas.change_marks(guest.anchor, replace(guest.mark, guest=DB1).as_marks(guest.anchor))
    for disk in guest.disks:
        assert disk.extent and disk.target
        world.nas.change_extent(disk.extent.name, new_name=disk.name.of(DB1))
        world.nas.rename_target(disk.target.iqn, datastore.record.target_of(DB1, disk.name))
    (world.directory / "web1" / "web1.conf").rename(world.directory / "web1" / "db1.conf")
    (world.directory / "web1").rename(world.directory / "db1")


def test_a_guest_is_found_under_the_name_its_mark_says(world: World) -> None:
    datastore = world.site().datastore()
    datastore.create(web1("1G", "2G"))
    call_it_db1(world)

    assert not datastore.guest("web1").exists()
    view = datastore.guest("db1").info()
    assert [disk.extent for disk in view.disks] == ["db1-disk0", "db1-disk1"]
    assert "/web1" in view.disks[0].volume


def test_a_new_guest_of_the_old_name_gets_volumes_beside_and_both_go_without_a_trace(world: World) -> None:
    datastore = world.site().datastore()
    datastore.create(web1("1G", "2G"))
    call_it_db1(world)

    created = datastore.create(web1("3G")).record()

    assert f"web1-{created.uuid.hex[:8]}" in str(created.anchor)
    assert datastore.create(web1("3G")).record() == created, "the same request again finds it"
    datastore.guest("web1").destroy()
    assert [disk.size_text for disk in datastore.guest("db1").info().disks] == ["1G", "2G"]
    datastore.guest("db1").destroy()
    assert datastore.guests() == ()


def test_a_new_guest_of_a_name_in_the_trash_gets_volumes_beside(world: World) -> None:
    datastore = world.site().datastore()
    anchor = datastore.create(web1()).record().anchor
    datastore.guest("web1").destroy()
    where = DatasetPath.parse(str(anchor))
    if world.layout == "nested":
        world.nas.create_dataset(where, mark(where, TRASH, {"guest": "web1"}))
    else:
        world.nas.create_volume(replace(world.volume(where), marks=mark(where, TRASH, {"guest": "web1"})))

    assert datastore.create(web1()).record().anchor != anchor


def test_a_dataset_that_is_no_guests_keeps_its_name(world: World) -> None:
    where = world.site().datastore().record.anchor_of("web1")
    if world.layout == "nested":
        world.nas.create_dataset(where, {})
    else:
        world.nas.create_volume(world.volume(where))

    with pytest.raises(ConflictError, match="is no guest's"):
        world.site().datastore().create(web1())


def test_an_operation_kept_on_the_datastores_parent_is_seen(world: World) -> None:
    parent = world.site().datastore().record.parent
    intent = Intent("c10e", "snapshot", "web1", {}, "root@control", "2026-11-22T11:00:00Z")
    world.nas.change_marks(parent, intent_marks(parent, intent))

    assert [pending.intent.id for pending in world.site().operations()] == ["c10e"]
