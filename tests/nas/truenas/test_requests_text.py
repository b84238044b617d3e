"""What is sent, to the letter: one golden request for each thing we ask of a TrueNAS."""

from __future__ import annotations

import json

import pytest

from pyvmiscsi.errors import NasRefusedError
from pyvmiscsi.model import Credential, Extent, Mapping, Target, Volume
from pyvmiscsi.names import DatasetPath, Iqn, Lun, Serial, SnapshotName
from pyvmiscsi.nas.truenas import requests_text as ask
from pyvmiscsi.nas.truenas.releases import KNOWN_SERIES, traits_of
from pyvmiscsi.nas.truenas.rpc import Request
from pyvmiscsi.secrets import Secret
from pyvmiscsi.units import Size

BASE = Iqn.parse("iqn.2005-10.org.freenas.ctl")
GUEST = DatasetPath.parse("tank/vm/web1")
DISK = GUEST.child("disk0")
TARGET = Target(BASE.child("web1-disk0"), portal_group=1)
MONDAY = SnapshotName("monday")
EVERY_SERIES = [(24, 10), *KNOWN_SERIES]


def test_a_dataset_comes_with_its_marks_and_an_empty_comment() -> None:
    assert ask.create_dataset(GUEST, {"org.pyvmiscsi:guest": "web1"}) == Request(
        "pool.dataset.create",
        (
            {
                "name": "tank/vm/web1",
                "type": "FILESYSTEM",
                "comments": "",
                "user_properties": [{"key": "org.pyvmiscsi:guest", "value": "web1"}],
            },
        ),
    )


def test_a_sparse_volume_may_promise_more_than_there_is() -> None:
    assert ask.create_volume(Volume(DISK, Size.parse("20G"))) == Request(
        "pool.dataset.create",
        (
            {
                "name": "tank/vm/web1/disk0",
                "type": "VOLUME",
                "volsize": 21474836480,
                "sparse": True,
                "force_size": True,
                "comments": "",
                "user_properties": [],
            },
        ),
    )


@pytest.mark.parametrize(("size", "spelling"), [("512", "512"), ("8K", "8K"), ("16384", "16K"), ("128K", "128K")])
def test_block_sizes_are_spelled_as_the_api_spells_them(size: str, spelling: str) -> None:
    request = ask.create_volume(Volume(DISK, Size.parse("1G"), thick=True, block_size=Size.parse(size)))

    entry = request.params[0]
    assert entry["volblocksize"] == spelling
    assert (entry["sparse"], entry["force_size"]) == (False, False)


def test_compression_is_shouted_and_left_to_the_nas_unless_asked_for() -> None:
    volume = Volume(DISK, Size.parse("1G"))

    assert "compression" not in ask.create_volume(volume).params[0]
    asked = ask.create_volume(Volume(DISK, Size.parse("1G"), compression="zstd-3"))
    assert asked.params[0]["compression"] == "ZSTD-3"


def test_marks_change_in_one_update() -> None:
    assert ask.change_marks(GUEST, {"org.pyvmiscsi:a": "1", "org.pyvmiscsi:b": None}) == Request(
        "pool.dataset.update",
        (
            "tank/vm/web1",
            {
                "user_properties_update": [
                    {"key": "org.pyvmiscsi:a", "value": "1"},
                    {"key": "org.pyvmiscsi:b", "remove": True},
                ]
            },
        ),
    )


@pytest.mark.parametrize("series", EVERY_SERIES)
def test_nothing_is_ever_forced_or_deleted_with_what_hangs_on_it(series: tuple[int, int]) -> None:
    traits = traits_of(series)
    deletes = [
        ask.delete_dataset(DISK, traits),
        ask.delete_target(5, traits),
        ask.delete_extent(7),
        ask.delete_mapping(9),
        ask.delete_snapshot(DISK, MONDAY, traits, recursive=False),
        ask.rollback(DISK, MONDAY, traits),
    ]

    assert "true" not in json.dumps([request.params for request in deletes])


def test_a_delete_sends_every_flag_that_the_release_has() -> None:
    assert ask.delete_extent(7).params == (7, False, False)
    assert ask.delete_mapping(9).params == (9, False)
    assert ask.delete_target(5, traits_of((24, 10))).params == (5, False)
    assert ask.delete_target(5, traits_of((25, 4))).params == (5, False, False)


def test_from_26_a_volume_is_destroyed_where_a_failure_is_told() -> None:
    assert ask.delete_dataset(DISK, traits_of((25, 10))) == Request(
        "pool.dataset.delete", ("tank/vm/web1/disk0", {"recursive": False, "force": False})
    )
    assert ask.delete_dataset(DISK, traits_of((26, 0))) == Request(
        "zfs.resource.destroy", ({"path": "tank/vm/web1/disk0", "recursive": False},)
    )


def test_growth_sends_the_size_and_lets_only_a_sparse_volume_promise_too_much() -> None:
    assert ask.grow_volume(DISK, Size.parse("20G"), thick=True) == Request(
        "pool.dataset.update", ("tank/vm/web1/disk0", {"volsize": 21474836480, "force_size": False})
    )
    assert ask.grow_volume(DISK, Size.parse("20G"), thick=False).params[1]["force_size"] is True


@pytest.mark.parametrize(
    ("series", "service"),
    [((24, 10), "zfs.snapshot"), ((25, 4), "zfs.snapshot"), ((25, 10), "pool.snapshot"), ((26, 0), "pool.snapshot")],
)
def test_snapshots_have_another_name_from_25_10(series: tuple[int, int], service: str) -> None:
    traits = traits_of(series)

    assert ask.rollback(DISK, MONDAY, traits) == Request(
        f"{service}.rollback",
        (
            "tank/vm/web1/disk0@monday",
            {"recursive": False, "recursive_clones": False, "force": False, "recursive_rollback": False},
        ),
    )
    assert ask.delete_snapshot(DISK, MONDAY, traits, recursive=True) == Request(
        f"{service}.delete", ("tank/vm/web1/disk0@monday", {"defer": False, "recursive": True})
    )


def test_a_snapshot_is_stamped_as_it_is_made() -> None:
    """Marks cannot be added later: 26 accepts that and forgets it (nas-wire.md 2.12)."""
    marks = {"org.pyvmiscsi:guest": "web1"}

    assert ask.create_snapshot(GUEST, MONDAY, marks, traits_of((25, 4)), recursive=True) == Request(
        "zfs.snapshot.create",
        ({"dataset": "tank/vm/web1", "name": "monday", "recursive": True, "properties": marks},),
    )
    assert ask.create_snapshot(GUEST, MONDAY, marks, traits_of((26, 0)), recursive=True) == Request(
        "zfs.resource.snapshot.create",
        ({"dataset": "tank/vm/web1", "name": "monday", "recursive": True, "user_properties": marks},),
    )


def test_the_marks_of_a_clone_come_with_the_clone_up_to_25_10() -> None:
    marks, clone = {"org.pyvmiscsi:guest": "web2"}, DatasetPath.parse("tank/vm/web2/disk0")

    assert ask.clone(DISK, MONDAY, clone, marks, traits_of((24, 10))) == Request(
        "zfs.snapshot.clone",
        (
            {
                "snapshot": "tank/vm/web1/disk0@monday",
                "dataset_dst": "tank/vm/web2/disk0",
                "dataset_properties": marks,
            },
        ),
    )
    assert ask.clone(DISK, MONDAY, clone, marks, traits_of((25, 10))).method == "pool.snapshot.clone"
    assert ask.clone(DISK, MONDAY, clone, marks, traits_of((26, 0))) == Request(
        "zfs.resource.snapshot.clone",
        ({"snapshot": "tank/vm/web1/disk0@monday", "dataset": "tank/vm/web2/disk0"},),
    )


def test_a_rename_admits_that_it_knows_what_goes_stale() -> None:
    """Every release that can rename a dataset refuses to without `force`; nothing is checked either way."""
    assert ask.rename_dataset(GUEST, DatasetPath.parse("tank/vm/web2")) == Request(
        "pool.dataset.rename", ("tank/vm/web1", {"new_name": "tank/vm/web2", "recursive": False, "force": True})
    )


def test_a_change_of_an_extent_sends_what_changes_alone() -> None:
    assert ask.change_extent(7, volume=DISK, new_name="web2-disk0") == Request(
        "iscsi.extent.update", (7, {"disk": "zvol/tank/vm/web1/disk0", "name": "web2-disk0"})
    )
    assert ask.change_extent(7, comment="").params == (7, {"comment": ""})


def test_a_target_is_renamed_by_its_short_name() -> None:
    assert ask.rename_target(5, BASE.child("web2-disk0"), BASE) == Request(
        "iscsi.target.update", (5, {"name": "web2-disk0"})
    )


def test_snapshots_are_asked_for_in_the_cheapest_way_the_release_has() -> None:
    one_property = {"extra": {"properties": ["creation"], "holds": False}}

    assert ask.snapshots(DISK, traits_of((25, 10))) == Request(
        "pool.snapshot.query", ([["dataset", "=", "tank/vm/web1/disk0"]], one_property)
    )
    assert ask.find_snapshot(DISK, MONDAY, traits_of((25, 10))) == Request(
        "pool.snapshot.query", ([["id", "=", "tank/vm/web1/disk0@monday"]], one_property)
    )
    by_path = Request(
        "zfs.resource.snapshot.query",
        (
            {
                "paths": ["tank/vm/web1/disk0"],
                "properties": ["creation"],
                "get_user_properties": True,
                "get_holds": False,
            },
        ),
    )
    assert ask.snapshots(DISK, traits_of((26, 0))) == by_path
    assert ask.find_snapshot(DISK, MONDAY, traits_of((26, 0))) == by_path


def test_an_extent_has_512_byte_blocks_and_its_own_serial() -> None:
    extent = Extent("web1-disk0", DISK, Serial.parse("0123456789ab-00"), comment="ours")

    assert ask.create_extent(extent) == Request(
        "iscsi.extent.create",
        (
            {
                "name": "web1-disk0",
                "type": "DISK",
                "disk": "zvol/tank/vm/web1/disk0",
                "blocksize": 512,
                "serial": "0123456789ab-00",
                "comment": "ours",
                "ro": False,
                "enabled": True,
            },
        ),
    )


def test_extents_are_asked_for_without_the_costly_locked() -> None:
    (filters, options) = ask.all_extents().params

    assert filters == []
    assert "locked" not in options["select"]


def test_a_target_below_the_basename_is_sent_by_its_short_name() -> None:
    assert ask.create_target(TARGET, BASE) == Request(
        "iscsi.target.create",
        (
            {
                "name": "web1-disk0",
                "alias": None,
                "mode": "ISCSI",
                "groups": [{"portal": 1, "initiator": None, "authmethod": "NONE", "auth": None}],
            },
        ),
    )


def test_a_target_elsewhere_is_sent_in_full_and_chap_by_its_tag() -> None:
    target = Target(Iqn.parse("iqn.2011-03.org.example:web1-disk0"), 2, 3, chap_tag=41, mutual=True)

    entry = ask.create_target(target, BASE).params[0]

    assert entry["name"] == "iqn.2011-03.org.example:web1-disk0"
    assert entry["groups"] == [{"portal": 2, "initiator": 3, "authmethod": "CHAP_MUTUAL", "auth": 41}]


def test_a_target_is_looked_for_under_both_its_spellings() -> None:
    ((filter_,), _) = ask.find_target(TARGET.iqn, BASE).params

    assert filter_ == ["name", "in", ["web1-disk0", "iqn.2005-10.org.freenas.ctl:web1-disk0"]]


def test_a_mapping_is_made_of_row_numbers() -> None:
    request = ask.create_mapping(Mapping(TARGET.iqn, "web1-disk0", Lun(0)), 5, 7)

    assert request == Request("iscsi.targetextent.create", ({"target": 5, "extent": 7, "lunid": 0},))


def test_a_credential_is_sent_with_its_secrets() -> None:
    mutual = Credential(41, "web1", Secret("twelve2chars"), "nas1", Secret("other2secret"))

    assert ask.create_credential(mutual).params == (
        {"tag": 41, "user": "web1", "secret": "twelve2chars", "peeruser": "nas1", "peersecret": "other2secret"},
    )


def test_of_a_credential_only_what_changes_is_sent() -> None:
    assert ask.change_credential(3, "web1", new_user="db1") == Request("iscsi.auth.update", (3, {"user": "db1"}))
    assert ask.change_credential(3, "web1", secret=Secret("twelve2chars")).params == (3, {"secret": "twelve2chars"})
    assert ask.change_credential(3, "web1", peer_user="", peer_secret=Secret("")).params == (
        3,
        {"peeruser": "", "peersecret": ""},
    )


def test_sessions_of_many_targets_are_sifted_here() -> None:
    few, many = [BASE.child(f"t{n}") for n in range(2)], [BASE.child(f"t{n}") for n in range(5000)]

    assert ask.sessions(few).params[0] == [["target", "in", [str(iqn) for iqn in few]]]
    assert ask.sessions(many).params[0] == []
    assert ask.sessions().params[0] == []


def test_everything_below_a_parent_is_asked_by_its_path() -> None:
    assert ask.all_below(GUEST, traits_of((25, 4))).method == "pool.dataset.query"
    assert ask.all_below(GUEST, traits_of((25, 4))).params[0] == [["id", "=", "tank/vm/web1"]]
    request = ask.all_below(GUEST, traits_of((25, 10)))
    assert request.method == "zfs.resource.query"
    assert request.params[0]["paths"] == ["tank/vm/web1"]


@pytest.mark.parametrize(
    ("request_", "is_read"),
    [
        (ask.find_dataset(DISK), True),
        (ask.all_below(DISK, traits_of((26, 0))), True),
        (ask.basename(), True),
        (ask.version(), True),
        (ask.sessions(), True),
        (ask.create_dataset(DISK, {}), False),
        (ask.change_marks(DISK, {}), False),
        (ask.delete_dataset(DISK, traits_of((26, 0))), False),
        (ask.change_credential(1, "web1", new_user="db1"), False),
        (ask.delete_credential(1), False),
        (ask.snapshots(DISK, traits_of((25, 4))), True),
        (ask.find_snapshot(DISK, MONDAY, traits_of((26, 0))), True),
        (ask.create_snapshot(DISK, MONDAY, {}, traits_of((26, 0)), recursive=False), False),
        (ask.rollback(DISK, MONDAY, traits_of((26, 0))), False),
        (ask.clone(DISK, MONDAY, GUEST, {}, traits_of((26, 0))), False),
        (ask.promote(DISK), False),
        (ask.rename_dataset(DISK, GUEST), False),
    ],
)
def test_only_what_changes_nothing_may_be_repeated(request_: Request, is_read: bool) -> None:
    assert request_.is_read == is_read


@pytest.mark.parametrize("secret", ["elevenchars", "seventeen-letters"])
def test_a_secret_that_the_nas_would_refuse_is_not_changed_to(secret: str) -> None:
    with pytest.raises(NasRefusedError, match="12 to 16 characters"):
        ask.change_credential(1, "web1", secret=Secret(secret))
    with pytest.raises(NasRefusedError, match="12 to 16 characters"):
        ask.change_credential(1, "web1", peer_secret=Secret(secret))


@pytest.mark.parametrize("secret", ["", "elevenchars", "seventeen-letters"])
def test_a_secret_that_the_nas_would_refuse_is_not_sent(secret: str) -> None:
    with pytest.raises(NasRefusedError, match="12 to 16 characters"):
        ask.create_credential(Credential(41, "web1", Secret(secret)))
    with pytest.raises(NasRefusedError, match="12 to 16 characters"):
        ask.create_credential(Credential(41, "web1", Secret("twelve2chars"), "nas1", Secret(secret)))
