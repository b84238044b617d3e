"""What every nas must do with snapshots, and how volumes grow: subclass `NasSnapshotContract`, give it its fixtures."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

import pytest

from pyvmiscsi.errors import (
    AlreadyExistsError,
    BusyError,
    ConflictError,
    NasRefusedError,
    NasSpaceError,
    NotFoundError,
)
from pyvmiscsi.model import Volume
from pyvmiscsi.names import DatasetPath, SnapshotName
from pyvmiscsi.ports import Nas
from pyvmiscsi.units import Size
from tests.contracts.nas_contract import DISK, GUEST, MARK, OTHER_MARK, VOLUME

MONDAY, TUESDAY, WEDNESDAY = map(SnapshotName, ("monday", "tuesday", "wednesday"))
OTHER_DISK = GUEST.child("disk1")


class Bench(Protocol):
    """What a test does to a nas beside its port: write through a LUN, and what an administrator does by hand."""

    def write(self, volume: DatasetPath, data: bytes) -> None: ...

    def read(self, volume: DatasetPath) -> bytes:
        """The first three bytes."""

    def hold(self, snapshot: str) -> None: ...

    def release(self, snapshot: str) -> None: ...


class NasSnapshotContract:
    """The laws of snapshots. The `nas` fixture is an appliance that has `tank/vm` and nothing in it."""

    @pytest.fixture
    def disk(self, nas: Nas) -> Volume:
        nas.create_dataset(GUEST, {})
        return nas.create_volume(VOLUME)

    # making and finding

    @pytest.mark.usefixtures("disk")
    def test_a_snapshot_is_found_as_it_was_made(self, nas: Nas) -> None:
        before = datetime.now(UTC).replace(microsecond=0)

        made = nas.create_snapshot(DISK, MONDAY, marks={MARK: "web1", OTHER_MARK: "x" * 1024})

        assert (made.path, made.name, str(made)) == (DISK, MONDAY, "tank/vm/web1/disk0@monday")
        assert before <= made.created <= datetime.now(UTC)
        assert {MARK: "web1", OTHER_MARK: "x" * 1024}.items() <= made.marks.items()
        assert nas.find_snapshot(DISK, MONDAY) == made
        assert nas.snapshots(DISK) == (made,)

    @pytest.mark.usefixtures("disk")
    def test_finds_no_snapshot_where_none_is(self, nas: Nas) -> None:
        nas.create_snapshot(DISK, MONDAY)

        assert nas.find_snapshot(DISK, TUESDAY) is None
        assert nas.find_snapshot(OTHER_DISK, MONDAY) is None
        assert nas.snapshots(OTHER_DISK) == ()

    @pytest.mark.usefixtures("disk")
    def test_snapshots_are_listed_oldest_first_whatever_their_names(self, nas: Nas) -> None:
        names = (WEDNESDAY, MONDAY, TUESDAY)
        for name in names:
            nas.create_snapshot(DISK, name)

        assert tuple(snapshot.name for snapshot in nas.snapshots(DISK)) == names

    @pytest.mark.usefixtures("disk")
    def test_a_snapshot_cannot_be_made_twice(self, nas: Nas) -> None:
        nas.create_snapshot(DISK, MONDAY)

        with pytest.raises(AlreadyExistsError):
            nas.create_snapshot(DISK, MONDAY)

    def test_a_snapshot_needs_something_to_be_of(self, nas: Nas) -> None:
        with pytest.raises(NotFoundError):
            nas.create_snapshot(DISK, MONDAY)

    @pytest.mark.usefixtures("disk")
    def test_marks_of_the_volume_are_handed_down_to_its_snapshots(self, nas: Nas) -> None:
        nas.create_snapshot(DISK, MONDAY, marks={OTHER_MARK: "its own"})
        nas.change_marks(DISK, {MARK: "the volume's", OTHER_MARK: "the volume's"})

        (found,) = nas.snapshots(DISK)

        assert found.marks[OTHER_MARK] == "its own"
        assert found.marks.get(MARK, "the volume's") == "the volume's"

    # recursive

    @pytest.mark.usefixtures("disk")
    def test_a_recursive_snapshot_is_of_the_guest_and_all_its_disks(self, nas: Nas) -> None:
        nas.create_volume(replace(VOLUME, path=OTHER_DISK))

        made = nas.create_snapshot(GUEST, MONDAY, marks={MARK: "web1"}, recursive=True)

        assert nas.snapshots(GUEST) == (made,)
        for path in (GUEST, DISK, OTHER_DISK):
            found = nas.find_snapshot(path, MONDAY)
            assert found is not None
            assert found.marks[MARK] == "web1"
            assert found.created == made.created

    @pytest.mark.usefixtures("disk")
    def test_a_recursive_snapshot_is_of_all_or_none(self, nas: Nas) -> None:
        nas.create_snapshot(DISK, MONDAY)

        with pytest.raises(AlreadyExistsError):
            nas.create_snapshot(GUEST, MONDAY, recursive=True)

        assert nas.snapshots(GUEST) == ()

    @pytest.mark.usefixtures("disk")
    def test_a_snapshot_that_is_not_recursive_is_of_one_thing_alone(self, nas: Nas) -> None:
        nas.create_snapshot(GUEST, MONDAY)

        assert nas.find_snapshot(DISK, MONDAY) is None

    @pytest.mark.usefixtures("disk")
    def test_a_recursive_delete_takes_all_of_the_name_and_no_other(self, nas: Nas) -> None:
        nas.create_snapshot(GUEST, MONDAY, recursive=True)
        nas.create_snapshot(GUEST, TUESDAY, recursive=True)

        nas.delete_snapshot(GUEST, MONDAY, recursive=True)

        for path in (GUEST, DISK):
            assert [snapshot.name for snapshot in nas.snapshots(path)] == [TUESDAY]

    @pytest.mark.usefixtures("disk")
    def test_a_recursive_delete_takes_all_or_none(self, nas: Nas, bench: Bench) -> None:
        nas.create_volume(replace(VOLUME, path=OTHER_DISK))
        nas.create_snapshot(GUEST, MONDAY, recursive=True)
        bench.hold(f"{OTHER_DISK}@{MONDAY}")

        with pytest.raises(BusyError, match="hold truenas"):
            nas.delete_snapshot(GUEST, MONDAY, recursive=True)

        for path in (GUEST, DISK, OTHER_DISK):
            assert nas.find_snapshot(path, MONDAY) is not None
        bench.release(f"{OTHER_DISK}@{MONDAY}")

    # deleting

    @pytest.mark.usefixtures("disk")
    def test_a_deleted_snapshot_is_gone(self, nas: Nas) -> None:
        nas.create_snapshot(DISK, MONDAY)

        nas.delete_snapshot(DISK, MONDAY)

        assert nas.find_snapshot(DISK, MONDAY) is None
        assert nas.snapshots(DISK) == ()

    @pytest.mark.usefixtures("disk")
    def test_deleting_no_snapshot_is_no_error(self, nas: Nas) -> None:
        nas.delete_snapshot(DISK, MONDAY)
        nas.delete_snapshot(GUEST, MONDAY, recursive=True)
        nas.delete_snapshot(OTHER_DISK, MONDAY)

    @pytest.mark.usefixtures("disk")
    def test_a_held_snapshot_is_kept_and_the_hold_named(self, nas: Nas, bench: Bench) -> None:
        nas.create_snapshot(DISK, MONDAY)
        bench.hold(f"{DISK}@{MONDAY}")

        with pytest.raises(BusyError, match="hold truenas"):
            nas.delete_snapshot(DISK, MONDAY)

        assert nas.find_snapshot(DISK, MONDAY) is not None
        bench.release(f"{DISK}@{MONDAY}")
        nas.delete_snapshot(DISK, MONDAY)
        assert nas.find_snapshot(DISK, MONDAY) is None

    @pytest.mark.usefixtures("disk")
    def test_what_has_snapshots_is_not_deleted(self, nas: Nas) -> None:
        nas.create_snapshot(GUEST, MONDAY, recursive=True)

        with pytest.raises(BusyError):
            nas.delete_volume(DISK)

        nas.delete_snapshot(DISK, MONDAY)
        nas.delete_volume(DISK)
        with pytest.raises(BusyError):
            nas.delete_dataset(GUEST)

        assert nas.find_dataset(GUEST) is not None

    # rollback

    @pytest.mark.usefixtures("disk")
    def test_a_rollback_brings_back_what_was_there(self, nas: Nas, bench: Bench) -> None:
        bench.write(DISK, b"old")
        nas.create_snapshot(DISK, MONDAY)
        bench.write(DISK, b"new")

        nas.rollback(DISK, MONDAY)

        assert bench.read(DISK) == b"old"
        assert nas.find_snapshot(DISK, MONDAY) is not None

    @pytest.mark.usefixtures("disk")
    def test_a_rollback_brings_back_the_size_too(self, nas: Nas) -> None:
        nas.create_snapshot(DISK, MONDAY)
        nas.grow_volume(DISK, Size.parse("128M"))

        nas.rollback(DISK, MONDAY)

        found = nas.find_volume(DISK)
        assert found is not None
        assert found.size == VOLUME.size

    @pytest.mark.usefixtures("disk")
    def test_a_rollback_goes_to_the_newest_only_and_names_those_in_the_way(self, nas: Nas, bench: Bench) -> None:
        for name, data in ((MONDAY, b"mon"), (TUESDAY, b"tue"), (WEDNESDAY, b"wed")):
            bench.write(DISK, data)
            nas.create_snapshot(DISK, name)

        with pytest.raises(ConflictError, match="newer ones, tuesday, wednesday"):
            nas.rollback(DISK, MONDAY)

        assert bench.read(DISK) == b"wed"
        assert len(nas.snapshots(DISK)) == 3

    @pytest.mark.usefixtures("disk")
    def test_a_rollback_to_nothing_is_refused(self, nas: Nas) -> None:
        with pytest.raises(NotFoundError):
            nas.rollback(DISK, MONDAY)

    @pytest.mark.usefixtures("disk")
    def test_a_rollback_leaves_what_lies_below(self, nas: Nas, bench: Bench) -> None:
        nas.create_snapshot(GUEST, MONDAY, recursive=True)
        bench.write(DISK, b"new")

        nas.rollback(GUEST, MONDAY)

        assert bench.read(DISK) == b"new"

    # growth

    def test_a_volume_grows_and_keeps_what_it_is(self, nas: Nas, bench: Bench) -> None:
        nas.create_dataset(GUEST, {})
        made = nas.create_volume(replace(VOLUME, marks={MARK: "web1"}))
        bench.write(DISK, b"old")

        grown = nas.grow_volume(DISK, Size.parse("128M"))

        assert replace(grown, used=None) == replace(made, size=Size.parse("128M"), used=None)
        found = nas.find_volume(DISK)
        assert found is not None
        assert found.size == Size.parse("128M")
        assert bench.read(DISK) == b"old"

    def test_a_thick_volume_stays_thick_when_it_grows(self, nas: Nas) -> None:
        nas.create_dataset(GUEST, {})
        nas.create_volume(replace(VOLUME, thick=True))

        assert nas.grow_volume(DISK, Size.parse("128M")).thick

        with pytest.raises(NasSpaceError):
            nas.grow_volume(DISK, Size.parse("900T"))

    @pytest.mark.usefixtures("disk")
    def test_a_sparse_volume_may_grow_beyond_the_pool(self, nas: Nas) -> None:
        assert nas.grow_volume(DISK, Size.parse("1T")).size == Size.parse("1T")

    @pytest.mark.usefixtures("disk")
    def test_a_volume_never_becomes_smaller(self, nas: Nas) -> None:
        with pytest.raises(ConflictError, match="smaller"):
            nas.grow_volume(DISK, Size.parse("32M"))

        found = nas.find_volume(DISK)
        assert found is not None
        assert found.size == VOLUME.size

    @pytest.mark.usefixtures("disk")
    def test_a_volume_grows_by_whole_blocks(self, nas: Nas) -> None:
        with pytest.raises(NasRefusedError):
            nas.grow_volume(DISK, Size(VOLUME.size.bytes + 512))

    def test_what_is_not_there_cannot_grow(self, nas: Nas) -> None:
        with pytest.raises(NotFoundError):
            nas.grow_volume(DISK, VOLUME.size)
