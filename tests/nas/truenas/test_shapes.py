"""What is read from an answer, with rows written as the reference describes them for each release."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.errors import ConflictError, NasAuthError, NasProtocolError, PyvmiscsiError
from pyvmiscsi.model import Credential, Dataset, Extent, NasSession, Snapshot, Target, Volume
from pyvmiscsi.names import DatasetPath, Iqn, Lun, Serial, SnapshotName
from pyvmiscsi.nas.truenas import shapes
from pyvmiscsi.nas.truenas.shapes import Row
from pyvmiscsi.nas.truenas.whole import ours, whole
from pyvmiscsi.secrets import Secret
from pyvmiscsi.units import Size

BASE = Iqn.parse("iqn.2005-10.org.freenas.ctl")


def prop(parsed: object, source: str = "LOCAL") -> dict[str, Any]:
    return {"parsed": parsed, "rawvalue": "" if parsed is None else str(parsed), "value": "text", "source": source}


ZVOL: dict[str, Any] = {
    "id": "tank/vm/web1/disk0",
    "name": "tank/vm/web1/disk0",
    "pool": "tank",
    "type": "VOLUME",
    "mountpoint": None,
    "children": [],
    "volsize": prop(21474836480),
    "volblocksize": prop(16384, "DEFAULT"),
    "refreservation": prop(None, "DEFAULT"),
    "used": prop(57344, "NONE"),
    "origin": {"parsed": "", "rawvalue": "", "value": "", "source": "NONE"},
    "compression": {"parsed": "lz4", "rawvalue": "lz4", "value": "LZ4", "source": "INHERITED"},
    "user_properties": {
        "org.pyvmiscsi:disk": prop("mine"),
        "org.pyvmiscsi:guest": prop("web1", "INHERITED"),
        "org.example:other": prop("theirs"),
    },
    "a field of a later release": 1,
}
RESOURCE = {
    "createtxg": 3808963,
    "guid": 3898709091749277693,
    "name": "tank/vm/web1/disk0",
    "pool": "tank",
    "type": "VOLUME",
    "children": [],
    "properties": {
        "volsize": {"raw": "21474836480", "source": None, "value": 21474836480},
        "volblocksize": {"raw": "16384", "source": None, "value": 16384},
        "refreservation": {"raw": "0", "source": None, "value": 0},
        "used": {"raw": "57344", "source": None, "value": 57344},
        "origin": {"raw": "none", "source": None, "value": None},
        "compression": {"raw": "lz4", "source": None, "value": "lz4"},
    },
    "user_properties": {"org.pyvmiscsi:disk": "mine", "org.pyvmiscsi:guest": "web1", "comments": "INHERIT"},
}
EXTENT = {
    "id": 7,
    "name": "web1-disk0",
    "serial": "0123456789ab-00",
    "type": "DISK",
    "path": "zvol/tank/vm/web1/disk0",
    "disk": "zvol/tank/vm/web1/disk0",
    "filesize": "0",
    "blocksize": 512,
    "comment": "ours",
    "naa": "0x6589cfc00000033f74d0d84613b0caea",
    "ro": False,
    "enabled": True,
    "locked": False,
}
TARGET = {
    "id": 5,
    "name": "web1-disk0",
    "alias": None,
    "mode": "ISCSI",
    "groups": [{"portal": 1, "initiator": None, "authmethod": "CHAP", "auth": 41}],
}
MAPPING = {"id": 9, "target": 5, "extent": 7, "lunid": 1}
SESSION = {
    "initiator": "iqn.1994-09.org.freebsd:hv1",
    "initiator_addr": "10.0.0.7",
    "target": "iqn.2005-10.org.freenas.ctl:web1-disk0",
    "target_alias": "",
}


def row(fields: dict[str, Any], **changes: Any) -> Row:
    return Row("x.query", {**fields, **changes})


def without(fields: dict[str, Any], name: str) -> Row:
    return Row("x.query", {key: value for key, value in fields.items() if key != name})


VOLUME = Volume(
    DatasetPath("tank/vm/web1/disk0"),
    Size.parse("20G"),
    thick=False,
    block_size=Size.parse("16K"),
    marks={"org.pyvmiscsi:disk": "mine"},
    used=Size(57344),
    compression="lz4",
)


def test_a_volume_shows_its_own_marks_only() -> None:
    assert shapes.resource(row(ZVOL)).volume() == VOLUME


def test_a_volume_by_its_path_shows_inherited_marks_too() -> None:
    (found,) = shapes.zfs_resources([RESOURCE])

    assert found.volume().marks == {"org.pyvmiscsi:disk": "mine", "org.pyvmiscsi:guest": "web1"}
    assert (found.volume().size, found.volume().used, found.volume().origin) == (VOLUME.size, VOLUME.used, None)
    assert found.volume().compression == "lz4"


def test_a_reservation_makes_a_volume_thick() -> None:
    assert shapes.resource(row(ZVOL, refreservation=prop(21476081664))).volume().thick
    assert not shapes.resource(row(ZVOL, refreservation=prop(0))).volume().thick


def test_numbers_are_taken_from_the_raw_text_where_parsed_is_none() -> None:
    size = {"parsed": "20G", "rawvalue": "21474836480", "value": "20G", "source": "LOCAL"}

    assert shapes.resource(row(ZVOL, volsize=size)).volume().size == VOLUME.size


def test_the_origin_of_a_clone_is_not_shouted() -> None:
    origin = {"parsed": "tank/img@gold", "rawvalue": "tank/img@gold", "value": "TANK/IMG@GOLD", "source": "NONE"}

    assert shapes.resource(row(ZVOL, origin=origin)).volume().origin == "tank/img@gold"


def test_a_filesystem_is_a_dataset() -> None:
    found = shapes.resource(Row("pool.dataset.query", {"id": "tank/vm", "type": "FILESYSTEM", "user_properties": {}}))

    assert not found.is_volume
    assert found.dataset() == Dataset(DatasetPath("tank/vm"))


def test_children_are_read_as_rows_of_their_own() -> None:
    guest = {"id": "tank/vm/web1", "type": "FILESYSTEM", "children": [ZVOL]}

    found = shapes.resources("pool.dataset.query", [{"id": "tank/vm", "type": "FILESYSTEM", "children": [guest]}])

    assert {resource.name for resource in found} == {"tank/vm", "tank/vm/web1", "tank/vm/web1/disk0"}


def test_a_volume_without_its_size_is_no_answer() -> None:
    with pytest.raises(NasProtocolError, match="'volsize'"):
        shapes.resource(without(ZVOL, "volsize")).volume()


def test_an_extent_is_read() -> None:
    assert shapes.extent(row(EXTENT)) == Extent(
        "web1-disk0",
        DatasetPath("tank/vm/web1/disk0"),
        Serial("0123456789ab-00"),
        comment="ours",
        naa="0x6589cfc00000033f74d0d84613b0caea",
    )


@pytest.mark.parametrize("name", ["name", "serial", "blocksize", "comment", "enabled", "ro"])
def test_an_extent_that_lacks_a_field_is_no_answer(name: str) -> None:
    with pytest.raises(NasProtocolError, match=f"'{name}'"):
        shapes.extent(without(EXTENT, name))


@pytest.mark.parametrize(("name", "value"), [("blocksize", "512"), ("enabled", 1), ("name", None), ("blocksize", True)])
def test_a_field_of_another_type_is_no_answer(name: str, value: object) -> None:
    with pytest.raises(NasProtocolError, match=f"'{name}'"):
        shapes.extent(row(EXTENT, **{name: value}))


@pytest.mark.parametrize("disk", [None, "da1"])
def test_an_extent_of_a_file_or_a_whole_disk_is_in_the_way(disk: str | None) -> None:
    with pytest.raises(ConflictError):
        shapes.extent(row(EXTENT, disk=disk))


def test_a_target_is_read_by_its_name_below_the_basename() -> None:
    assert shapes.target(row(TARGET), BASE) == Target(BASE.child("web1-disk0"), 1, None, chap_tag=41)


def test_a_target_with_a_full_name_keeps_it() -> None:
    found = shapes.target(row(TARGET, name="iqn.2011-03.org.example:web1", groups=[]), BASE)

    assert found == Target(Iqn.parse("iqn.2011-03.org.example:web1"), portal_group=0)


def test_a_target_is_as_weak_as_its_weakest_group() -> None:
    groups = [
        {"portal": 1, "initiator": 2, "authmethod": "CHAP_MUTUAL", "auth": 41},
        {"portal": 3, "initiator": None, "authmethod": "NONE", "auth": 41},
    ]

    assert shapes.target(row(TARGET, groups=groups), BASE) == Target(BASE.child("web1-disk0"), 3)
    assert shapes.target(row(TARGET, groups=groups[:1]), BASE) == Target(
        BASE.child("web1-disk0"), 1, 2, 41, mutual=True
    )


def test_a_mapping_is_read() -> None:
    found = shapes.mapping(row(MAPPING))

    assert (found.number, found.target, found.extent, found.lun) == (9, 5, 7, Lun(1))


def test_a_credential_is_read_with_its_secret() -> None:
    account = {"id": 1, "tag": 41, "user": "web1", "secret": "twelve2chars", "peeruser": "", "peersecret": ""}

    assert shapes.credential(row(account)) == Credential(41, "web1", Secret("twelve2chars"))


@pytest.mark.parametrize("name", ["secret", "peersecret"])
def test_a_redacted_secret_names_the_missing_role(name: str) -> None:
    account = {
        "id": 1,
        "tag": 41,
        "user": "web1",
        "secret": "twelve2chars",
        "peeruser": "n",
        "peersecret": "other2secret",
    }

    with pytest.raises(NasAuthError) as caught:
        shapes.credential(row(account, **{name: "********"}))

    assert "SHARING_ISCSI_AUTH_WRITE" in caught.value.hint


def test_a_session_is_read() -> None:
    assert shapes.session(row(SESSION)) == NasSession(
        BASE.child("web1-disk0"), "iqn.1994-09.org.freebsd:hv1", "10.0.0.7"
    )


def test_sessions_of_targets_that_are_no_iqn_are_left_out() -> None:
    odd = {**SESSION, "target": "eui.0123456789abcdef"}
    assert len(list(ours(shapes.session, [row(SESSION), row(odd)]))) == 1


def test_the_whole_leaves_out_what_no_guest_can_have() -> None:
    file_extent = {**EXTENT, "id": 8, "name": "file", "disk": None}
    snapshot_extent = {**EXTENT, "id": 10, "name": "snap", "disk": "zvol/tank/vm/web1/disk0@s", "ro": True}
    elsewhere = {**EXTENT, "id": 11, "name": "else", "disk": "zvol/tank/other/disk0"}
    strange, unmapped = {**TARGET, "id": 6, "name": "else"}, {**TARGET, "id": 3, "name": "new"}
    mappings = [
        MAPPING,
        {"id": 10, "target": 6, "extent": 11, "lunid": 0},
        {"id": 11, "target": 6, "extent": 8, "lunid": 1},
    ]
    sessions = [SESSION, {**SESSION, "target": f"{BASE}:else"}]

    found = whole(
        DatasetPath("tank/vm"),
        below=shapes.resources("pool.dataset.query", [{"id": "tank/vm", "type": "FILESYSTEM", "children": [ZVOL]}]),
        extents=[row(fields) for fields in (EXTENT, file_extent, snapshot_extent, elsewhere)],
        targets=[row(fields) for fields in (TARGET, strange, unmapped)],
        mappings=[row(fields) for fields in mappings],
        sessions=[row(fields) for fields in sessions],
        base=BASE,
    )

    assert found.datasets == ()
    assert found.volumes == (VOLUME,)
    assert [extent.name for extent in found.extents] == ["web1-disk0"]
    assert [target.iqn.text for target in found.targets] == [f"{BASE}:new", f"{BASE}:web1-disk0"]
    assert [(mapping.extent, mapping.lun) for mapping in found.mappings] == [("web1-disk0", Lun(1))]
    assert found.sessions == (shapes.session(row(SESSION)),)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
READERS: list[Callable[[Any], object]] = [
    shapes.basename,
    lambda value: shapes.resources("q", value),
    shapes.zfs_resources,
    lambda value: [shapes.extent(found) for found in shapes.rows("q", value)],
    lambda value: [shapes.target(found, BASE) for found in shapes.rows("q", value)],
    lambda value: [shapes.mapping(found) for found in shapes.rows("q", value)],
    lambda value: [shapes.credential(found) for found in shapes.rows("q", value)],
    lambda value: [shapes.session(found) for found in shapes.rows("q", value)],
]


@pytest.mark.parametrize("read", READERS)
@given(value=json_values)
def test_no_answer_is_so_strange_that_the_error_is_not_ours(read: Any, value: object) -> None:
    for answer in (value, [value], [{**EXTENT, **TARGET, **ZVOL, **MAPPING, **SESSION, "type": value}]):
        try:
            read(answer)
        except PyvmiscsiError:
            continue


@pytest.mark.parametrize("fields", [EXTENT, TARGET, MAPPING, ZVOL, SESSION, RESOURCE])
@given(value=json_values, data=st.data())
def test_no_field_is_so_strange_that_the_error_is_not_ours(
    fields: dict[str, Any], value: object, data: st.DataObject
) -> None:
    changed = [{**fields, data.draw(st.sampled_from(sorted(fields))): value}]
    for read in READERS:
        try:
            read(changed)
        except PyvmiscsiError:
            continue


# snapshots

SNAPSHOT: dict[str, Any] = {
    "id": "tank/vm/web1/disk0@monday",
    "name": "tank/vm/web1/disk0@monday",
    "snapshot_name": "monday",
    "dataset": "tank/vm/web1/disk0",
    "pool": "tank",
    "type": "SNAPSHOT",
    "createtxg": "4336320",
    "properties": {
        "creation": {
            "parsed": {"$date": 1789610000000},
            "rawvalue": "1789610000",
            "value": "Thu Sep 17 01:53:20 2026",
            "source": "NONE",
        },
        "org.pyvmiscsi:guest": prop("web1"),
        "org.pyvmiscsi:disk": prop("handed down", "INHERITED"),
        "org.example:other": prop("theirs"),
    },
    "holds": {"truenas": 1789610001},
}
RESOURCE_SNAPSHOT: dict[str, Any] = {
    "createtxg": 4336320,
    "guid": 7646103735757245000,
    "name": "tank/vm/web1/disk0@monday",
    "snapshot_name": "monday",
    "dataset": "tank/vm/web1/disk0",
    "pool": "tank",
    "type": "SNAPSHOT",
    "properties": {"creation": {"raw": "1789610000", "source": None, "value": 1789610000}},
    "user_properties": {"org.pyvmiscsi:guest": "web1", "org.freenas:description": "INHERIT"},
    "holds": ["truenas"],
}


@pytest.mark.parametrize("told", [SNAPSHOT, RESOURCE_SNAPSHOT], ids=["25.10", "26"])
def test_a_snapshot_is_read_whichever_way_it_is_told(told: dict[str, Any]) -> None:
    found = shapes.snapshot(Row("m", told))

    assert found.holds == ("truenas",)
    assert found.snapshot() == Snapshot(
        DatasetPath("tank/vm/web1/disk0"),
        SnapshotName("monday"),
        datetime(2026, 9, 17, 1, 53, 20, tzinfo=UTC),
        {"org.pyvmiscsi:guest": "web1"},
    )


@pytest.mark.parametrize("properties", [None, {}])
def test_a_snapshot_may_come_without_its_time_but_is_none_then(properties: object) -> None:
    found = shapes.snapshot(Row("m", {**SNAPSHOT, "properties": properties, "holds": None}))

    assert (found.created, found.holds) == (None, ())
    with pytest.raises(NasProtocolError, match="m: the answer has no 'creation' for tank/vm/web1/disk0@monday"):
        found.snapshot()


def test_snapshots_are_sorted_by_transaction_and_those_of_others_left_out() -> None:
    late = {**SNAPSHOT, "snapshot_name": "a", "createtxg": "10"}
    early = {**SNAPSHOT, "snapshot_name": "b", "createtxg": "9"}
    other = {**SNAPSHOT, "dataset": "tank/vm/web1"}

    found = shapes.snapshots([Row("m", row) for row in (late, other, early)], DatasetPath("tank/vm/web1/disk0"))

    assert [str(snapshot) for snapshot in found] == ["tank/vm/web1/disk0@b", "tank/vm/web1/disk0@a"]


@pytest.mark.parametrize("createtxg", [None, "soon", 1.5, True])
def test_a_transaction_that_is_no_number_is_a_protocol_error(createtxg: object) -> None:
    with pytest.raises(NasProtocolError, match="'createtxg'"):
        shapes.snapshot(Row("m", {**SNAPSHOT, "createtxg": createtxg}))
