"""ZFS as the appliance plays it: inheritance, space, snapshots and clones on real files."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from pyvmiscsi.lab.appliance.state import State
from pyvmiscsi.lab.appliance.zfs import Zfs, ZfsError, reservation_for

MIB = 1 << 20


@pytest.fixture
def zfs(tmp_path: Path) -> Zfs:
    made = Zfs(State(), tmp_path, 100 * MIB)
    made.create_pool("tank")
    made.create_filesystem("tank/vm", {}, {"org.example:owner": "vm"})
    return made


def volume(zfs: Zfs, name: str = "tank/vm/d1", size: int = 8 * MIB, *, sparse: bool = True) -> Path:
    dataset = zfs.create_volume(name, volsize=size, volblocksize=16384, sparse=sparse, local={}, user={})
    return zfs.file_of(dataset)


def refusal(call: object, *args: object, **named: object) -> ZfsError:
    with pytest.raises(ZfsError) as raised:
        call(*args, **named)  # type: ignore[operator]
    return raised.value


def test_a_volume_is_a_sparse_file_of_its_size(zfs: Zfs) -> None:
    path = volume(zfs)
    assert path.stat().st_size == 8 * MIB
    assert path.stat().st_blocks == 0


def test_user_properties_are_inherited_and_say_from_where(zfs: Zfs) -> None:
    volume(zfs)
    own = zfs.get("tank/vm/d1")
    (value,) = zfs.user_properties(own).values()
    assert (value.raw, value.source, value.source_info) == ("vm", "INHERITED", "tank/vm")
    own.user["org.example:owner"] = "d1"
    assert zfs.user_properties(own)["org.example:owner"].source == "LOCAL"


def test_the_nearest_ancestor_wins(zfs: Zfs) -> None:
    zfs.create_filesystem("tank/vm/web1", {"readonly": "on"}, {"org.example:owner": "web1"})
    volume(zfs, "tank/vm/web1/disk0")
    disk = zfs.get("tank/vm/web1/disk0")
    assert zfs.user_properties(disk)["org.example:owner"].raw == "web1"
    assert zfs.native(disk, "readonly").source_info == "tank/vm/web1"
    assert zfs.native(disk, "compression").source_info == "tank"
    assert zfs.native(disk, "sync").source == "DEFAULT"


def test_reservations_are_not_inherited(zfs: Zfs) -> None:
    volume(zfs, sparse=False)
    assert zfs.native(zfs.get("tank/vm/d1"), "refreservation").source == "LOCAL"
    assert zfs.native(zfs.get("tank/vm"), "refreservation").source == "DEFAULT"


def test_a_thick_volume_takes_its_size_at_once_and_a_sparse_one_nothing(zfs: Zfs) -> None:
    free = zfs.usage().free
    volume(zfs, "tank/vm/thin")
    assert zfs.usage().free == free
    volume(zfs, "tank/vm/thick", sparse=False)
    assert zfs.usage().free == free - reservation_for(8 * MIB, 16384)
    assert zfs.usage().used["tank"] >= 8 * MIB


def test_written_data_counts(zfs: Zfs) -> None:
    path = volume(zfs)
    free = zfs.usage().free
    with path.open("r+b") as file:
        file.write(b"x" * MIB)
    assert zfs.usage().free == free - MIB
    assert zfs.usage().referenced["tank/vm/d1"] == MIB


def test_refuses_what_the_pool_cannot_hold(zfs: Zfs) -> None:
    assert refusal(volume, zfs, size=200 * MIB, sparse=False).number == errno.ENOSPC


@pytest.mark.parametrize(
    ("name", "number"),
    [("tank/vm", errno.EEXIST), ("tank/no/d1", errno.ENOENT), ("tank/vm/d1/d2", errno.EINVAL)],
)
def test_refuses_a_name_that_is_taken_or_has_no_place(zfs: Zfs, name: str, number: int) -> None:
    volume(zfs)
    assert refusal(volume, zfs, name).number == number


def test_grows_a_volume_and_its_reservation(zfs: Zfs) -> None:
    path = volume(zfs, sparse=False)
    zfs.grow("tank/vm/d1", 16 * MIB)
    assert path.stat().st_size == 16 * MIB
    assert int(zfs.native(zfs.get("tank/vm/d1"), "refreservation").raw) == reservation_for(16 * MIB, 16384)


def test_a_snapshot_keeps_what_was(zfs: Zfs) -> None:
    path = volume(zfs)
    path.write_bytes(b"old".ljust(8 * MIB, b"\0"))
    zfs.snapshot("tank/vm/d1", "s1", {}, recursive=False)
    path.write_bytes(b"new".ljust(8 * MIB, b"\0"))
    zfs.rollback("tank/vm/d1@s1", recursive=False, recursive_clones=False)
    assert path.read_bytes()[:3] == b"old"


def test_a_rollback_keeps_the_file_that_a_target_has_open(zfs: Zfs) -> None:
    path = volume(zfs)
    zfs.snapshot("tank/vm/d1", "s1", {}, recursive=False)
    inode = path.stat().st_ino
    zfs.rollback("tank/vm/d1@s1", recursive=False, recursive_clones=False)
    assert path.stat().st_ino == inode


def test_copies_of_sparse_files_stay_sparse(zfs: Zfs) -> None:
    path = volume(zfs)
    with path.open("r+b") as file:
        file.seek(4 * MIB)
        file.write(b"x" * 4096)
    zfs.snapshot("tank/vm/d1", "s1", {}, recursive=False)
    zfs.clone("tank/vm/d1@s1", "tank/vm/c1", {}, {})
    copy = zfs.file_of(zfs.get("tank/vm/c1"))
    assert copy.stat().st_size == 8 * MIB
    assert copy.stat().st_blocks * 512 <= 64 * 1024
    assert copy.read_bytes() == path.read_bytes()


def test_a_clone_is_its_own_from_then_on(zfs: Zfs) -> None:
    path = volume(zfs)
    zfs.snapshot("tank/vm/d1", "s1", {}, recursive=False)
    zfs.clone("tank/vm/d1@s1", "tank/vm/c1", {}, {"org.example:owner": "c1"})
    zfs.file_of(zfs.get("tank/vm/c1")).write_bytes(b"clone")
    assert path.read_bytes()[:5] != b"clone"
    assert zfs.user_properties(zfs.get("tank/vm/c1"))["org.example:owner"].raw == "c1"


def test_a_recursive_snapshot_is_of_one_moment(zfs: Zfs) -> None:
    volume(zfs)
    zfs.snapshot("tank/vm", "s1", {}, recursive=True)
    moments = {zfs.get(name).snapshots["s1"].createtxg for name in ("tank/vm", "tank/vm/d1")}
    assert len(moments) == 1


def test_rollback_past_newer_snapshots_must_be_asked_for(zfs: Zfs) -> None:
    volume(zfs)
    for leaf in ("s1", "s2"):
        zfs.snapshot("tank/vm/d1", leaf, {}, recursive=False)
    assert "more recent" in refusal(zfs.rollback, "tank/vm/d1@s1", recursive=False, recursive_clones=False).text
    zfs.rollback("tank/vm/d1@s1", recursive=True, recursive_clones=False)
    assert list(zfs.get("tank/vm/d1").snapshots) == ["s1"]


def test_destroy_leaves_what_has_children_snapshots_clones_or_holds(zfs: Zfs) -> None:
    volume(zfs)
    assert refusal(zfs.destroy, "tank/vm", recursive=False).number == errno.ENOTEMPTY
    zfs.snapshot("tank/vm/d1", "s1", {}, recursive=False)
    assert refusal(zfs.destroy, "tank/vm/d1", recursive=False).number == errno.ENOTEMPTY
    zfs.clone("tank/vm/d1@s1", "tank/vm/c1", {}, {})
    assert refusal(zfs.destroy, "tank/vm/d1", recursive=True).number == errno.EBUSY
    zfs.destroy("tank/vm/c1", recursive=False)
    zfs.get("tank/vm/d1").snapshots["s1"].holds["truenas"] = 1
    assert "holds" in refusal(zfs.destroy, "tank/vm/d1", recursive=True).text


def test_destroy_with_clones_takes_them_all_and_their_files(zfs: Zfs, tmp_path: Path) -> None:
    volume(zfs)
    zfs.snapshot("tank/vm/d1", "s1", {}, recursive=False)
    zfs.clone("tank/vm/d1@s1", "tank/vm/c1", {}, {})
    zfs.destroy("tank/vm/d1", recursive=True, clones_too=True)
    assert zfs.find("tank/vm/c1") is None
    assert list(tmp_path.iterdir()) == []


def test_promote_turns_parent_and_clone_round(zfs: Zfs) -> None:
    volume(zfs)
    zfs.snapshot("tank/vm/d1", "s1", {}, recursive=False)
    zfs.snapshot("tank/vm/d1", "s2", {}, recursive=False)
    zfs.clone("tank/vm/d1@s1", "tank/vm/c1", {}, {})
    zfs.promote("tank/vm/c1")
    assert zfs.get("tank/vm/c1").origin is None
    assert zfs.get("tank/vm/d1").origin == "tank/vm/c1@s1"
    assert list(zfs.get("tank/vm/c1").snapshots) == ["s1"]
    assert list(zfs.get("tank/vm/d1").snapshots) == ["s2"]
    zfs.destroy("tank/vm/d1", recursive=True)
    assert zfs.find("tank/vm/c1") is not None


def test_rename_takes_children_and_origins_along(zfs: Zfs) -> None:
    zfs.create_filesystem("tank/vm/web1", {}, {})
    path = volume(zfs, "tank/vm/web1/disk0")
    zfs.snapshot("tank/vm/web1/disk0", "s1", {}, recursive=False)
    zfs.clone("tank/vm/web1/disk0@s1", "tank/vm/c1", {}, {})
    zfs.rename("tank/vm/web1", "tank/vm/web2")
    assert zfs.file_of(zfs.get("tank/vm/web2/disk0")) == path
    assert zfs.get("tank/vm/c1").origin == "tank/vm/web2/disk0@s1"
    assert zfs.find("tank/vm/web1") is None


def test_a_deferred_snapshot_goes_with_its_last_clone(zfs: Zfs) -> None:
    volume(zfs)
    zfs.snapshot("tank/vm/d1", "s1", {}, recursive=False)
    zfs.clone("tank/vm/d1@s1", "tank/vm/c1", {}, {})
    zfs.destroy_snapshot("tank/vm/d1@s1", defer=True)
    assert "s1" in zfs.get("tank/vm/d1").snapshots
    zfs.destroy("tank/vm/c1", recursive=False)
    assert zfs.get("tank/vm/d1").snapshots == {}


def test_a_state_is_read_back_as_it_was_saved(tmp_path: Path) -> None:
    state = State(iscsi={"basename": "iqn.2005-10.org.freenas.ctl"})
    other = Zfs(state, tmp_path / "other", MIB)
    other.create_pool("tank")
    volume(other, "tank/d1", 65536)
    other.snapshot("tank/d1", "s1", {"org.example:a": "b"}, recursive=False)
    state.targets.insert(name="d1")
    state.save(tmp_path / "state.json")
    assert State.load(tmp_path / "state.json") == state
    assert (tmp_path / "state.json").stat().st_mode & 0o777 == 0o600
