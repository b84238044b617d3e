"""What an initiator finds behind a LUN after the nas grew, rolled back, cloned or renamed what is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from pyvmiscsi.errors import LoginError
from pyvmiscsi.initiator.libiscsi.session import Session
from pyvmiscsi.model import Extent, Mapping, Target
from pyvmiscsi.names import DatasetPath, Iqn, Lun, Serial
from pyvmiscsi.nas.connect import connect
from pyvmiscsi.ports import Nas
from pyvmiscsi.units import Size
from tests.contracts.nas_contract import DISK, EXTENT, GUEST, PARENT, VOLUME
from tests.contracts.nas_snapshot_contract import MONDAY
from tests.nas.appliances import Appliance

LUN = 1
OTHER_GUEST = PARENT.child("web2")
OLD, NEW = b"old".ljust(512, b"."), b"new".ljust(512, b".")


@pytest.fixture(params=[("24.10", "rest2"), ("25.10", "jsonrpc"), ("26.0", "jsonrpc")], ids="-".join)
def appliance(request: pytest.FixtureRequest, appliance_of: Callable[[str], Appliance]) -> Appliance:
    appliance = appliance_of(request.param[0])
    appliance.dialect = request.param[1]
    return appliance


@pytest.fixture
def nas(appliance: Appliance) -> Iterator[Nas]:
    nas = connect(appliance.record(appliance.dialect), warn=pytest.fail)
    nas.create_dataset(GUEST, {})
    nas.create_dataset(OTHER_GUEST, {})
    nas.create_volume(VOLUME)
    yield nas
    nas.close()


def export(nas: Nas, volume: DatasetPath, name: str, serial: str) -> Iqn:
    target = nas.create_target(Target(nas.basename().child(name), portal_group=1))
    nas.create_extent(Extent(name, volume, Serial.parse(serial)))
    nas.create_mapping(Mapping(target.iqn, name, Lun(LUN)))
    return target.iqn


@pytest.fixture
def target(nas: Nas) -> Iqn:
    return export(nas, DISK, EXTENT.name, str(EXTENT.serial))


def write(appliance: Appliance, target: Iqn, data: bytes) -> None:
    with Session.login(appliance.portal, target) as session:
        session.settle(LUN)
        session.write(LUN, data, sector=0)
        session.synchronize(LUN)


def read(appliance: Appliance, target: Iqn) -> bytes:
    with Session.login(appliance.portal, target) as session:
        session.settle(LUN)
        return session.read(LUN, sector=0, count=1)


def test_a_lun_grows_with_its_volume(appliance: Appliance, nas: Nas, target: Iqn) -> None:
    write(appliance, target, OLD)

    nas.grow_volume(DISK, Size.parse("128M"))

    with Session.login(appliance.portal, target) as session:
        session.settle(LUN)
        capacity = session.capacity(LUN)
        assert (capacity.size, capacity.sector) == (Size.parse("128M").bytes, 512)
        assert session.read(LUN, sector=0, count=1) == OLD


def test_a_lun_shows_what_was_there_after_a_rollback(appliance: Appliance, nas: Nas, target: Iqn) -> None:
    write(appliance, target, OLD)
    nas.create_snapshot(GUEST, MONDAY, recursive=True)
    write(appliance, target, NEW)
    assert read(appliance, target) == NEW

    nas.rollback(DISK, MONDAY)

    assert read(appliance, target) == OLD


def test_a_clone_has_its_own_lun_and_the_same_data(appliance: Appliance, nas: Nas, target: Iqn) -> None:
    write(appliance, target, OLD)
    nas.create_snapshot(DISK, MONDAY)
    clone = nas.clone(DISK, MONDAY, OTHER_GUEST.child("disk0"), {})
    other = export(nas, clone.path, "web2-disk0", "0123456789ab-01")

    write(appliance, other, NEW)
    nas.promote(clone.path)

    assert (read(appliance, target), read(appliance, other)) == (OLD, NEW)


def test_a_renamed_guest_is_reached_by_its_new_name_only(appliance: Appliance, nas: Nas, target: Iqn) -> None:
    write(appliance, target, OLD)
    moved, renamed = DISK, nas.basename().child("db1-disk0")
    if nas.capabilities().rename_dataset:
        nas.rename_dataset(GUEST, PARENT.child("db1"))
        moved = PARENT.child("db1").child("disk0")

    extent = nas.change_extent(EXTENT.name, volume=moved, new_name="db1-disk0")
    nas.rename_target(target, renamed)

    assert replace(extent, naa=None) == replace(EXTENT, name="db1-disk0", volume=moved, comment="")
    assert read(appliance, renamed) == OLD
    with Session.login(appliance.portal, renamed) as session:
        session.settle(LUN)
        assert session.serial(LUN) == str(EXTENT.serial)
    with pytest.raises(LoginError):
        Session.login(appliance.portal, target)
