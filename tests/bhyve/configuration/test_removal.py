"""A configuration without one of its devices: vm-bhyve still counts what is left, and nothing of it moves."""

from __future__ import annotations

import pytest

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.configuration.config_text import parse_guest
from pyvmiscsi.bhyve.configuration.removal import without_device
from pyvmiscsi.errors import RuleError
from pyvmiscsi.names import GuestName

WEB1 = GuestName.parse("web1")
CONF = ConfText(
    """# by hand
loader="uefi"
cpu="1"
memory="512M"
disk0_type="virtio-blk"
disk0_dev="custom"
disk0_name="/dev/diskid/DISK-a-00"
disk1_type="nvme"
disk1_dev="custom"
disk1_name="/dev/diskid/DISK-a-01"
disk1_opts="nocache"
disk2_type="ahci-hd"      # the archive
disk2_dev="custom"
disk2_name="/dev/diskid/DISK-a-02"
disk2_note="not ours"
network0_type="virtio-net"
network0_switch="public"
network0_mac="58:9c:fc:00:00:01"
network1_type="e1000"
network1_switch="private"
network1_mac="58:9c:fc:00:00:02"
network1_span="yes"
virt_random="yes"
"""
)


def test_what_follows_moves_up_by_one_number_with_all_its_keys_and_keeps_its_slot() -> None:
    before = parse_guest(WEB1, CONF)
    text = without_device(WEB1, CONF, "disk", 1)
    after = parse_guest(WEB1, text)

    assert [disk.name[-2:] for disk in after.disks] == ["00", "02"]
    assert [disk.emulation for disk in after.disks] == ["virtio-blk", "ahci-hd"]
    assert after.disks[1].opts == ()
    assert text.get("disk1_note") == "not ours"
    slots, now = before.layout(), after.layout()
    assert (now["disk0"], now["disk1"]) == (slots["disk0"], slots["disk2"])
    assert {key: now[key] for key in ("network0", "network1", "virt_random")} == {
        key: slots[key] for key in ("network0", "network1", "virt_random")
    }
    assert not any(key.startswith("disk2_") for key in text.pairs())
    assert text.text.startswith("# by hand\n")


def test_networks_keep_their_macs_and_slots() -> None:
    before = parse_guest(WEB1, CONF).layout()
    text = without_device(WEB1, CONF, "network", 0)
    (left,) = parse_guest(WEB1, text).networks

    assert (left.switch, str(left.mac), left.slot) == ("private", "58:9c:fc:00:00:02", before["network1"])
    assert text.get("network0_span") == "yes"


def test_the_last_one_goes_without_a_trace() -> None:
    text = without_device(WEB1, CONF, "disk", 2)

    assert not any(key.startswith("disk2_") for key in text.pairs())
    assert len(parse_guest(WEB1, text).disks) == 2


def ahci(limit: int, *kinds: str) -> ConfText:
    disks = {
        f"disk{number}_{key}": value
        for number, kind in enumerate(kinds)
        for key, value in {"type": kind, "dev": "custom", "name": f"/dev/diskid/DISK-a-0{number}"}.items()
    }
    return ConfText.of({"loader": "uefi", "cpu": "1", "memory": "1G", "ahci_device_limit": str(limit), **disks})


def test_a_controller_that_loses_its_first_disk_stays_where_it_was() -> None:
    conf = ahci(4, "virtio-blk", "ahci-hd", "ahci-hd", "virtio-blk")
    slots, after = parse_guest(WEB1, conf).layout(), parse_guest(WEB1, without_device(WEB1, conf, "disk", 1)).layout()

    assert (after["disk0"], after["disk1"], after["disk2"]) == (slots["disk0"], slots["disk1"], slots["disk3"])


def test_a_disk_that_would_come_to_another_controller_is_named() -> None:
    conf = ahci(2, "ahci-hd", "ahci-hd", "ahci-hd")

    with pytest.raises(RuleError, match="without disk0, disk2 would move"):
        without_device(WEB1, conf, "disk", 0)
    assert len(parse_guest(WEB1, without_device(WEB1, conf, "disk", 2)).disks) == 2
