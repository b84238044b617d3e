"""Bad luck: answers that are lost, devices that are late or held, limits that are met."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyvmiscsi.errors import BusyError, NasRateLimitedError, NasUnansweredError, NasUnreachableError
from pyvmiscsi.model import Mapping, Target
from pyvmiscsi.names import Lun
from pyvmiscsi.nas.connect import connect
from pyvmiscsi.nas.truenas.adapter import TrueNas
from pyvmiscsi.ports import Nas
from tests.contracts.nas_contract import DISK, EXTENT, GUEST, VOLUME
from tests.fakes.clock import FakeClock
from tests.nas.appliances import Appliance


@pytest.fixture(params=[("24.10", "rest2"), ("25.10", "jsonrpc")], ids="-".join)
def appliance(request: pytest.FixtureRequest, appliance_of: Callable[[str], Appliance]) -> Appliance:
    appliance = appliance_of(request.param[0])
    appliance.dialect = request.param[1]
    return appliance


@pytest.fixture
def nas(appliance: Appliance) -> Iterator[Nas]:
    nas = connect(appliance.record(appliance.dialect), warn=pytest.fail)
    yield nas
    nas.close()


@pytest.mark.parametrize("action", ["drop", "reset"])
def test_a_write_whose_answer_is_lost_is_not_repeated(appliance: Appliance, nas: Nas, action: str) -> None:
    nas.basename()
    appliance.control.fault("pool.dataset.create", action=action, when="after")

    with pytest.raises(NasUnansweredError):
        nas.create_dataset(GUEST, {})

    assert nas.find_dataset(GUEST) is not None
    assert [call["method"] for call in appliance.control.calls()].count("pool.dataset.create") == 1


@pytest.mark.parametrize("action", ["drop", "reset"])
def test_a_write_lost_before_its_effect_is_told_in_the_same_way(appliance: Appliance, nas: Nas, action: str) -> None:
    nas.basename()
    appliance.control.fault("pool.dataset.create", action=action, when="before")

    with pytest.raises(NasUnansweredError):
        nas.create_dataset(GUEST, {})

    assert nas.find_dataset(GUEST) is None


def test_a_read_whose_answer_is_lost_is_asked_again(appliance: Appliance, nas: Nas) -> None:
    appliance.control.fault("pool.dataset.query", action="drop", when="after")

    assert nas.find_dataset(GUEST) is None


def test_a_read_that_stays_without_answer_is_given_up(appliance: Appliance, nas: Nas) -> None:
    nas.basename()
    for nth in (1, 2):
        appliance.control.fault("pool.dataset.query", action="drop", when="after", nth=nth)

    with pytest.raises(NasUnreachableError):
        nas.find_dataset(GUEST)
    assert nas.find_dataset(GUEST) is None


def test_a_volume_still_held_by_the_target_is_waited_for(appliance: Appliance, nas: Nas, exported: Target) -> None:
    nas.delete_target(exported.iqn)
    nas.delete_extent(EXTENT.name)
    appliance.control.fault(
        "pool.dataset.delete", action="error", errno=16, text="Failed to delete dataset: dataset is busy"
    )

    nas.delete_volume(DISK)

    assert nas.find_volume(DISK) is None
    assert [call["method"] for call in appliance.control.calls()].count("pool.dataset.delete") == 2


def test_what_somebody_else_has_just_deleted_is_gone(appliance: Appliance, nas: Nas) -> None:
    nas.create_dataset(GUEST, {})
    appliance.control.fault("pool.dataset.delete", action="error", errno=2, text=f"PoolDataset {GUEST} does not exist")

    nas.delete_dataset(GUEST)


def test_a_volume_that_is_never_let_go_is_busy(appliance: Appliance, nas: Nas) -> None:
    nas.create_dataset(GUEST, {})
    nas.create_volume(VOLUME)
    for nth in range(1, 30):
        appliance.control.fault("pool.dataset.delete", action="error", errno=16, text="dataset is busy", nth=nth)
    clock = FakeClock()
    impatient = TrueNas(nas.rpc, clock=clock)  # type: ignore[attr-defined]  # it is a TrueNas

    with pytest.raises(BusyError, match="dataset is busy"):
        impatient.delete_volume(DISK)

    assert 30 <= sum(clock.slept) <= 61
    assert nas.find_volume(DISK) is not None


def test_a_volume_with_snapshots_is_not_waited_for(appliance: Appliance, nas: Nas) -> None:
    nas.create_dataset(GUEST, {})
    nas.create_volume(VOLUME)
    prefix = "zfs" if appliance.release < "25.10" else "pool"
    appliance.control.call(f"{prefix}.snapshot.create", {"dataset": str(DISK), "name": "kept"})
    appliance.control.reset_calls()

    with pytest.raises(BusyError):
        nas.delete_volume(DISK)

    assert [call["method"] for call in appliance.control.calls()].count("pool.dataset.delete") == 1
    appliance.control.call(f"{prefix}.snapshot.delete", f"{DISK}@kept", {})


def test_a_device_that_is_late_is_waited_for(appliance: Appliance, nas: Nas) -> None:
    nas.create_dataset(GUEST, {})
    nas.create_volume(VOLUME)
    appliance.control.fault(
        "iscsi.extent.create",
        action="error",
        errno=22,
        text=f"Device '/dev/zvol/{DISK}' for volume '{DISK}' does not exist",
    )

    assert nas.create_extent(EXTENT).name == EXTENT.name


@pytest.fixture
def exported(nas: Nas) -> Target:
    target = Target(nas.basename().child("web1-disk0"), portal_group=1)
    nas.create_dataset(GUEST, {})
    nas.create_volume(VOLUME)
    nas.create_extent(EXTENT)
    nas.create_target(target)
    nas.create_mapping(Mapping(target.iqn, EXTENT.name, Lun(1)))
    return target


def test_the_twenty_first_login_in_a_minute_is_told_what_to_do(tmp_path: Path) -> None:
    appliance = Appliance(tmp_path, "25.10", login_budget=20)
    try:
        for _ in range(20):
            nas = connect(appliance.record("jsonrpc"), warn=pytest.fail)
            nas.basename()
            nas.close()
        refused = connect(appliance.record("jsonrpc"), warn=pytest.fail)

        with pytest.raises(NasRateLimitedError, match="Rate Limit Exceeded") as caught:
            refused.basename()

        assert "20 logins a minute" in caught.value.hint
        assert caught.value.exit_status == 75
    finally:
        appliance.stop()


def test_the_number_of_a_deleted_target_may_be_another_targets(appliance: Appliance, nas: Nas) -> None:
    """The appliance gives a deleted row's number to the next one: what is deleted is looked up by its name."""
    ours = Target(nas.basename().child("web1-disk0"), portal_group=1)
    nas.create_target(ours)
    (row,) = appliance.control.call("iscsi.target.query", [["name", "=", "web1-disk0"]])
    appliance.control.call("iscsi.target.delete", row["id"])
    other = appliance.control.call("iscsi.target.create", {"name": "web2-disk0", "groups": []})
    assert other["id"] == row["id"]

    nas.delete_target(ours.iqn)

    assert appliance.control.call("iscsi.target.query", [["name", "=", "web2-disk0"]])


@pytest.mark.parametrize("status", [502, 504])
def test_a_gateway_that_answers_for_the_nas_leaves_a_write_unanswered(
    appliance_of: Callable[[str], Appliance], status: int
) -> None:
    appliance = appliance_of("24.10")
    nas = connect(appliance.record("rest2"), warn=pytest.fail)
    appliance.control.fault("pool.dataset.create", action="http", status=status, when="after")
    appliance.control.fault("pool.dataset.query", action="http", status=status)

    with pytest.raises(NasUnansweredError, match=f"HTTP {status}"):
        nas.create_dataset(GUEST, {})

    assert nas.find_dataset(GUEST) is not None
    nas.close()
