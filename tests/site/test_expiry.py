"""Snapshots that expire: told, pruned for good, and never anybody else's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from pyvmiscsi.errors import NasUnreachableError
from pyvmiscsi.names import DatasetPath, SnapshotName
from pyvmiscsi.site import Guest
from pyvmiscsi.steps.snapshots import Expiry
from tests.fakes.calls import Call
from tests.site.worlds import World, web1

LONG_AGO = timedelta(days=-1)


@pytest.fixture(params=["nested", "flat"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World(tmp_path, request.param)


@pytest.fixture
def guest(world: World) -> Guest:
    return world.site().datastore().create(web1())


def names(guest: Guest) -> list[str]:
    return [one.name for one in guest.snapshots()]


def test_a_snapshot_tells_when_it_may_go(guest: Guest) -> None:
    guest.snapshot("kept-a-week", keep=timedelta(days=7))
    guest.snapshot("kept")
    week, ever = guest.snapshots()
    assert week.expires is not None
    assert timedelta(days=6, hours=23) < datetime.fromisoformat(week.expires) - datetime.now(UTC) <= timedelta(days=7)
    assert ever.expires is None


def test_only_what_has_expired_is_pruned_with_its_configuration(world: World, guest: Guest) -> None:
    guest.snapshot("old", keep=LONG_AGO)
    guest.snapshot("young", keep=timedelta(hours=1))
    guest.snapshot("ours")
    world.nas.create_snapshot(guest.record().anchor, SnapshotName("auto"), recursive=True)

    assert [one.name for one in guest.prune_snapshots(dry_run=True)] == ["old"]
    assert names(guest) == ["old", "young", "ours", "auto"]
    (gone,) = guest.prune_snapshots()

    assert (gone.name, gone.kept_by) == ("old", ())
    assert names(guest) == ["young", "ours", "auto"]
    assert not any("@old" in str(name) for name in world.nas.state()["snapshots"])
    assert not (world.directory / "web1" / "snapshots" / "old.conf").exists()
    assert guest.prune_snapshots() == ()
    assert world.site().operations() == ()


@pytest.mark.parametrize("keeper", ["hold truenas", "clone tank/elsewhere"])
def test_what_is_kept_stays_and_the_others_go(world: World, guest: Guest, keeper: str) -> None:
    volume = DatasetPath(guest.info().disks[0].volume)
    for name in ("held", "free"):
        guest.snapshot(name, keep=LONG_AGO)
    if keeper.startswith("hold"):
        kept = world.nas.kept_as(f"{volume}@held")
        assert kept is not None
        kept.holds.append("truenas")
    else:
        world.nas.clone(volume, SnapshotName("held"), DatasetPath("tank/elsewhere"), {})

    pruned = {one.name: one.kept_by for one in guest.prune_snapshots()}

    assert pruned == {"held": (keeper,), "free": ()}
    assert names(guest) == ["held"]


def test_another_guests_expiry_is_not_this_ones(world: World, guest: Guest) -> None:
    """As after a promotion, which gives a guest the snapshots of another."""
    anchor, expiry = guest.record().anchor, Expiry(uuid4(), datetime.now(UTC) + LONG_AGO)
    world.nas.create_snapshot(anchor, SnapshotName("inherited"), marks=expiry.as_marks(anchor))
    assert guest.prune_snapshots() == ()
    assert [one.expires for one in guest.snapshots()] == [None]


def test_an_expiry_moves_with_a_renamed_guest(world: World, guest: Guest) -> None:
    guest.snapshot("old", keep=LONG_AGO)
    guest.rename("web2")
    renamed = world.site().guest("web2")
    assert [one.name for one in renamed.prune_snapshots()] == ["old"]
    assert names(renamed) == []


def test_a_prune_that_was_cut_short_is_finished(world: World, guest: Guest) -> None:
    guest.snapshot("old", keep=LONG_AGO)

    def away(call: Call) -> None:
        if call.method == "delete_snapshot" and call.when == "before":
            raise NasUnreachableError("nas1: no connection")

    world.nas.watch = away
    with pytest.raises(NasUnreachableError):
        guest.prune_snapshots()
    world.nas.watch = lambda _call: None
    (unfinished,) = world.site().operations()
    unfinished.resume()
    assert names(guest) == []
    assert not (world.directory / "web1" / "snapshots" / "old.conf").exists()
