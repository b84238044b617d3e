"""How many calls things take, counted by the appliance itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from pyvmiscsi.model import Mapping, Target
from pyvmiscsi.names import Lun, SnapshotName
from pyvmiscsi.nas.connect import connect
from pyvmiscsi.ports import Nas
from tests.contracts.nas_contract import CREDENTIAL, DISK, EXTENT, GUEST, MARK, PARENT, VOLUME
from tests.nas.appliances import Appliance


@pytest.fixture(
    params=[("24.10", "rest2"), ("25.04", "jsonrpc"), ("25.10", "jsonrpc"), ("26.0", "jsonrpc")], ids="-".join
)
def appliance(request: pytest.FixtureRequest, appliance_of: Callable[[str], Appliance]) -> Appliance:
    appliance = appliance_of(request.param[0])
    appliance.dialect = request.param[1]
    return appliance


@pytest.fixture
def nas(appliance: Appliance) -> Iterator[Nas]:
    nas = connect(appliance.record(appliance.dialect), warn=pytest.fail)
    yield nas
    nas.close()


def counted(appliance: Appliance, kind: str) -> list[str]:
    return [call["method"] for call in appliance.control.calls() if call["kind"] == kind]


def create(nas: Nas) -> Target:
    """What a plan does for a guest with one disk: two looks, then seven facts, then the intent goes."""
    target = Target(nas.basename().child("web1-disk0"), portal_group=1, chap_tag=CREDENTIAL.tag)
    assert nas.find_target(target.iqn) is None
    assert nas.find_credentials(tag=CREDENTIAL.tag) == ()
    nas.create_dataset(GUEST, {MARK: "web1", "org.pyvmiscsi:op.1": "create"})
    nas.create_volume(VOLUME)
    nas.create_credential(CREDENTIAL)
    nas.create_target(target)
    nas.create_extent(EXTENT)
    nas.create_mapping(Mapping(target.iqn, EXTENT.name, Lun(1)))
    nas.change_marks(GUEST, {"org.pyvmiscsi:op.1": None})
    return target


def test_a_guest_with_one_disk_takes_seven_writes_and_three_reads(appliance: Appliance, nas: Nas) -> None:
    create(nas)

    assert counted(appliance, "write") == [
        "pool.dataset.create",
        "pool.dataset.create",
        "iscsi.auth.create",
        "iscsi.target.create",
        "iscsi.extent.create",
        "iscsi.targetextent.create",
        "pool.dataset.update",
    ]
    assert counted(appliance, "read") == ["iscsi.global.config", "iscsi.target.query", "iscsi.auth.query"]


def test_taking_it_away_takes_six_writes(appliance: Appliance, nas: Nas) -> None:
    target = create(nas)
    appliance.control.reset_calls()

    nas.change_marks(GUEST, {"org.pyvmiscsi:op.2": "destroy"})
    nas.delete_target(target.iqn)
    nas.delete_extent(EXTENT.name)
    nas.delete_credential(tag=CREDENTIAL.tag, user=CREDENTIAL.user)
    nas.delete_volume(DISK)
    nas.delete_dataset(GUEST)

    assert len(counted(appliance, "write")) == 6
    assert nas.find_dataset(GUEST) is None


def test_listing_everything_takes_six_calls_whatever_the_count(appliance: Appliance, nas: Nas) -> None:
    target = create(nas)
    for number in range(1, 6):
        volume = replace(VOLUME, path=GUEST.child(f"disk{number}"))
        nas.create_volume(volume)
        serial = replace(EXTENT.serial, text=f"0123456789ab-{number:02}")
        extent = replace(EXTENT, name=f"web1-disk{number}", volume=volume.path, serial=serial)
        nas.create_extent(extent)
        nas.create_mapping(Mapping(target.iqn, extent.name, Lun(number + 1)))
    appliance.control.reset_calls()

    with_another_connection = connect(appliance.record(appliance.dialect), warn=pytest.fail)
    found = with_another_connection.inventory(PARENT)
    with_another_connection.close()

    assert [len(kind) for kind in (found.volumes, found.extents, found.targets, found.mappings)] == [6, 6, 1, 6]
    assert len(counted(appliance, "read")) == 6
    assert counted(appliance, "write") == []


def test_a_session_logs_in_once(appliance: Appliance, nas: Nas) -> None:
    create(nas)
    nas.inventory(PARENT)

    assert counted(appliance, "session") == (["auth.login_ex"] if appliance.dialect == "jsonrpc" else [])


def test_each_verb_of_a_guests_life_takes_one_write(appliance: Appliance, nas: Nas) -> None:
    """Snapshots of all disks at once, too; reads are what rows and thickness must be looked up for.

    But for a clone on 26, which must be marked after it is made; the answer to that shows it.
    """
    target = create(nas)
    monday, clone = SnapshotName("monday"), PARENT.child("web2-disk0")
    other = nas.basename().child("web2-disk0")

    def writes_and_reads(call: Callable[[], object]) -> tuple[int, int]:
        appliance.control.reset_calls()
        call()
        return len(counted(appliance, "write")), len(counted(appliance, "read"))

    assert writes_and_reads(lambda: nas.create_snapshot(GUEST, monday, recursive=True)) == (1, 0)
    assert writes_and_reads(lambda: nas.snapshots(DISK)) == (0, 1)
    assert writes_and_reads(lambda: nas.find_snapshot(DISK, monday)) == (0, 1)
    assert writes_and_reads(lambda: nas.rollback(DISK, monday)) == (1, 0)
    assert writes_and_reads(lambda: nas.clone(DISK, monday, clone, {MARK: "web2"})) == (
        (2, 0) if appliance.release == "26.0" else (1, 1)
    )
    assert writes_and_reads(lambda: nas.promote(clone)) == (1, 0)
    assert writes_and_reads(lambda: nas.grow_volume(DISK, VOLUME.size)) == (1, 1)
    assert writes_and_reads(lambda: nas.change_extent(EXTENT.name, comment="")) == (1, 1)
    assert writes_and_reads(lambda: nas.rename_target(target.iqn, other)) == (1, 1)
    assert writes_and_reads(lambda: nas.delete_snapshot(GUEST, monday)) == (1, 0)
    if nas.capabilities().rename_dataset:
        assert writes_and_reads(lambda: nas.rename_dataset(GUEST, PARENT.child("db1"))) == (1, 0)
