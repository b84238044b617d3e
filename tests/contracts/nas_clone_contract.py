"""What every nas must do with clones, promotion and new names: subclass `NasCloneContract`, give it its fixtures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyvmiscsi.errors import (
    AlreadyExistsError,
    BusyError,
    ConflictError,
    NasRefusedError,
    NotFoundError,
    UnsupportedError,
)
from pyvmiscsi.model import Mapping, Target, Volume
from pyvmiscsi.names import DatasetPath, Iqn, Lun, SnapshotName
from pyvmiscsi.ports import Nas
from pyvmiscsi.units import Size
from tests.contracts.nas_contract import DISK, EXTENT, GUEST, MARK, OTHER_MARK, PARENT, VOLUME
from tests.contracts.nas_snapshot_contract import MONDAY, TUESDAY, WEDNESDAY, Bench

OTHER_GUEST = PARENT.child("web2")
CLONE = OTHER_GUEST.child("disk0")
MARKS = {MARK: "web2", OTHER_MARK: "x" * 1024}


def volume(nas: Nas, path: DatasetPath) -> Volume:
    found = nas.find_volume(path)
    assert found is not None, path
    return found


def names(nas: Nas, path: DatasetPath) -> list[SnapshotName]:
    return [snapshot.name for snapshot in nas.snapshots(path)]


class NasCloneContract:
    """The laws of clones and of renaming. The `nas` fixture is an appliance with `tank/vm` and nothing in it."""

    @pytest.fixture
    def source(self, nas: Nas, bench: Bench) -> Volume:
        """A disk with something on it, and place for another guest's."""
        nas.create_dataset(GUEST, {})
        nas.create_dataset(OTHER_GUEST, {})
        made = nas.create_volume(replace(VOLUME, marks={MARK: "web1"}, block_size=Size(8192)))
        bench.write(DISK, b"old")
        return made

    @pytest.fixture
    def clone(self, nas: Nas, source: Volume) -> Volume:
        nas.create_snapshot(source.path, MONDAY)
        return nas.clone(source.path, MONDAY, CLONE, MARKS)

    @pytest.fixture
    def exported(self, nas: Nas, source: Volume) -> Mapping:  # noqa: ARG002 - it is there to be exported
        target = nas.create_target(Target(nas.basename().child("web1-disk0"), portal_group=1))
        nas.create_extent(EXTENT)
        return nas.create_mapping(Mapping(target.iqn, EXTENT.name, Lun(1)))

    # clones

    def test_a_clone_begins_as_the_snapshot_was(self, nas: Nas, bench: Bench, source: Volume) -> None:
        nas.create_snapshot(DISK, MONDAY)
        bench.write(DISK, b"new")
        nas.grow_volume(DISK, Size.parse("128M"))

        made = nas.clone(DISK, MONDAY, CLONE, MARKS)

        assert bench.read(CLONE) == b"old"
        assert (made.path, made.size, made.block_size, made.thick) == (CLONE, source.size, source.block_size, False)
        assert made.origin == f"{DISK}@{MONDAY}"
        assert replace(volume(nas, CLONE), used=None) == replace(made, used=None)

    def test_a_clone_has_the_marks_it_was_made_with_and_not_those_of_its_source(self, clone: Volume) -> None:
        assert dict(clone.marks) == MARKS

    @pytest.mark.usefixtures("clone")
    def test_a_clone_and_its_source_go_separate_ways(self, nas: Nas, bench: Bench) -> None:
        bench.write(DISK, b"one")
        bench.write(CLONE, b"two")

        assert (bench.read(DISK), bench.read(CLONE)) == (b"one", b"two")
        nas.rollback(DISK, MONDAY)
        assert (bench.read(DISK), bench.read(CLONE)) == (b"old", b"two")

    @pytest.mark.usefixtures("clone")
    def test_a_clone_of_a_thick_volume_is_sparse(self, nas: Nas) -> None:
        thick = nas.create_volume(replace(VOLUME, path=GUEST.child("disk1"), thick=True))
        nas.create_snapshot(thick.path, MONDAY)

        assert not nas.clone(thick.path, MONDAY, OTHER_GUEST.child("disk1"), {}).thick

    @pytest.mark.usefixtures("clone")
    def test_a_clone_is_not_made_where_something_is(self, nas: Nas, bench: Bench) -> None:
        bench.write(CLONE, b"two")

        with pytest.raises(AlreadyExistsError):
            nas.clone(DISK, MONDAY, CLONE, {})

        assert bench.read(CLONE) == b"two"
        assert volume(nas, CLONE).marks[MARK] == "web2"

    @pytest.mark.usefixtures("source")
    def test_a_clone_needs_a_snapshot(self, nas: Nas) -> None:
        with pytest.raises(NotFoundError):
            nas.clone(DISK, MONDAY, CLONE, {})

        assert nas.find_volume(CLONE) is None

    @pytest.mark.usefixtures("clone")
    def test_a_snapshot_with_clones_is_kept_and_they_are_named(self, nas: Nas) -> None:
        nas.clone(DISK, MONDAY, GUEST.child("disk1"), {})

        with pytest.raises(BusyError, match=r"clone tank/vm/web1/disk1, clone tank/vm/web2/disk0"):
            nas.delete_snapshot(DISK, MONDAY)

        assert names(nas, DISK) == [MONDAY]
        nas.delete_volume(GUEST.child("disk1"))
        nas.delete_volume(CLONE)
        nas.delete_snapshot(DISK, MONDAY)
        assert names(nas, DISK) == []

    @pytest.mark.usefixtures("clone")
    def test_what_keeps_snapshots_is_told_before_anybody_tries(self, nas: Nas, bench: Bench) -> None:
        nas.create_snapshot(GUEST, TUESDAY, recursive=True)
        bench.hold(f"{GUEST}@{TUESDAY}")

        keepers = nas.snapshot_keepers((GUEST, DISK, CLONE))

        assert keepers == {f"{DISK}@{MONDAY}": (f"clone {CLONE}",), f"{GUEST}@{TUESDAY}": ("hold truenas",)}
        bench.release(f"{GUEST}@{TUESDAY}")
        assert nas.snapshot_keepers((GUEST, CLONE)) == {}

    @pytest.mark.usefixtures("source")
    def test_a_recursive_delete_names_the_clones_of_what_lies_below(self, nas: Nas) -> None:
        nas.create_snapshot(GUEST, MONDAY, recursive=True)
        nas.clone(DISK, MONDAY, CLONE, {})

        with pytest.raises(BusyError, match="clone tank/vm/web2/disk0"):
            nas.delete_snapshot(GUEST, MONDAY, recursive=True)

        assert names(nas, GUEST) == names(nas, DISK) == [MONDAY]

    @pytest.mark.usefixtures("clone")
    def test_what_has_clones_is_not_deleted(self, nas: Nas, bench: Bench) -> None:
        with pytest.raises(BusyError):
            nas.delete_volume(DISK)

        assert bench.read(CLONE) == b"old"

    @pytest.mark.usefixtures("clone")
    def test_the_inventory_shows_origins(self, nas: Nas) -> None:
        origins = {found.path: found.origin for found in nas.inventory(PARENT).volumes}

        assert origins == {DISK: None, CLONE: f"{DISK}@{MONDAY}"}

    # promotion

    def test_promotion_turns_parent_and_clone_round(self, nas: Nas, bench: Bench, source: Volume) -> None:
        for name in (MONDAY, TUESDAY, WEDNESDAY):
            nas.create_snapshot(source.path, name)
        nas.clone(DISK, TUESDAY, CLONE, MARKS)

        nas.promote(CLONE)

        assert (volume(nas, DISK).origin, volume(nas, CLONE).origin) == (f"{CLONE}@{TUESDAY}", None)
        assert names(nas, CLONE) == [MONDAY, TUESDAY]
        assert names(nas, DISK) == [WEDNESDAY]
        assert nas.find_snapshot(DISK, MONDAY) is None
        assert nas.find_snapshot(CLONE, MONDAY) is not None
        assert volume(nas, CLONE).marks[MARK] == "web2"
        assert (bench.read(DISK), bench.read(CLONE)) == (b"old", b"old")

    @pytest.mark.usefixtures("clone")
    def test_after_promotion_the_source_can_go(self, nas: Nas, bench: Bench) -> None:
        nas.promote(CLONE)

        nas.delete_volume(DISK)
        nas.delete_snapshot(CLONE, MONDAY)

        assert nas.find_volume(DISK) is None
        assert bench.read(CLONE) == b"old"

    @pytest.mark.usefixtures("clone")
    def test_other_clones_follow_the_snapshot_they_came_of(self, nas: Nas) -> None:
        other = nas.clone(DISK, MONDAY, OTHER_GUEST.child("disk1"), {})

        nas.promote(CLONE)

        assert volume(nas, other.path).origin == f"{CLONE}@{MONDAY}"

    @pytest.mark.usefixtures("source")
    def test_what_is_no_clone_is_not_promoted(self, nas: Nas) -> None:
        with pytest.raises(ConflictError):
            nas.promote(DISK)
        with pytest.raises(NotFoundError):
            nas.promote(CLONE)

    @pytest.mark.usefixtures("clone")
    def test_a_clone_with_a_snapshot_of_the_same_name_is_not_promoted(self, nas: Nas) -> None:
        nas.create_snapshot(CLONE, MONDAY)

        with pytest.raises(ConflictError):
            nas.promote(CLONE)

        assert volume(nas, CLONE).origin == f"{DISK}@{MONDAY}"

    # another name: datasets

    @pytest.mark.usefixtures("clone")
    def test_a_renamed_dataset_moves_with_all_below(self, nas: Nas, bench: Bench) -> None:
        """Or it stays as it is, and the error says which release can: a caller then works around the old name."""
        nas.change_marks(GUEST, {OTHER_MARK: "rename"})
        new, moved = PARENT.child("db1"), PARENT.child("db1").child("disk0")

        if not nas.capabilities().rename_dataset:
            with pytest.raises(UnsupportedError):
                nas.rename_dataset(GUEST, new)
            assert bench.read(DISK) == b"old"
            return
        nas.rename_dataset(GUEST, new)

        assert nas.find_dataset(GUEST) is None
        assert nas.find_volume(DISK) is None
        found = nas.find_dataset(new)
        assert found is not None
        assert found.marks[OTHER_MARK] == "rename"
        assert bench.read(moved) == b"old"
        assert volume(nas, moved).marks[MARK] == "web1"
        assert (names(nas, DISK), names(nas, moved)) == ([], [MONDAY])
        assert volume(nas, CLONE).origin == f"{moved}@{MONDAY}"

    @pytest.mark.usefixtures("source")
    def test_a_rename_to_a_name_that_is_taken_or_of_nothing_is_refused(self, nas: Nas) -> None:
        if not nas.capabilities().rename_dataset:
            return
        with pytest.raises(AlreadyExistsError):
            nas.rename_dataset(GUEST, OTHER_GUEST)
        with pytest.raises(NotFoundError):
            nas.rename_dataset(PARENT.child("none"), PARENT.child("db1"))

        assert nas.find_volume(DISK) is not None

    def test_extents_of_a_renamed_volume_go_on_naming_the_old_place_until_told(
        self, nas: Nas, bench: Bench, exported: Mapping
    ) -> None:
        if not nas.capabilities().rename_dataset:
            return
        moved = OTHER_GUEST.child("disk0")
        nas.rename_dataset(DISK, moved)
        assert [extent.volume for extent in nas.extents_of(DISK)] == [DISK]
        assert nas.extents_of(moved) == ()

        changed = nas.change_extent(EXTENT.name, volume=moved, new_name="web2-disk0", comment="org.pyvmiscsi web2")

        assert replace(changed, naa=None) == replace(
            EXTENT, name="web2-disk0", volume=moved, comment="org.pyvmiscsi web2"
        )
        assert nas.extents_of(DISK) == ()
        assert nas.extents_of(moved) == (changed,)
        assert nas.find_mapping(exported.target, "web2-disk0") == replace(exported, extent="web2-disk0")
        assert bench.read(moved) == b"old"

    # another name: extents

    def test_an_extent_keeps_its_serial_naa_and_mapping_under_another_name(self, nas: Nas, exported: Mapping) -> None:
        before = nas.find_extent(EXTENT.name)
        assert before is not None
        assert nas.find_mapping(exported.target, EXTENT.name) == exported

        changed = nas.change_extent(EXTENT.name, new_name="web2-disk0")

        assert changed == replace(before, name="web2-disk0")
        assert nas.find_extent(EXTENT.name) is None
        assert nas.find_extent("web2-disk0") == changed
        assert nas.find_mapping(exported.target, EXTENT.name) is None
        assert nas.find_mapping(exported.target, "web2-disk0") == replace(exported, extent="web2-disk0")

    @pytest.mark.usefixtures("exported")
    def test_an_extents_comment_changes_alone(self, nas: Nas) -> None:
        before = nas.find_extent(EXTENT.name)
        assert before is not None

        assert nas.change_extent(EXTENT.name, comment="") == replace(before, comment="")
        assert nas.find_extent(EXTENT.name) == replace(before, comment="")

    @pytest.mark.usefixtures("exported", "clone")
    def test_an_extent_can_be_given_another_volume(self, nas: Nas) -> None:
        changed = nas.change_extent(EXTENT.name, volume=CLONE)

        assert changed.volume == CLONE
        assert nas.extents_of(CLONE) == (changed,)
        assert nas.extents_of(DISK) == ()

    @pytest.mark.usefixtures("exported")
    def test_an_extent_is_not_given_a_volume_that_is_not_there(self, nas: Nas) -> None:
        with pytest.raises(NasRefusedError):
            nas.change_extent(EXTENT.name, volume=CLONE)

        assert nas.extents_of(DISK) != ()

    @pytest.mark.usefixtures("exported", "clone")
    def test_an_extent_is_not_given_a_name_that_is_taken(self, nas: Nas) -> None:
        other = replace(EXTENT, name="web2-disk0", volume=CLONE, serial=replace(EXTENT.serial, text="0123456789ab-01"))
        nas.create_extent(other)

        with pytest.raises(AlreadyExistsError):
            nas.change_extent(EXTENT.name, new_name="web2-disk0")
        with pytest.raises(NotFoundError):
            nas.change_extent("web3-disk0", comment="")

    # another name: targets

    def test_a_renamed_target_keeps_its_groups_and_mappings(self, nas: Nas, exported: Mapping) -> None:
        before = nas.find_target(exported.target)
        assert before is not None
        assert nas.find_mapping(exported.target, EXTENT.name) == exported
        new = nas.basename().child("web2-disk0")

        renamed = nas.rename_target(exported.target, new)

        assert renamed == replace(before, iqn=new)
        assert nas.find_target(exported.target) is None
        assert nas.find_target(new) == renamed
        assert nas.find_mapping(exported.target, EXTENT.name) is None
        assert nas.find_mapping(new, EXTENT.name) == replace(exported, target=new)

    def test_a_target_can_be_given_a_full_name_elsewhere(self, nas: Nas, exported: Mapping) -> None:
        new = Iqn.parse("iqn.2011-03.org.example:web2-disk0")

        assert nas.rename_target(exported.target, new).iqn == new
        assert nas.find_target(new) is not None

    def test_a_target_is_not_given_a_name_that_is_taken(self, nas: Nas, exported: Mapping) -> None:
        other = nas.create_target(Target(nas.basename().child("web2-disk0"), portal_group=1))

        with pytest.raises(AlreadyExistsError):
            nas.rename_target(exported.target, other.iqn)
        with pytest.raises(NotFoundError):
            nas.rename_target(nas.basename().child("web3-disk0"), nas.basename().child("web4-disk0"))

        assert nas.find_target(exported.target) is not None
