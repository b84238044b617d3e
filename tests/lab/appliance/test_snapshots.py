"""Snapshots over the wire, under each release's name for them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.appliance.conftest import Bench, Benches, Refused

MIB = 1 << 20


def service(release: str) -> str:
    return "zfs.snapshot" if release in {"24.10", "25.04"} else "pool.snapshot"


@pytest.fixture(params=["24.10", "25.04", "25.10", "26.0"])
def release(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def write(nas: Bench, name: str, data: bytes) -> None:
    with nas.control.volume_file(name).open("r+b") as file:
        file.write(data)


def begins(nas: Bench, name: str) -> bytes:
    with nas.control.volume_file(name).open("rb") as file:
        return file.read(3)


def test_snapshot_clone_rollback_and_delete(benches: Benches, release: str) -> None:
    nas, verb = benches.of(release), service(release)
    nas.volume()
    write(nas, "tank/vm/d1", b"old")
    made = nas.call(f"{verb}.create", {"dataset": "tank/vm/d1", "name": "s1"})
    assert (made["id"], made["snapshot_name"], made["dataset"], made["type"]) == (
        "tank/vm/d1@s1", "s1", "tank/vm/d1", "SNAPSHOT",
    )  # fmt: skip
    assert isinstance(made["createtxg"], str)
    write(nas, "tank/vm/d1", b"new")
    assert nas.call(f"{verb}.clone", {"snapshot": "tank/vm/d1@s1", "dataset_dst": "tank/vm/c1"}) is True
    assert begins(nas, "tank/vm/c1") == b"old"
    clone = nas.call("pool.dataset.get_instance", "tank/vm/c1")
    assert (clone["origin"]["rawvalue"], clone["origin"]["value"]) == ("tank/vm/d1@s1", "TANK/VM/D1@S1")
    assert clone["refreservation"]["parsed"] is None
    with pytest.raises(Exception, match=r"dependent clones: tank/vm/c1"):
        nas.call(f"{verb}.delete", "tank/vm/d1@s1")
    nas.call("pool.dataset.delete", "tank/vm/c1", {})
    assert nas.call(f"{verb}.rollback", "tank/vm/d1@s1", {}) is None
    assert begins(nas, "tank/vm/d1") == b"old"
    assert nas.call(f"{verb}.delete", "tank/vm/d1@s1") is True
    assert nas.call(f"{verb}.query") == []


def test_a_recursive_snapshot_takes_the_disks_of_a_guest_at_once(benches: Benches, release: str) -> None:
    nas, verb = benches.of(release), service(release)
    nas.call("pool.dataset.create", {"name": "tank/vm/web1", "comments": ""})
    for disk in ("disk0", "disk1"):
        nas.volume(f"tank/vm/web1/{disk}", comments="")
    nas.call(f"{verb}.create", {"dataset": "tank/vm/web1", "name": "s1", "recursive": True})
    rows = nas.call(f"{verb}.query", [["snapshot_name", "=", "s1"]], {"order_by": ["dataset"]})
    assert [row["dataset"] for row in rows] == ["tank/vm/web1", "tank/vm/web1/disk0", "tank/vm/web1/disk1"]
    assert len({row["createtxg"] for row in rows}) == 1


def test_promote_turns_origin_round(nas: Bench) -> None:
    nas.volume()
    nas.call("pool.snapshot.create", {"dataset": "tank/vm/d1", "name": "s1"})
    nas.call("pool.snapshot.clone", {"snapshot": "tank/vm/d1@s1", "dataset_dst": "tank/vm/c1"})
    assert nas.call("pool.dataset.promote", "tank/vm/c1") is None
    assert nas.call("pool.dataset.get_instance", "tank/vm/d1")["origin"]["rawvalue"] == "tank/vm/c1@s1"


def refusal(nas: Bench, method: str, *params: Any) -> Refused:
    with pytest.raises(Refused) as refused:
        nas.rpc().call(method, *params)
    return refused.value


def test_refusals(nas: Bench) -> None:
    nas.volume()
    one = {"dataset": "tank/vm/d1", "name": "s1"}
    nas.call("pool.snapshot.create", one)
    again = refusal(nas, "pool.snapshot.create", one)
    assert again.texts == "[EEXIST] Failed to snapshot tank/vm/d1@s1: dataset already exists"
    assert refusal(nas, "pool.snapshot.create", {**one, "dataset": "tank/vm/no"}).data["extra"][0][2] == 2
    assert refusal(nas, "pool.snapshot.delete", "tank/vm/d1@no").texts.endswith(
        "PoolSnapshot tank/vm/d1@no does not exist"
    )
    nas.call("pool.snapshot.create", {**one, "name": "s2"})
    assert "more recent snapshots" in refusal(nas, "pool.snapshot.rollback", "tank/vm/d1@s1", {}).texts


def test_a_held_snapshot_stays(nas: Bench) -> None:
    nas.volume()
    nas.call("pool.snapshot.create", {"dataset": "tank/vm/d1", "name": "s1"})
    nas.call("pool.snapshot.hold", "tank/vm/d1@s1")
    (row,) = nas.call("pool.snapshot.query", [], {"extra": {"holds": True}})
    assert list(row["holds"]) == ["truenas"]
    with pytest.raises(Refused, match="held"):
        nas.rpc().call("pool.snapshot.delete", "tank/vm/d1@s1")
    nas.call("pool.snapshot.release", "tank/vm/d1@s1")
    assert nas.call("pool.snapshot.delete", "tank/vm/d1@s1") is True


def test_a_snapshot_is_renamed_with_force_only(nas: Bench) -> None:
    nas.volume()
    nas.call("pool.snapshot.create", {"dataset": "tank/vm/d1", "name": "s1"})
    request = {"new_name": "tank/vm/d1@s2"}
    assert refusal(nas, "pool.snapshot.rename", "tank/vm/d1@s1", request).code == -32602
    nas.call("pool.snapshot.rename", "tank/vm/d1@s1", {**request, "force": True})
    assert [row["name"] for row in nas.call("pool.snapshot.query")] == ["tank/vm/d1@s2"]


def test_26_forgets_updates_of_a_snapshots_user_properties(benches: Benches) -> None:
    for release_, kept in (("25.10", True), ("26.0", False)):
        nas = benches.of(release_)
        nas.volume()
        nas.call("pool.snapshot.create", {"dataset": "tank/vm/d1", "name": "s1"})
        change = {"user_properties_update": [{"key": "org.example:a", "value": "1"}]}
        row = nas.call("pool.snapshot.update", "tank/vm/d1@s1", change)
        assert ("org.example:a" in row["properties"]) is kept


def test_26_has_snapshots_by_path(benches: Benches) -> None:
    nas = benches.of("26.0")
    nas.volume()
    rpc = nas.rpc()
    made = rpc.call(
        "zfs.resource.snapshot.create",
        {"dataset": "tank/vm/d1", "name": "s1", "user_properties": {"org.example:a": "1"}},
    )
    assert made["name"] == "tank/vm/d1@s1"
    asked = {"paths": ["tank/vm"], "recursive": True, "get_user_properties": True}
    (row,) = rpc.call("zfs.resource.snapshot.query", asked)
    assert row["user_properties"]["org.example:a"] == "1"
    assert isinstance(row["createtxg"], int)
    assert rpc.call("zfs.resource.snapshot.count", {"paths": ["tank/vm/d1"]}) == {"tank/vm/d1": 1}
    rpc.call("zfs.resource.snapshot.clone", {"snapshot": "tank/vm/d1@s1", "dataset": "tank/vm/c1"})
    assert refusal(nas, "zfs.resource.snapshot.destroy", {"path": "tank/vm/d1@s1"}).data["extra"][0][2] == 16
    rpc.call("zfs.resource.destroy", {"path": "tank/vm/c1"})
    rpc.call("zfs.resource.snapshot.rollback", {"path": "tank/vm/d1@s1"})
    rpc.call("zfs.resource.snapshot.destroy", {"path": "tank/vm/d1@s1"})
    assert rpc.call("zfs.resource.snapshot.query", asked) == []


def test_a_snapshot_inherits_the_user_properties_of_its_dataset(benches: Benches, release: str) -> None:
    nas, verb = benches.of(release), service(release)
    nas.volume(comments="", user_properties=[{"key": "org.example:a", "value": "1"}])
    nas.call(f"{verb}.create", {"dataset": "tank/vm/d1", "name": "s1", "properties": {"org.example:b": "2"}})
    if release == "26.0":
        (row,) = nas.call("zfs.resource.snapshot.query", {"paths": ["tank/vm/d1"], "get_user_properties": True})
        assert row["user_properties"].items() >= {"org.example:a": "1", "org.example:b": "2"}.items()
        return
    (row,) = nas.call(f"{verb}.query", [["id", "=", "tank/vm/d1@s1"]], {"extra": {"properties": ["creation"]}})
    sources = {key: row["properties"][key]["source"] for key in ("org.example:a", "org.example:b", "creation")}
    assert sources == {"org.example:a": "INHERITED", "org.example:b": "LOCAL", "creation": "NONE"}
    assert "used" not in row["properties"]


def test_a_recursive_delete_is_all_or_none(benches: Benches, release: str) -> None:
    nas, verb = benches.of(release), service(release)
    nas.call("pool.dataset.create", {"name": "tank/vm/web1", "comments": ""})
    for disk in ("disk0", "disk1"):
        nas.volume(f"tank/vm/web1/{disk}", comments="")
    nas.call(f"{verb}.create", {"dataset": "tank/vm/web1", "name": "s1", "recursive": True})
    nas.call(f"{verb}.hold", "tank/vm/web1/disk1@s1")
    with pytest.raises(Exception, match="held"):
        nas.call(f"{verb}.delete", "tank/vm/web1@s1", {"recursive": True})
    assert len(nas.call(f"{verb}.query", [["snapshot_name", "=", "s1"]])) == 3


def test_26_tells_holds_as_a_list(benches: Benches) -> None:
    nas = benches.of("26.0")
    nas.volume()
    nas.call("pool.snapshot.create", {"dataset": "tank/vm/d1", "name": "s1"})
    nas.call("pool.snapshot.hold", "tank/vm/d1@s1")
    (row,) = nas.call("zfs.resource.snapshot.query", {"paths": ["tank/vm/d1"], "get_holds": True})
    assert row["holds"] == ["truenas"]


def test_26_clones_without_user_properties(benches: Benches, release: str) -> None:
    nas, verb = benches.of(release), service(release)
    nas.volume()
    nas.call(f"{verb}.create", {"dataset": "tank/vm/d1", "name": "s1"})
    wanted = {"snapshot": "tank/vm/d1@s1", "dataset_dst": "tank/vm/c1", "dataset_properties": {"org.example:a": "1"}}
    if release == "26.0":
        with pytest.raises(Exception, match=r"org\.example:a: not a valid ZFS property"):
            nas.call(f"{verb}.clone", wanted)
        other = {"snapshot": "tank/vm/d1@s1", "dataset": "tank/vm/c1", "properties": {"org.example:a": "1"}}
        with pytest.raises(Exception, match=r"org\.example:a: not a valid ZFS property"):
            nas.call("zfs.resource.snapshot.clone", other)
        return
    nas.call(f"{verb}.clone", wanted)
    clone = nas.call("pool.dataset.get_instance", "tank/vm/c1")
    assert clone["user_properties"]["org.example:a"]["source"] == "LOCAL"
