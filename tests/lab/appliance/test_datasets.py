"""pool.dataset.* and zfs.resource.* over the wire: what is made, shown, refused and taken away, release by release."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.appliance.conftest import Bench, Benches, Refused

MIB = 1 << 20
VOLUME = {"name": "tank/vm/d1", "type": "VOLUME", "volsize": 16 * MIB, "sparse": True}


def refusal(nas: Bench, method: str, *params: Any, api: str = "current") -> Refused:
    with pytest.raises(Refused) as refused:
        nas.rpc(api=api).call(method, *params)
    return refused.value


def test_a_volume_is_shown_with_every_property_and_its_source(nas: Bench) -> None:
    nas.call(
        "pool.dataset.create", {"name": "tank/vm/web1", "user_properties": [{"key": "org.example:a", "value": "1"}]}
    )
    row = nas.rpc().call("pool.dataset.create", {**VOLUME, "name": "tank/vm/web1/disk0", "comments": "hello"})
    assert (row["id"], row["type"], row["pool"], row["mountpoint"]) == ("tank/vm/web1/disk0", "VOLUME", "tank", None)
    assert row["volsize"] == {
        "parsed": 16 * MIB, "rawvalue": str(16 * MIB), "value": "16M", "source": "LOCAL", "source_info": None,
    }  # fmt: skip
    assert row["volblocksize"]["parsed"] == 16384
    assert row["refreservation"]["parsed"] is None
    assert row["compression"] == {
        "parsed": "lz4", "rawvalue": "lz4", "value": "LZ4", "source": "INHERITED", "source_info": "tank",
    }  # fmt: skip
    assert row["comments"]["value"] == "hello"
    assert row["user_properties"]["org.example:a"] == {
        "parsed": "1", "rawvalue": "1", "value": "1", "source": "INHERITED", "source_info": "tank/vm/web1",
    }  # fmt: skip


def test_a_thick_volume_reserves_its_size_and_metadata(nas: Bench) -> None:
    row = nas.call("pool.dataset.create", {**VOLUME, "sparse": False})
    assert row["refreservation"]["parsed"] > 16 * MIB


@pytest.mark.parametrize(
    ("changes", "attribute", "text"),
    [
        ({"name": "tank"}, "name", "You need a full name, e.g. pool/newdataset"),
        ({"name": "tank/vm/" + "x" * 200}, "name", "less than or equal to 200"),
        ({"name": "tank/vm/d1 "}, "name", "Trailing spaces"),
        ({"name": "tank/vm/a@b"}, "name", "Invalid dataset name"),
        ({"name": "tank/no/d1"}, "name", "Please specify a pool which exists"),
        ({"volsize": 16 * MIB + 512}, "volsize", "Volume size should be a multiple of volume block size"),
        ({"volsize": 8 << 40}, "volsize", "more than 80%"),
        ({"user_properties": [{"key": "org.Example:a", "value": "1"}]}, "user_properties.0.key", "a-z"),
    ],
)
def test_refuses_by_field_and_text(nas: Bench, changes: dict[str, Any], attribute: str, text: str) -> None:
    refused = refusal(nas, "pool.dataset.create", {**VOLUME, **changes})
    assert refused.code == -32602
    assert f"pool_dataset_create.{attribute}" in refused.attributes
    assert text in refused.texts


def test_the_eighty_percent_rule_gives_way_to_force_size(nas: Bench) -> None:
    row = nas.rpc().call("pool.dataset.create", {**VOLUME, "volsize": 8 << 40, "force_size": True})
    assert row["volsize"]["value"] == "8T"


def test_a_thick_volume_beyond_the_pool_finds_no_space(nas: Bench) -> None:
    refused = refusal(nas, "pool.dataset.create", {**VOLUME, "volsize": 8 << 40, "sparse": False, "force_size": True})
    assert (refused.code, refused.data["errname"]) == (-32001, "ENOSPC")


def test_a_name_that_is_taken_is_refused_as_already_there(nas: Bench) -> None:
    nas.volume()
    assert refusal(nas, "pool.dataset.create", VOLUME).data["errname"] == "EEXIST"
    assert "already exists" in refusal(nas, "pool.dataset.create", {"name": "tank/vm"}).texts


def test_models_refuse_under_their_own_names(benches: Benches) -> None:
    wrong = {**VOLUME, "logbias": "latency"}
    assert (
        "data.PoolDatasetCreateVolume.logbias" in refusal(benches.of("25.10"), "pool.dataset.create", wrong).attributes
    )
    assert refusal(benches.of("26.0"), "pool.dataset.create", wrong).attributes == ["data.VOLUME.logbias"]
    old = benches.of("24.10").rest("POST", "/pool/dataset", json=wrong)
    assert old.json() == {"pool_dataset_create.logbias": [{"message": "Field was not expected", "errno": 22}]}


def test_ancestors_are_made_when_asked_for(nas: Bench) -> None:
    nas.rpc().call("pool.dataset.create", {**VOLUME, "name": "tank/vm/a/b/d1", "create_ancestors": True})
    assert nas.call("pool.dataset.get_instance", "tank/vm/a/b")["type"] == "FILESYSTEM"


def test_omitted_comments_are_inherited_but_26_stores_a_word(benches: Benches) -> None:
    assert "comments" not in benches.of("25.10").call("pool.dataset.create", VOLUME)
    assert benches.of("26.0").call("pool.dataset.create", VOLUME)["comments"]["value"] == "INHERIT"


def test_user_properties_are_set_changed_and_removed(nas: Bench) -> None:
    rpc = nas.rpc()
    nas.call(
        "pool.dataset.create", {"name": "tank/vm/web1", "user_properties": [{"key": "org.example:a", "value": "up"}]}
    )
    nas.volume("tank/vm/web1/disk0")

    def change(*entries: dict[str, Any]) -> Any:
        row = rpc.call("pool.dataset.update", "tank/vm/web1/disk0", {"user_properties_update": list(entries)})
        return {key: (value["value"], value["source"]) for key, value in row["user_properties"].items()}

    assert change({"key": "org.example:a", "value": "own"}) == {"org.example:a": ("own", "LOCAL")}
    assert change({"key": "org.example:a", "remove": True}) == {"org.example:a": ("up", "INHERITED")}
    both: dict[str, Any] = {"user_properties": [], "user_properties_update": []}
    assert "explicitly specified" in refusal(nas, "pool.dataset.update", "tank/vm/web1", both).texts


def test_a_volume_grows_and_never_shrinks(nas: Bench) -> None:
    nas.volume()
    rpc = nas.rpc()
    assert rpc.call("pool.dataset.update", "tank/vm/d1", {"volsize": 32 * MIB})["volsize"]["parsed"] == 32 * MIB
    assert rpc.call("pool.dataset.update", "tank/vm/d1", {})["volsize"]["parsed"] == 32 * MIB
    refused = refusal(nas, "pool.dataset.update", "tank/vm/d1", {"volsize": 16 * MIB})
    assert refused.attributes == ["pool_dataset_update.volsize"]
    assert "You cannot shrink a zvol" in refused.texts


def test_what_is_not_there_is_enoent_without_attribute(nas: Bench) -> None:
    refused = refusal(nas, "pool.dataset.delete", "tank/vm/none")
    assert refused.data["extra"] == [[None, "PoolDataset tank/vm/none does not exist", 2]]
    assert refused.code == -32602


# querying


def names(nas: Bench, *params: Any) -> list[str]:
    return [row["id"] for row in nas.call("pool.dataset.query", *params)]


@pytest.fixture
def tree(benches: Benches) -> None:
    for release in ("25.04", "25.10"):
        nas = benches.of(release)
        nas.call("pool.dataset.create", {"name": "tank/vm/web1"})
        nas.volume("tank/vm/web1/disk0")


@pytest.mark.usefixtures("tree")
def test_rows_are_flat_with_children_in_them(nas: Bench) -> None:
    rows = {row["id"]: row for row in nas.call("pool.dataset.query")}
    assert list(rows) == ["tank", "tank/vm", "tank/vm/web1", "tank/vm/web1/disk0"]
    assert rows["tank/vm"]["children"][0]["children"][0]["id"] == "tank/vm/web1/disk0"
    assert names(nas, [], {"extra": {"flat": False}}) == ["tank"]


@pytest.mark.usefixtures("tree")
def test_without_children_the_releases_differ(benches: Benches) -> None:
    below = [[["id", "^", "tank/vm/"]], {"extra": {"retrieve_children": False}}]
    assert names(benches.of("25.10"), *below) == ["tank/vm/web1", "tank/vm/web1/disk0"]
    assert names(benches.of("25.04"), *below) == []
    assert names(benches.of("25.10"), [], below[1]) == ["tank"]


@pytest.mark.usefixtures("tree")
def test_a_count_ignores_filters_since_25_10(benches: Benches) -> None:
    counted = [[["id", "^", "tank/vm/"]], {"count": True}]
    assert benches.of("25.04").call("pool.dataset.query", *counted) == 2
    assert benches.of("25.10").call("pool.dataset.query", *counted) == 4


@pytest.mark.usefixtures("tree")
def test_only_the_properties_asked_for(nas: Bench) -> None:
    extra = {"properties": ["volsize"], "retrieve_user_props": False, "retrieve_children": False}
    (row,) = nas.call("pool.dataset.query", [["id", "=", "tank/vm/web1/disk0"]], {"extra": extra})
    assert "volsize" in row
    assert not {"used", "compression", "user_properties"} & set(row)
    extra["properties"] = []
    (row,) = nas.call("pool.dataset.query", [["id", "=", "tank/vm/web1/disk0"]], {"extra": extra})
    assert "volsize" not in row


@pytest.mark.usefixtures("tree")
def test_resource_query_is_path_scoped_and_hides_sources(nas: Bench) -> None:
    nas.call("pool.dataset.update", "tank/vm/web1", {"user_properties": [{"key": "org.example:a", "value": "1"}]})
    request = {
        "paths": ["tank/vm"],
        "get_children": True,
        "properties": ["volsize", "origin"],
        "get_user_properties": True,
    }
    rows = {row["name"]: row for row in nas.rpc().call("zfs.resource.query", request)}
    assert list(rows) == ["tank/vm", "tank/vm/web1", "tank/vm/web1/disk0"]
    disk = rows["tank/vm/web1/disk0"]
    assert disk["user_properties"] == {"org.example:a": "1"}
    assert disk["properties"]["volsize"]["value"] == 16 * MIB
    assert disk["properties"]["origin"] == {"raw": "none", "source": {"type": "NONE", "value": None}, "value": None}
    assert disk["guid"] > 1 << 53
    assert nas.rpc().call("zfs.resource.query", {"paths": ["tank/none"]}) == []


# taking away


@pytest.mark.parametrize("release", ["24.10", "25.04", "25.10", "26.0"])
def test_a_delete_takes_the_exports_along(benches: Benches, release: str) -> None:
    nas = benches.of(release)
    nas.lun()
    assert nas.call("pool.dataset.delete", "tank/vm/d1", {}) is True
    left = [nas.call(f"iscsi.{service}.query") for service in ("target", "extent", "targetextent")]
    assert left == [[], [], []]


def test_a_disabled_extent_is_left_behind(nas: Bench) -> None:
    made = nas.lun()
    nas.call("iscsi.extent.update", made["extent"]["id"], {"enabled": False})
    nas.call("pool.dataset.delete", "tank/vm/d1", {})
    assert [row["name"] for row in nas.call("iscsi.extent.query")] == ["d1"]


def test_a_shared_target_stays_while_it_has_a_lun(nas: Bench) -> None:
    made = nas.lun()
    nas.volume("tank/vm/d2")
    extent = nas.call("iscsi.extent.create", {"name": "d2", "disk": "zvol/tank/vm/d2"})
    nas.call("iscsi.targetextent.create", {"target": made["target"]["id"], "extent": extent["id"], "lunid": 2})
    nas.call("pool.dataset.delete", "tank/vm/d1", {})
    assert [row["name"] for row in nas.call("iscsi.target.query")] == ["d1"]
    nas.call("pool.dataset.delete", "tank/vm/d2", {})
    assert nas.call("iscsi.target.query") == []


@pytest.mark.parametrize(("release", "code"), [("25.04", -32001), ("25.10", -32001), ("26.0", -32602)])
def test_children_and_snapshots_are_in_the_way(benches: Benches, release: str, code: int) -> None:
    nas = benches.of(release)
    nas.volume()
    assert refusal(nas, "pool.dataset.delete", "tank/vm", {}).code == code
    verb = "zfs.snapshot.create" if release == "25.04" else "pool.snapshot.create"
    nas.call(verb, {"dataset": "tank/vm/d1", "name": "s1"})
    assert refusal(nas, "pool.dataset.delete", "tank/vm/d1", {}).code == code
    assert nas.call("pool.dataset.delete", "tank/vm/d1", {"recursive": True}) is True


def test_a_recursive_delete_takes_clones_on_26_and_stops_at_them_before(benches: Benches) -> None:
    for release in ("25.10", "26.0"):
        nas = benches.of(release)
        nas.volume()
        nas.call("pool.snapshot.create", {"dataset": "tank/vm/d1", "name": "s1"})
        nas.call("pool.snapshot.clone", {"snapshot": "tank/vm/d1@s1", "dataset_dst": "tank/vm/c1"})
    assert (
        "dependent clones"
        in refusal(benches.of("25.10"), "pool.dataset.delete", "tank/vm/d1", {"recursive": True}).texts
    )
    assert benches.of("26.0").call("pool.dataset.delete", "tank/vm/d1", {"recursive": True}) is True
    assert names(benches.of("26.0"), [["id", "=", "tank/vm/c1"]]) == []


def test_the_root_of_a_pool_stays(nas: Bench) -> None:
    assert refusal(nas, "pool.dataset.delete", "tank", {"recursive": True}).code == -32602


def test_a_rename_leaves_extents_pointing_nowhere(nas: Bench) -> None:
    nas.lun()
    assert refusal(nas, "pool.dataset.rename", "tank/vm/d1", {"new_name": "tank/vm/d2"}).code == -32602
    nas.call("pool.dataset.rename", "tank/vm/d1", {"new_name": "tank/vm/d2", "force": True})
    assert nas.call("iscsi.extent.query")[0]["disk"] == "zvol/tank/vm/d1"
    assert names(nas, [["id", "=", "tank/vm/d2"]]) == ["tank/vm/d2"]


def test_attachments_name_the_extent(nas: Bench) -> None:
    nas.lun()
    assert nas.call("pool.dataset.attachments", "tank/vm/d1") == [
        {"type": "iSCSI Extent", "service": "iscsitarget", "attachments": ["d1"]}
    ]


def test_resource_destroy_raises_where_the_dataset_delete_of_26_keeps_quiet(benches: Benches) -> None:
    nas = benches.of("26.0")
    nas.lun()
    assert refusal(nas, "zfs.resource.destroy", {"path": "tank/vm/d1"}).data["extra"][0][2] == 16
    assert refusal(nas, "zfs.resource.destroy", {"path": "tank/vm/no"}).data["extra"][0][2] == 2
    nas.call("iscsi.target.delete", nas.call("iscsi.target.query")[0]["id"], True, True)
    assert nas.call("zfs.resource.destroy", {"path": "tank/vm/d1"}) is None


@pytest.mark.parametrize(("release", "answer"), [("25.10", "EBUSY"), ("26.0", True)])
def test_a_volume_is_busy_for_a_while_after_its_mapping_went(lab_factory: Any, release: str, answer: object) -> None:
    nas = Bench(lab_factory(profile=release, hypervisors=(), busy_window=3600.0))
    made = nas.lun()
    nas.call("iscsi.targetextent.delete", made["mapping"]["id"], True)
    if answer is True:  # 26 says so although the volume is still there
        assert nas.call("pool.dataset.delete", "tank/vm/d1", {}) is True
    else:
        assert refusal(nas, "pool.dataset.delete", "tank/vm/d1", {}).data["errname"] == answer
    assert names(nas, [["id", "=", "tank/vm/d1"]]) == ["tank/vm/d1"]
    nas.close()


def test_a_forced_delete_waits_the_busy_moment_out(lab_factory: Any) -> None:
    nas = Bench(lab_factory(hypervisors=(), busy_window=0.8))
    made = nas.lun()
    nas.call("iscsi.targetextent.delete", made["mapping"]["id"], True)
    assert nas.call("pool.dataset.delete", "tank/vm/d1", {"force": True}) is True


def test_a_new_volume_has_no_device_node_for_a_while(lab_factory: Any) -> None:
    nas = Bench(lab_factory(hypervisors=(), node_lag=3600.0))
    nas.volume()
    refused = refusal(nas, "iscsi.extent.create", {"name": "d1", "disk": "zvol/tank/vm/d1"})
    assert "Device '/dev/zvol/tank/vm/d1' for volume 'tank/vm/d1' does not exist" in refused.texts
    nas.close()


def test_the_pool_tells_its_space(nas: Bench) -> None:
    (pool,) = nas.rpc().call("pool.query", [["name", "=", "tank"]])
    assert pool["size"] == 1 << 40
    assert pool["free"] + pool["allocated"] == pool["size"]
    assert nas.call("pool.dataset.recommended_zvol_blocksize", "tank") == "16K"
