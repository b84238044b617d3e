"""Guests, read from what a nas shows."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from pyvmiscsi.errors import ConflictError
from pyvmiscsi.model import Dataset, Extent, Inventory, Mapping, NasSession, Target, Volume
from pyvmiscsi.names import DatasetPath, DiskName, GuestName, Lun, Serial
from pyvmiscsi.operations.destroy import DestroyRequest
from pyvmiscsi.operations.guests import GuestMark, clones_of, guest_records
from pyvmiscsi.steps.signature import Signature
from pyvmiscsi.units import Size
from tests.fakes.nas import BASENAME
from tests.operations.scenes import datastore_in

WEB1 = GuestName("web1")
IQN = BASENAME.child("web1-disk0")
GIB = Size.parse("1G")


def marked(path: str, guest: str) -> Dataset:
    anchor = DatasetPath(path)
    return Dataset(anchor, GuestMark(GuestName(guest), uuid4(), "iscsi1").as_marks(anchor))


def test_a_guest_is_its_mark_its_disks_in_order_and_what_exports_them(tmp_path: Path) -> None:
    inventory = Inventory(
        datasets=(marked("tank/vm/web1", "web1"),),
        volumes=tuple(Volume(DatasetPath(f"tank/vm/web1/disk{number}"), GIB) for number in (10, 2, 0)),
        extents=(Extent("web1-disk0", DatasetPath("tank/vm/web1/disk0"), Serial("S0")),),
        targets=(Target(IQN, 1, chap_tag=77),),
        mappings=(Mapping(IQN, "web1-disk0", Lun(1)),),
        sessions=(NasSession(IQN, "iqn.1994-09.org.freebsd:hv1", "10.0.0.11"),),
    )
    (record,) = guest_records(datastore_in(tmp_path), inventory)
    assert record.name == WEB1
    assert [str(disk.name) for disk in record.disks] == ["disk0", "disk2", "disk10"]
    assert record.disks[0].sessions[0].address == "10.0.0.11"
    assert record.chap_tag == 77
    assert record.disks[0].proof(datastore_in(tmp_path)).serial == Serial("S0")


def test_an_inherited_mark_makes_no_guest_of_a_child(tmp_path: Path) -> None:
    parent = marked("tank/vm/web1", "web1")
    child = Dataset(DatasetPath("tank/vm/web1/backup"), parent.marks)
    assert len(guest_records(datastore_in(tmp_path), Inventory(datasets=(parent, child)))) == 1


def test_volumes_that_are_no_disks_are_left_out(tmp_path: Path) -> None:
    volumes = tuple(Volume(DatasetPath(f"tank/vm/web1/{leaf}"), GIB) for leaf in ("swap", "disk01", "diskette"))
    inventory = Inventory(datasets=(marked("tank/vm/web1", "web1"),), volumes=volumes)
    (record,) = guest_records(datastore_in(tmp_path), inventory)
    assert record.disks == ()


def test_a_guest_with_a_dash_and_digits_in_its_name_is_told_from_its_disk_in_a_flat_datastore(tmp_path: Path) -> None:
    path = DatasetPath("tank/vm/web-disk1-disk0")
    mark = GuestMark(GuestName("web-disk1"), uuid4(), "iscsi1")
    inventory = Inventory(volumes=(Volume(path, GIB, marks=mark.as_marks(path)),))
    (record,) = guest_records(datastore_in(tmp_path, layout="flat"), inventory)
    assert record.name == GuestName("web-disk1")
    assert [disk.name for disk in record.disks] == [DiskName(0)]


def test_a_half_made_disk_cannot_be_proven_and_says_what_it_lacks(tmp_path: Path) -> None:
    volume = Volume(DatasetPath("tank/vm/web1/disk0"), GIB)
    inventory = Inventory(datasets=(marked("tank/vm/web1", "web1"),), volumes=(volume,))
    (record,) = guest_records(datastore_in(tmp_path), inventory)
    with pytest.raises(ConflictError, match="no extent"):
        record.disks[0].proof(datastore_in(tmp_path))


def test_a_volume_that_another_extent_offers_too_is_not_destroyed(tmp_path: Path) -> None:
    """Releases before 25.10 let two extents offer one volume (nas-wire.md 2.9)."""
    path = DatasetPath("tank/vm/web1/disk0")
    owner = marked("tank/vm/web1", "web1")
    extents = (Extent("backup", path, Serial("B1")), Extent("web1-disk0", path, Serial("S0")))
    inventory = Inventory(datasets=(owner,), volumes=(Volume(path, GIB),), extents=extents)
    (record,) = guest_records(datastore_in(tmp_path), inventory)
    assert record.disks[0].extent == extents[1]
    with pytest.raises(ConflictError, match="backup"):
        DestroyRequest.of(record, datastore_in(tmp_path))


@pytest.mark.parametrize("own", [True, False], ids=["its-own-target", "the-target-of-its-name"])
def test_a_target_that_offers_anothers_extent_is_not_taken_away(own: bool, tmp_path: Path) -> None:
    """As where somebody withdrew the guest's exports, and made a guest of its name in another datastore of the nas."""
    path, theirs = DatasetPath("tank/vm/web1/disk0"), DatasetPath("tank/other/web1/disk0")
    inventory = Inventory(
        datasets=(marked("tank/vm/web1", "web1"),),
        volumes=(Volume(path, GIB),),
        extents=(Extent("theirs", theirs, Serial("T0")), *((Extent("web1-disk0", path, Serial("S0")),) if own else ())),
        targets=(Target(IQN, 1),),
        mappings=(Mapping(IQN, "theirs", Lun(2)), *((Mapping(IQN, "web1-disk0", Lun(1)),) if own else ())),
    )
    (record,) = guest_records(datastore_in(tmp_path), inventory)
    with pytest.raises(ConflictError, match="offers extent theirs too"):
        DestroyRequest.of(record, datastore_in(tmp_path))


def test_one_target_may_offer_several_disks_of_a_guest(tmp_path: Path) -> None:
    paths = [DatasetPath(f"tank/vm/web1/disk{number}") for number in (0, 1)]
    owner = marked("tank/vm/web1", "web1")
    mark = GuestMark.in_marks(owner.path, owner.marks)
    assert mark is not None
    signed = [Signature(mark.uuid, "c0ffee01").as_marks(path) for path in paths]
    inventory = Inventory(
        datasets=(owner,),
        volumes=tuple(Volume(path, GIB, marks=marks) for path, marks in zip(paths, signed, strict=True)),
        extents=tuple(Extent(f"web1-disk{number}", path, Serial(f"S{number}")) for number, path in enumerate(paths)),
        targets=(Target(IQN, 1),),
        mappings=tuple(Mapping(IQN, f"web1-disk{number}", Lun(number)) for number in (0, 1)),
    )
    (record,) = guest_records(datastore_in(tmp_path), inventory)
    assert len(DestroyRequest.of(record, datastore_in(tmp_path)).disks) == 2


def test_clones_of_a_volume_are_told_from_those_of_one_whose_name_begins_alike() -> None:
    origins = ("tank/vm/web1/disk0@monday", "tank/vm/web1/disk01@monday", "tank/vm/db1/disk0@monday", None)
    paths = [DatasetPath(f"tank/vm/clone{number}") for number in range(4)]
    volumes = tuple(Volume(path, GIB, origin=origin) for path, origin in zip(paths, origins, strict=True))
    found = clones_of(DatasetPath("tank/vm/web1/disk0"), Inventory(volumes=volumes))
    assert [volume.path for volume in found] == paths[:1]
