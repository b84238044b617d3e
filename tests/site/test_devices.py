"""Disks and networks given to a guest and taken from it, through the SDK."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pyvmiscsi.bhyve.configuration import conf_file
from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.exchange import exchange_file
from pyvmiscsi.errors import BusyError, ConflictError, NotFoundError, RuleError
from pyvmiscsi.model import NasSession, Volume
from pyvmiscsi.names import DatasetPath, Mac, SnapshotName
from pyvmiscsi.operations.create import DiskRequest
from pyvmiscsi.operations.start import StartRequest
from pyvmiscsi.site import Guest
from pyvmiscsi.steps import exports
from pyvmiscsi.units import Size
from tests.fakes.nas import BASENAME
from tests.site.worlds import World, web1

GIB = DiskRequest(Size.parse("1G"))
NETWORKS = {"network0_type": "virtio-net", "network0_switch": "public"}
MONDAY = SnapshotName("monday")


@pytest.fixture(params=["nested", "flat"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World(tmp_path, request.param)


@pytest.fixture
def guest(world: World) -> Guest:
    return world.site().datastore().create(web1("1G", "2G", "3G", settings=NETWORKS))


def conf_of(world: World) -> dict[str, str]:
    return ConfText((world.directory / "web1" / "web1.conf").read_text()).pairs()


def names_of(guest: Guest) -> list[str]:
    return [disk.name for disk in guest.info().disks]


def startable(guest: Guest) -> dict[int, int]:
    """The sizes in GiB that a start would prove, by the number in the configuration: nas and configuration agree."""
    scene = guest._scene()
    config = guest._config("hv1", scene)
    request = StartRequest.of(guest.record(), config, guest.datastore, "hv1")
    return {number: proof.size.bytes >> 30 for number, proof in request.disks.items()}


def volume_of(guest: Guest, number: int) -> DatasetPath:
    return DatasetPath(next(disk.volume for disk in guest.info().disks if disk.name == f"disk{number}"))


def test_a_disk_in_the_middle_goes_and_the_guest_can_start_with_the_others(world: World, guest: Guest) -> None:
    before = conf_of(world)
    guest.remove_disk("disk1")

    assert names_of(guest) == ["disk0", "disk2"]
    assert startable(guest) == {0: 1, 1: 3}
    after = conf_of(world)
    assert after["disk1_serial"] == before["disk2_serial"]
    assert after["disk1_slot"] == before["disk2_slot"]
    assert after["network0_slot"] == before["network0_slot"]
    assert world.site().operations() == ()
    assert "disk1" not in repr(world.nas.state())


def test_a_disk_added_after_that_has_a_name_of_its_own(world: World, guest: Guest) -> None:
    guest.remove_disk("disk1")
    assert guest.add_disk(DiskRequest(Size.parse("7G"))) == "disk3"
    assert startable(guest) == {0: 1, 1: 3, 2: 7}

    guest.remove_disk("disk2")
    assert startable(guest) == {0: 1, 1: 7}
    guest.destroy()
    assert str(guest.name) not in repr(world.nas.state())


def test_a_stop_logs_out_of_disks_by_their_names_on_the_nas(world: World, guest: Guest) -> None:
    guest.remove_disk("disk1")
    for disk in guest.record().disks:
        proof = disk.proof(guest.datastore)
        world.initiator.disks[proof.address.target] = proof

    guest.stop()

    assert world.initiator.disks == {}


def test_a_removed_disk_can_be_copied_no_more_and_the_clone_counts_from_zero(tmp_path: Path) -> None:
    world = World(tmp_path)
    guest = world.site().datastore().create(web1("1G", "2G", "3G"))
    guest.remove_disk("disk1")
    guest.clone("web2")

    clone = world.site().guest("web2")
    assert startable(clone) == {0: 1, 1: 3}
    assert names_of(clone) == ["disk0", "disk1"]


def test_the_only_disk_and_one_that_carries_the_guests_marks_stay(tmp_path: Path) -> None:
    flat = World(tmp_path / "flat", "flat")
    nested = World(tmp_path / "nested")
    for world in (flat, nested):
        world.directory.mkdir()
        guest = world.site().datastore().create(web1("1G"))
        with pytest.raises(RuleError, match="only disk"):
            guest.remove_disk("disk0")
        guest.add_disk(GIB)
    with pytest.raises(RuleError, match="marks"):
        flat.site().guest("web1").remove_disk("disk0")
    nested.site().guest("web1").remove_disk("disk0")
    assert names_of(nested.site().guest("web1")) == ["disk1"]


def test_its_snapshots_are_in_the_way_unless_they_are_to_go(world: World, guest: Guest) -> None:
    path = volume_of(guest, 1)
    world.nas.create_snapshot(path, MONDAY)
    before = world.nas.state()
    with pytest.raises(BusyError, match="disk1 has the snapshots monday"):
        guest.remove_disk("disk1")
    assert world.nas.state() == before

    guest.remove_disk("disk1", snapshots=True)

    assert world.nas.state()["snapshots"] == ()
    assert names_of(guest) == ["disk0", "disk2"]


def test_a_disk_under_a_clone_stays(world: World, guest: Guest) -> None:
    path = volume_of(guest, 1)
    world.nas.create_snapshot(path, MONDAY)
    world.nas.clone(path, MONDAY, DatasetPath("tank/elsewhere"), {})
    with pytest.raises(BusyError, match="clone tank/elsewhere"):
        guest.remove_disk("disk1", snapshots=True)
    assert names_of(guest) == ["disk0", "disk1", "disk2"]


def test_a_kept_volume_stays_as_it_is_and_its_name_is_not_given_again(world: World, guest: Guest) -> None:
    path = volume_of(guest, 2)
    world.nas.contents[path] = b"precious"
    guest.remove_disk("disk2", keep=True)

    assert names_of(guest) == ["disk0", "disk1"]
    assert world.nas.contents[path] == b"precious"
    assert guest.add_disk(GIB) == "disk3"
    if world.layout == "nested":
        with pytest.raises(ConflictError, match=f"{path} stands below its dataset"):
            guest.destroy()
        guest.destroy(keep_disks=True)
    else:
        guest.destroy()
    assert world.nas.contents[path] == b"precious"


def test_a_disk_that_somebody_has_is_not_removed(world: World, guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "SEEN_GONE_WITHIN", 0.0)
    world.nas.sessions_now.append(NasSession(BASENAME.child("web1-disk1"), "iqn.1994-09.org.freebsd:hv9", "10.0.0.9"))
    before = world.nas.state()
    with pytest.raises(BusyError, match="hv9"):
        guest.remove_disk("disk1")
    assert world.nas.state() == before
    assert world.site().operations() == ()


def test_a_volume_that_is_not_the_guests_is_not_removed_as_its_disk(world: World, guest: Guest) -> None:
    stranger = guest.datastore.volume_of("web1", replace(guest.record().disks[2].name, number=7))
    world.nas.create_volume(Volume(stranger, Size.parse("1G")))
    with pytest.raises(ConflictError, match="not made for guest web1"):
        guest.remove_disk("disk7")


@pytest.mark.parametrize("device", ["disk9", "network7"])
def test_a_device_that_is_not_there_is_not_found(guest: Guest, device: str) -> None:
    with pytest.raises(NotFoundError, match=device):
        guest.remove_disk(device) if device.startswith("disk") else guest.remove_network(device)


def test_networks_come_and_go_and_no_two_have_one_address(world: World, guest: Guest) -> None:
    whole = conf_of(world)
    assert guest.add_network("private", emulation="e1000") == "network1"
    assert guest.add_network("backup", mac=Mac.parse("58:9c:fc:0a:0b:0c")) == "network2"
    three = conf_of(world)
    guest.remove_network("network0")
    assert guest.add_network("public") == "network2"

    after = conf_of(world)
    macs = [after[f"network{number}_mac"] for number in range(3)]
    assert macs[:2] == [three["network1_mac"], "58:9c:fc:0a:0b:0c"]
    assert len(set(macs)) == 3
    assert [after[f"network{number}_switch"] for number in range(3)] == ["private", "backup", "public"]
    assert after["network0_slot"] == three["network1_slot"]
    assert {key: value for key, value in after.items() if key.startswith("disk")} == {
        key: value for key, value in whole.items() if key.startswith("disk")
    }
    assert world.site().operations() == ()


def meanwhile(monkeypatch: pytest.MonkeyPatch, world: World, changes: Mapping[str, str | None]) -> None:
    """Somebody writes this into the configuration after it was read for the next verb, and before that writes."""

    def late(*words: Any, **more: Any) -> bool:
        monkeypatch.setattr(conf_file, "exchange_file", exchange_file)
        path = world.directory / "web1" / "web1.conf"
        path.write_text(str(ConfText(path.read_text()).changed(changes)))
        return exchange_file(*words, **more)

    monkeypatch.setattr(conf_file, "exchange_file", late)


@pytest.mark.parametrize("verb", ["add a network", "add a disk", "remove network0", "remove disk1"])
def test_what_somebody_sets_in_the_same_moment_stays(
    world: World, guest: Guest, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(monkeypatch, world, {"memory": "3G", "disk0_opts": "direct"})
    match verb.split():
        case ["add", _, "network"]:
            guest.add_network("public")
        case ["add", _, "disk"]:
            guest.add_disk(GIB)
        case ["remove", "network0"]:
            guest.remove_network("network0")
        case ["remove", disk]:
            guest.remove_disk(disk)
    after = conf_of(world)
    assert (after["memory"], after["disk0_opts"]) == ("3G", "direct")
    assert world.site().operations() == ()
    assert len(startable(guest)) == {"add a disk": 4, "remove disk1": 2}.get(verb, 3)


def test_a_device_that_somebody_adds_in_the_same_moment_is_not_written_over(
    world: World, guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = {"network1_type": "e1000", "network1_switch": "private"}
    meanwhile(monkeypatch, world, theirs)
    with pytest.raises(ConflictError, match="somebody has set network1_type, network1_switch meanwhile"):
        guest.add_network("public")
    assert conf_of(world).items() >= theirs.items()
    assert "network1_mac" not in conf_of(world)
    assert world.site().operations() == ()
    assert guest.add_network("public") == "network2"


def test_a_disk_that_somebody_changes_while_another_is_removed_is_not_written_over(
    world: World, guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lines move up by one number: what is written into them meanwhile would be lost, or left behind alone."""
    before = conf_of(world)
    meanwhile(monkeypatch, world, {"disk2_opts": "direct"})
    with pytest.raises(ConflictError, match="somebody has changed its devices meanwhile"):
        guest.remove_disk("disk1")
    assert conf_of(world) == {**before, "disk2_opts": "direct"}
    path = world.directory / "web1" / "web1.conf"
    path.write_text(str(ConfText(path.read_text()).changed({"disk2_opts": None})))
    (pending,) = world.site().operations()
    pending.resume()
    assert startable(guest) == {0: 1, 1: 3}


def test_a_network_that_somebody_changes_while_another_is_removed_is_not_written_over(
    world: World, guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest.add_network("public")
    meanwhile(monkeypatch, world, {"network1_span": "yes"})
    with pytest.raises(ConflictError, match="somebody has changed its devices meanwhile"):
        guest.remove_network("network0")
    assert conf_of(world)["network1_span"] == "yes"
    assert world.site().operations() == ()
    guest.remove_network("network0")
    assert conf_of(world)["network0_span"] == "yes"


def test_what_is_left_of_an_earlier_device_is_in_nobody_s_way(world: World, guest: Guest) -> None:
    """vm-bhyve reads none of it, and neither do we; taken back, it says again what it said."""
    path = world.directory / "web1" / "web1.conf"
    path.write_text(path.read_text() + 'network1_switch="old"\nnetwork1_slot=""\n')
    assert guest.add_network("public") == "network1"
    assert conf_of(world)["network1_switch"] == "public"


def test_adding_and_removing_keeps_the_mode_of_the_file(world: World, guest: Guest) -> None:
    path = world.directory / "web1" / "web1.conf"
    path.chmod(0o644)
    guest.add_network("public")
    guest.remove_disk("disk1")
    assert path.stat().st_mode & 0o777 == 0o644


def test_an_address_that_a_network_has_and_a_type_that_bhyve_has_not_are_refused(world: World, guest: Guest) -> None:
    taken = Mac.parse(conf_of(world)["network0_mac"])
    with pytest.raises(ConflictError, match="network0 has the MAC"):
        guest.add_network("public", mac=taken)
    with pytest.raises(RuleError, match="virtio-net, e1000"):
        guest.add_network("public", emulation="rtl8139")


def test_a_configuration_that_names_a_removed_disk_does_not_come_back_with_a_rollback(tmp_path: Path) -> None:
    world = World(tmp_path)
    guest = world.site().datastore().create(web1("1G", "2G", "3G"))
    guest.snapshot("monday")
    guest.remove_disk("disk1", snapshots=True)
    before = world.nas.state()

    with pytest.raises(ConflictError, match="names other disks"):
        guest.rollback("monday", configuration=True)
    assert world.nas.state() == before
    guest.rollback("monday")

    assert startable(guest) == {0: 1, 1: 3}
