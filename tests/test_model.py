"""The nouns' own arithmetic: which name belongs to which disk."""

from __future__ import annotations

import dataclasses
import inspect
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi import model
from pyvmiscsi.model import Credential, DatastoreRecord, chap_tag_of
from pyvmiscsi.names import DatasetPath, DiskName, GuestName, Iqn, Lun, Portal
from pyvmiscsi.secrets import Secret

NESTED = DatastoreRecord(
    "iscsi1",
    "nas1",
    Iqn.parse("iqn.2005-10.org.freenas.ctl"),
    DatasetPath.parse("tank/vm"),
    Portal.parse("10.0.0.10"),
    "/vmconfig",
    lun=Lun(1),
)
FLAT = replace(NESTED, layout="flat")
WEB1 = GuestName.parse("web1")


def test_nested_volumes_lie_in_the_guests_dataset() -> None:
    assert str(NESTED.volume_of(WEB1, DiskName(2))) == "tank/vm/web1/disk2"
    assert NESTED.anchor_of(WEB1) == DatasetPath.parse("tank/vm/web1")


def test_flat_volumes_lie_beside_each_other() -> None:
    assert str(FLAT.volume_of(WEB1, DiskName(2))) == "tank/vm/web1-disk2"
    assert FLAT.anchor_of(WEB1) == FLAT.volume_of(WEB1, DiskName(0))


@pytest.mark.parametrize("datastore", [NESTED, FLAT])
def test_a_disk_has_a_target_of_its_own_below_the_datastores_basename(datastore: DatastoreRecord) -> None:
    assert str(datastore.target_of(WEB1, DiskName(2))) == "iqn.2005-10.org.freenas.ctl:web1-disk2"


def test_two_guests_never_share_a_volume_or_a_target() -> None:
    """`web1-disk1` is a guest's name too: its disk0 must not be some disk of `web1`."""
    names = [GuestName.parse(text) for text in ("web1", "web1-disk0", "web1-disk1", "web1-disk0-disk0")]
    disks = [(guest, DiskName(number)) for guest in names for number in range(3)]

    for datastore in (NESTED, FLAT):
        assert len({datastore.volume_of(*disk) for disk in disks}) == len(disks)
        assert len({datastore.target_of(*disk) for disk in disks}) == len(disks)


@given(st.uuids())
def test_a_chap_tag_is_a_positive_number_of_31_bits(guest: UUID) -> None:
    assert 0 < chap_tag_of(guest) < 2**31


def test_a_chap_tag_is_never_zero() -> None:
    assert chap_tag_of(UUID(int=0)) == chap_tag_of(UUID(int=1 << 31)) == 1


def test_chap_is_mutual_when_there_is_a_peer() -> None:
    assert not Credential(1, "web1", Secret("x")).is_mutual
    assert Credential(1, "web1", Secret("x"), "nas", Secret("y")).is_mutual


NOUNS = [
    value for _, value in inspect.getmembers(model, dataclasses.is_dataclass) if value.__module__ == model.__name__
]


@pytest.mark.parametrize("noun", NOUNS)
def test_a_noun_is_frozen_and_has_no_room_for_more(noun: type) -> None:
    assert noun.__dataclass_params__.frozen  # type: ignore[attr-defined] # what dataclass() leaves on the class
    assert "__slots__" in vars(noun)


@pytest.mark.parametrize("noun", NOUNS)
def test_no_noun_holds_a_row_id_of_a_nas(noun: type) -> None:
    assert not {field.name for field in dataclasses.fields(noun)} & {"id", "row", "row_id"}
