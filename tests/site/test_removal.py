"""Destroying guests that have snapshots, clones, or disks that are to stay: through the SDK."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyvmiscsi.errors import BusyError, ConflictError, NasRefusedError
from pyvmiscsi.names import DatasetPath, SnapshotName
from pyvmiscsi.site import Guest
from tests.fakes.calls import Call
from tests.site.worlds import World, web1

MONDAY, AUTO = SnapshotName("monday"), SnapshotName("auto-2026-11-22_10-00")


@pytest.fixture(params=["nested", "flat"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World(tmp_path, request.param)


@pytest.fixture
def nested(tmp_path: Path) -> World:
    return World(tmp_path)


def volume_of(guest: Guest, number: int = 0) -> DatasetPath:
    return DatasetPath(guest.info().disks[number].volume)


def test_its_snapshots_go_with_a_guest_whoever_took_them(world: World) -> None:
    before = world.nas.state()
    guest = world.site().datastore().create(web1("1G", "2G"))
    anchor = guest.record().anchor
    world.nas.create_snapshot(anchor, MONDAY, recursive=True)
    world.nas.create_snapshot(volume_of(guest, 1), AUTO)
    assert set(guest.all_snapshots()) == {"monday", str(AUTO)}

    guest.destroy()

    assert world.nas.state() == before
    assert world.site().operations() == ()


def test_what_was_taken_of_all_disks_at_once_goes_in_one_call(nested: World) -> None:
    guest = nested.site().datastore().create(web1("1G", "2G"))
    guest.snapshot("monday")
    nested.nas.calls.clear()
    guest.destroy()
    assert [call.method for call in nested.nas.calls if call.when == "before"].count("delete_snapshot") == 1


def test_a_snapshot_that_a_task_takes_meanwhile_goes_too(world: World) -> None:
    """It comes after the preview, the confirmation, and all that can be taken back."""
    before = world.nas.state()
    guest = world.site().datastore().create(web1("1G", "2G"))
    anchor = guest.record().anchor

    def periodic_task(call: Call) -> None:
        if call.method == "delete_extent" and call.when == "after":
            world.nas.watch = lambda _call: None
            world.nas.create_snapshot(anchor, AUTO, recursive=True)

    world.nas.watch = periodic_task
    guest.destroy()
    assert world.nas.state() == before


def test_one_that_comes_at_the_last_moment_leaves_a_destroy_that_can_be_finished(nested: World) -> None:
    before = nested.nas.state()
    guest = nested.site().datastore().create(web1())
    anchor = guest.record().anchor

    def periodic_task(call: Call) -> None:
        if call.method == "delete_volume" and call.when == "after":
            nested.nas.watch = lambda _call: None
            nested.nas.create_snapshot(anchor, AUTO)

    nested.nas.watch = periodic_task
    with pytest.raises(BusyError, match="ops resume"):
        guest.destroy()
    (unfinished,) = nested.site().operations()
    unfinished.resume()
    assert nested.nas.state() == before


@pytest.mark.parametrize("held", ["by the administrator", "by a clone elsewhere"])
def test_what_keeps_a_snapshot_is_named_before_anything_is_touched(world: World, held: str) -> None:
    guest = world.site().datastore().create(web1())
    path = volume_of(guest)
    taken = world.nas.create_snapshot(path, MONDAY)
    if held == "by the administrator":
        kept = world.nas.kept_as(str(taken))
        assert kept is not None
        kept.holds.append("truenas")
    else:
        world.nas.clone(path, MONDAY, DatasetPath("tank/elsewhere"), {})
    before = world.nas.state()

    for refused in (guest.preview_destroy, guest.destroy):
        with pytest.raises(BusyError, match=r"@monday: kept by (hold truenas|clone tank/elsewhere)") as told:
            refused()
        assert "release" in told.value.hint or "promote" in told.value.hint

    assert world.nas.state() == before
    assert world.site().operations() == ()


def test_a_source_stays_while_it_has_clones_and_the_snapshot_for_a_clones_sake_goes_with_the_clone(
    nested: World,
) -> None:
    guest = nested.site().datastore().create(web1("1G", "2G"))
    before = nested.nas.state()
    guest.clone("web2")
    with pytest.raises(BusyError, match="clone tank/vm/web2/disk0") as told:
        guest.destroy()
    assert told.value.hint == "pyvmiscsi vm promote web2"

    nested.site().guest("web2").destroy()

    assert nested.nas.state() == before
    guest.destroy()


def test_such_a_snapshot_stays_while_another_clone_came_of_it(nested: World) -> None:
    guest = nested.site().datastore().create(web1())
    guest.clone("web2")
    (taken,) = guest.snapshots()
    guest.clone("web3", snapshot=taken.name)

    nested.site().guest("web2").destroy()

    assert [one.name for one in guest.snapshots()] == [taken.name]
    assert nested.site().operations() == ()


def test_something_else_below_its_dataset_is_never_deleted_along(nested: World) -> None:
    guest = nested.site().datastore().create(web1())
    nested.nas.create_dataset(guest.record().anchor.child("notes"), {})
    before = nested.nas.state()
    with pytest.raises(ConflictError, match="tank/vm/web1/notes stands below its dataset"):
        guest.destroy()
    assert nested.nas.state() == before


def test_disks_that_are_kept_stay_with_their_snapshots_and_are_no_guests(world: World) -> None:
    store = world.site().datastore()
    guest = store.create(web1("1G", "2G"))
    paths = [volume_of(guest, number) for number in (0, 1)]
    world.nas.create_snapshot(paths[0], MONDAY)
    world.nas.contents[paths[1]] = b"precious"

    guest.destroy(keep_disks=True)

    state = world.nas.state()
    assert [volume.path for volume in state["volumes"]] == paths  # type: ignore[attr-defined]
    assert world.nas.contents[paths[1]] == b"precious"
    assert state["snapshots"] == (f"{paths[0]}@monday",)
    assert (state["extents"], state["targets"], state["mappings"], state["credentials"]) == ((), (), (), ())
    assert list(world.directory.iterdir()) == []
    assert store.guests() == ()
    assert world.site().operations() == ()


def test_a_new_guest_of_that_name_leaves_kept_disks_alone(world: World) -> None:
    store = world.site().datastore()
    path = volume_of(store.create(web1()))
    world.nas.contents[path] = b"precious"
    store.guest("web1").destroy(keep_disks=True)

    again = store.create(web1())
    assert volume_of(again) != path
    again.destroy()

    assert world.nas.contents == {path: b"precious"}


@pytest.mark.parametrize(
    "call",
    ["delete_target", "delete_extent", "delete_credential", "delete_snapshot", "delete_volume", "delete_dataset"],
)
def test_no_refusal_of_the_nas_is_swallowed_and_a_destroy_is_not_done_before_all_is(nested: World, call: str) -> None:
    before = nested.nas.state()
    guest = nested.site().datastore().create(web1("1G", "2G"))
    guest.snapshot("monday")
    whole = nested.nas.state()

    def refuse(made: Call) -> None:
        if made.method == call and made.when == "before":
            raise NasRefusedError(f"{call}: no")

    nested.nas.watch = refuse
    with pytest.raises(NasRefusedError, match=f"{call}: no"):
        guest.destroy()
    nested.nas.watch = lambda _call: None

    unfinished = nested.site().operations()
    assert bool(unfinished) != (nested.nas.state() == whole), "taken back wholly, or seen as unfinished"
    for operation in unfinished:
        operation.resume()
    if nested.site().datastore().guests():
        nested.site().guest("web1").destroy()
    assert nested.nas.state() == before
