"""iscsi.*: the rules of each table and their texts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.appliance.conftest import Bench, Benches, Refused, tool

CHAP = {"tag": 7, "user": "web1", "secret": "abcdefghijkl1234"}
GROUP = {"portal": 1, "initiator": 1, "authmethod": "NONE", "auth": None}


def refusal(nas: Bench, method: str, *params: Any) -> Refused:
    with pytest.raises(Refused) as refused:
        nas.rpc().call(method, *params)
    return refused.value


# targets


@pytest.mark.parametrize(
    ("request_", "attribute", "text"),
    [
        ({"name": "Web_1"}, "name", "Only lowercase alphanumeric characters plus dot (.), dash (-), and colon (:)"),
        ({"name": "taken"}, "name", "Target with this name already exists"),
        ({"name": "a" * 120}, "name", None),
        ({"name": "iqn.2000-01.org.example:" + "a" * 96}, "name", None),
        ({"name": "x", "alias": 'a"b'}, "alias", "Double quotes are not allowed"),
        ({"name": "x", "alias": "target"}, "alias", "target is a reserved word"),
        ({"name": "x", "alias": "one"}, "alias", "Alias already exists"),
        ({"name": "x", "groups": [GROUP, GROUP]}, "groups.1.portal", "Portal 1 cannot be duplicated on a target"),
        ({"name": "x", "groups": [{"portal": 9}]}, "groups.0.portal", "9 Portal not found in database"),
        ({"name": "x", "groups": [{**GROUP, "initiator": 9}]}, "groups.0.initiator", "9 Initiator not found"),
        (
            {"name": "x", "groups": [{**GROUP, "authmethod": "CHAP"}]},
            "groups.0.auth",
            "Authentication group is required",
        ),
        ({"name": "x", "groups": [{**GROUP, "authmethod": "CHAP", "auth": 99}]}, "groups.0.auth", None),
        (
            {"name": "x", "groups": [{**GROUP, "authmethod": "CHAP_MUTUAL", "auth": 99}]},
            "groups.0.auth",
            "Authentication group not found",
        ),
        (
            {"name": "x", "groups": [{**GROUP, "authmethod": "CHAP_MUTUAL", "auth": 7}]},
            "groups.0.auth",
            "Authentication group 7 does not support CHAP Mutual",
        ),
        ({"name": "x", "auth_networks": ["10.0.0.0/33"]}, "auth_networks", "is not a valid network"),
        ({"name": "x", "mode": "FC"}, "mode", "Fibre Channel"),
    ],
)
def test_targets_are_refused_by_field(nas: Bench, request_: dict[str, Any], attribute: str, text: str | None) -> None:
    nas.call("iscsi.auth.create", CHAP)
    nas.call("iscsi.target.create", {"name": "taken", "alias": "one"})
    if text is None:
        assert nas.rpc().call("iscsi.target.create", request_)["id"] == 2
        return
    refused = refusal(nas, "iscsi.target.create", request_)
    assert refused.attributes == [f"iscsi_target_create.{attribute}"]
    assert text in refused.texts


def test_an_iqn_is_at_most_223_bytes(nas: Bench) -> None:
    nas.call("iscsi.global.update", {"basename": "iqn.2000-01.org.example." + "b" * 90})
    assert nas.rpc().call("iscsi.target.validate_name", "a" * 120) is not None
    assert nas.rpc().call("iscsi.target.validate_name", "a" * 20) is None


def test_an_empty_alias_is_none(nas: Bench) -> None:
    assert nas.call("iscsi.target.create", {"name": "x", "alias": ""})["alias"] is None


def test_ids_are_the_largest_plus_one(nas: Bench) -> None:
    first, second = (nas.call("iscsi.target.create", {"name": name})["id"] for name in ("a", "b"))
    nas.call("iscsi.target.delete", second)
    assert nas.call("iscsi.target.create", {"name": "c"})["id"] == second
    nas.call("iscsi.target.delete", first)
    assert nas.call("iscsi.target.create", {"name": "d"})["id"] == second + 1


def test_an_update_takes_the_place_of_groups_wholly(nas: Bench) -> None:
    made = nas.call("iscsi.target.create", {"name": "x", "groups": [GROUP]})
    assert nas.call("iscsi.target.update", made["id"], {"groups": []})["groups"] == []


def test_deleting_the_last_user_of_an_initiator_group_deletes_it_on_some_releases(benches: Benches) -> None:
    for release, left in (("24.10", 0), ("25.04.0", 0), ("25.04", 1), ("25.10", 1)):
        nas = benches.of(release)
        made = nas.call("iscsi.target.create", {"name": "x", "groups": [GROUP]})
        nas.call("iscsi.target.delete", made["id"])
        assert len(nas.call("iscsi.initiator.query")) == left, release


def test_delete_extents_takes_them_and_leaves_the_volume(nas: Bench) -> None:
    made = nas.lun()
    assert nas.rpc().call("iscsi.target.delete", made["target"]["id"], False, True) is True
    assert nas.call("iscsi.extent.query") == []
    assert nas.call("pool.dataset.get_instance", "tank/vm/d1")


# extents


@pytest.mark.parametrize(
    ("changes", "attribute", "text"),
    [
        ({"name": "d1"}, "name", "Extent name must be unique"),
        ({"name": 'x"'}, "name", "Double quotes are not allowed"),
        ({"name": "d.1"}, "name", None),
        ({"name": "d_1"}, "name", "Extent name must be unique when flattened"),
        ({"serial": "serial1"}, "serial", "Serial number must be unique"),
        ({"serial": "x" * 21}, "serial", "Extent serial can not exceed 20 characters"),
        ({"disk": None}, "disk", "This field is required"),
        ({"disk": "tank/vm/d2"}, "disk", 'Disk name must start with "zvol/"'),
        (
            {"disk": "zvol/tank/vm/none"},
            "disk",
            "Device '/dev/zvol/tank/vm/none' for volume 'tank/vm/none' does not exist",
        ),
        ({"disk": "zvol/tank/vm"}, "disk", "does not exist"),
        ({"disk": "zvol/tank/vm/d1"}, "disk", "Disk currently in use by extent d1"),
        ({"disk": "zvol/tank/vm/d2@s1"}, "ro", "Must be set when disk is a ZFS Snapshot"),
        ({"type": "FILE", "path": "/mnt/tank/a b", "filesize": 512}, "path", "may not contain space characters"),
        ({"type": "FILE", "path": "/mnt/tank/f", "filesize": 513}, "filesize", "must be a multiple of block size"),
    ],
)
def test_extents_are_refused_by_field(nas: Bench, changes: dict[str, Any], attribute: str, text: str | None) -> None:
    nas.volume()
    nas.volume("tank/vm/d2")
    nas.call("pool.snapshot.create", {"dataset": "tank/vm/d2", "name": "s1"})
    nas.call("iscsi.extent.create", {"name": "d1", "disk": "zvol/tank/vm/d1", "serial": "serial1"})
    if attribute == "name" and changes["name"] == "d_1":
        nas.call("iscsi.extent.update", 1, {"name": "d.1"})
    request = {"name": "d2", "disk": "zvol/tank/vm/d2", **changes}
    if text is None:
        assert nas.rpc().call("iscsi.extent.create", request)
        return
    refused = refusal(nas, "iscsi.extent.create", request)
    assert refused.attributes == [f"iscsi_extent_create.{attribute}"]
    assert text in refused.texts


def test_two_extents_on_one_volume_pass_before_25_10(benches: Benches) -> None:
    nas = benches.of("25.04")
    nas.lun()
    assert nas.call("iscsi.extent.create", {"name": "again", "disk": "zvol/tank/vm/d1"})


def test_an_extent_is_given_serial_naa_and_vendor(nas: Bench) -> None:
    row = nas.lun()["extent"]
    assert len(row["serial"]) == 15
    assert int(row["serial"], 16) >= 0
    assert (len(row["naa"]), row["naa"][:15]) == (34, "0x6589cfc000000")
    assert (row["vendor"], row["path"], row["filesize"], row["locked"]) == ("TrueNAS", row["disk"], "0", False)


def test_an_extent_of_26_names_its_dataset(benches: Benches) -> None:
    assert benches.of("26.0").lun()["extent"]["dataset"] == "tank/vm/d1"


def test_disk_choices_are_the_unused_volumes(nas: Bench) -> None:
    nas.lun()
    nas.volume("tank/vm/d2")
    assert nas.call("iscsi.extent.disk_choices") == {"zvol/tank/vm/d2": "tank/vm/d2"}


# mappings


def test_the_lowest_free_lun_is_given_unless_one_is_asked_for(nas: Bench) -> None:
    nas.lun(lun=1)
    nas.volume("tank/vm/d2")
    extent = nas.call("iscsi.extent.create", {"name": "d2", "disk": "zvol/tank/vm/d2"})["id"]
    refused = refusal(nas, "iscsi.targetextent.create", {"target": 1, "extent": extent})
    assert "LUN 0" in refused.texts, "tgtd cannot show LUN 0, which is the lowest free one"
    assert nas.call("iscsi.targetextent.create", {"target": 1, "extent": extent, "lunid": 16382})["lunid"] == 16382


@pytest.mark.parametrize(
    ("changes", "attribute", "text"),
    [
        ({"lunid": 1}, "lunid", "LUN ID is already being used for this target."),
        ({"lunid": 16383}, "lunid", "LUN ID must be a positive integer and lower than 16382"),
        ({"lunid": -1}, "lunid", "LUN ID must be a positive integer"),
        ({"extent": 1, "lunid": 5}, "extent", "Extent is already in use."),
    ],
)
def test_mappings_are_refused_by_field(nas: Bench, changes: dict[str, Any], attribute: str, text: str) -> None:
    nas.lun()
    nas.volume("tank/vm/d2")
    nas.call("iscsi.extent.create", {"name": "d2", "disk": "zvol/tank/vm/d2"})
    refused = refusal(nas, "iscsi.targetextent.create", {"target": 1, "extent": 2, "lunid": 2, **changes})
    assert refused.attributes == [f"iscsi_targetextent_create.{attribute}"]
    assert text in refused.texts


def test_a_mapping_of_what_is_not_there_says_so(nas: Bench) -> None:
    nas.lun()
    texts = refusal(nas, "iscsi.targetextent.create", {"target": 5, "extent": 1, "lunid": 1}).texts
    assert texts == "[ENOENT] None: iSCSITarget 5 does not exist"


# CHAP


@pytest.mark.parametrize(
    ("changes", "attribute", "text"),
    [
        ({"secret": "short"}, "secret", "Secret must be between 12 and 16 characters."),
        ({"secret": "x" * 17}, "secret", "Secret must be between 12 and 16 characters."),
        ({"secret": " abcdefghijkl"}, "secret", "Secret contains leading or trailing space."),
        ({"secret": "abcdefghijk#l"}, "secret", "Secret contains invalid characters: #"),
        ({"user": ""}, "user", "required"),
        ({"tag": -1}, "tag", "greater than or equal to 0"),
        ({"peersecret": "mnopqrstuvwx5678"}, "peersecret", "The peer user is required"),
        ({"peeruser": "nas"}, "peeruser", "The peer secret is required"),
        ({"peeruser": "nas", "peersecret": "abcdefghijkl1234"}, "peersecret", "cannot be the same as user secret"),
        ({"peeruser": "nas", "peersecret": "short"}, "peersecret", "Peer Secret must be between 12 and 16"),
    ],
)
def test_credentials_are_refused_by_field(nas: Bench, changes: dict[str, Any], attribute: str, text: str) -> None:
    refused = refusal(nas, "iscsi.auth.create", {**CHAP, **changes})
    assert f"iscsi_auth_create.{attribute}" in refused.attributes
    assert text in refused.texts


def test_the_last_credential_of_a_tag_in_use_stays(nas: Bench) -> None:
    made = nas.call("iscsi.auth.create", CHAP)
    nas.call("iscsi.target.create", {"name": "x", "groups": [{**GROUP, "authmethod": "CHAP", "auth": 7}]})
    assert 'Authorized access "7" is in use' in refusal(nas, "iscsi.auth.delete", made["id"]).texts
    other = nas.call("iscsi.auth.create", {**CHAP, "user": "web2"})
    assert nas.call("iscsi.auth.delete", other["id"]) is True


# portals and initiator groups


@pytest.mark.parametrize(
    ("listen", "text"),
    [
        ([], "At least one listen entry is required."),
        ([{"ip": "10.9.9.9"}], "IP 10.9.9.9 not configured on this system."),
        ([{"ip": "127.0.0.1"}], "'127.0.0.1' IP is already in use."),
    ],
)
def test_portals_are_refused(nas: Bench, listen: list[Any], text: str) -> None:
    assert text in refusal(nas, "iscsi.portal.create", {"listen": listen}).texts


def test_a_portal_takes_its_groups_along(nas: Bench) -> None:
    made = nas.lun()
    nas.call("iscsi.portal.delete", 1)
    assert nas.call("iscsi.target.get_instance", made["target"]["id"])["groups"] == []
    assert tool("iscsi-readcapacity16", nas.uri("d1")).returncode != 0


def test_fields_that_moved_are_refused_where_they_left(benches: Benches) -> None:
    old = {"discovery_authmethod": "NONE", "listen": [{"ip": "::"}]}
    assert refusal(benches.of("25.04"), "iscsi.portal.create", old).attributes == [
        "iscsi_portal_create.discovery_authmethod"
    ]
    assert benches.of("24.10").rest("POST", "/iscsi/portal", json=old).status_code == 200


def test_initiators_are_a_list_and_never_null(nas: Bench) -> None:
    assert refusal(nas, "iscsi.initiator.create", {"initiators": None}).attributes == [
        "iscsi_initiator_create.initiators"
    ]


# sessions and services


def test_the_service_stops_and_starts(nas: Bench) -> None:
    nas.lun()
    rpc = nas.rpc()
    rpc.call("core.set_options", {"legacy_jobs": False})
    assert rpc.call("service.control", "STOP", "iscsitarget", {}) is False
    assert tool("iscsi-readcapacity16", nas.uri("d1")).returncode != 0
    assert rpc.call("service.query", [["service", "=", "iscsitarget"]])[0]["state"] == "STOPPED"
    assert rpc.call("service.control", "START", "iscsitarget", {}) is True
    assert tool("iscsi-readcapacity16", nas.uri("d1")).returncode == 0


def test_service_start_left_with_26(benches: Benches) -> None:
    assert benches.of("25.10").rpc().call("service.reload", "iscsitarget") is True
    assert refusal(benches.of("26.0"), "service.reload", "iscsitarget").code == -32601
