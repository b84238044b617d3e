"""What a guest must be like to be started: every rule once, all problems at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyvmiscsi.bhyve.argv import bhyve_argv
from pyvmiscsi.bhyve.config import GuestConfig
from pyvmiscsi.bhyve.devices import Devices, FoundDisk
from pyvmiscsi.bhyve.rules import Problem, problems
from pyvmiscsi.errors import RuleError
from pyvmiscsi.units import MIB, SECTOR, Size
from tests.bhyve.guests import CONF, HOST, OUR_GUESTS, UUID, OurGuest, guest_of, web1, with_iso

_DISKLESS = f'loader="grub"\ncpu="1"\nmemory="512M"\nuuid="{UUID}"\n'


def found_in(conf: str, devices: Devices | None = None) -> tuple[Problem, ...]:
    guest = guest_of("web1", conf)
    return problems(guest, HOST, devices or devices_of(guest))


def devices_of(guest: GuestConfig) -> Devices:
    disks = {disk.number: FoundDisk(f"/dev/da{disk.number}", SECTOR) for disk in guest.disks}
    return Devices("/vmconfig/web1", disks, {network.number: "tap0" for network in guest.networks})


@pytest.mark.parametrize("our", OUR_GUESTS, ids=lambda our: our.case)
def test_a_sound_guest_breaks_none(our: OurGuest) -> None:
    assert problems(our.guest, HOST, our.devices) == ()


def test_a_disk_with_logical_blocks_of_4096_bytes_is_refused_with_reason_and_remedy() -> None:
    devices = Devices("/vmconfig/web1", {0: FoundDisk("/dev/da0", Size(4096))}, {0: "tap0"})
    with pytest.raises(RuleError) as refused:
        bhyve_argv(web1(), HOST, devices)
    assert "disk0: /dev/da0 has logical blocks of 4096 bytes; guests get disks of 512 only" in refused.value.message
    assert "blocksize 512" in refused.value.hint


@pytest.mark.parametrize(
    ("conf", "where", "what"),
    [
        (CONF + 'disk0_opts="sectorsize=4096"\n', "disk0_opts", "other logical blocks"),
        (CONF.replace("virtio-blk", "nvme") + 'disk0_opts="sectsz=4096"\n', "disk0_opts", "other logical blocks"),
        (CONF.replace("uuid=", "old_uuid="), "uuid", "missing"),
        (CONF + 'hostbridge="intel"\n', "hostbridge", "not known"),
        (CONF + 'comports="com1 com5"\n', "comports", "'com5'"),
        (CONF.replace('cpu="2"', 'cpu="9"'), "cpu", "1 to 8"),
        (CONF.replace('cpu="2"', 'cpu="0"'), "cpu", "1 to 8"),
        (CONF + 'cpu_sockets="1"\n', "cpu", "is 1, not 2"),
        (CONF + 'cpu_cores="2"\n', "cpu", "is 4, not 2"),
        (CONF.replace('"512M"', '"65G"'), "memory", "the host has 64G"),
        (CONF.replace('"512M"', '"0"'), "memory", "none"),
        (CONF.replace('"uefi"', '"uefi-csm"'), "loader", "BHYVE_UEFI_CSM.fd"),
        (CONF.replace('"uefi"', '"uefi-devel"'), "loader", "uefi-devel"),
        (_DISKLESS, "loader", "needs a disk"),
        (CONF.replace("virtio-blk", "virtioblk"), "disk0_type", "'virtioblk' is not known"),
        (CONF.replace("virtio-net", "virtio-nic"), "network0_type", "'virtio-nic' is not known"),
        (CONF + 'disk0_opts="ser=123456789012345678901"\n', "disk0", "21 characters"),
        (CONF + 'disk0_opts="ser="\n', "disk0", "0 characters"),
        (CONF.replace("virtio-blk", "ahci-hd") + 'disk0_opts="model=a b"\n', "disk0_opts", "blank"),
        (CONF + 'disk0_opts="setcorsize=512"\n', "disk0_opts", "'setcorsize=512' and ignore it"),
        (CONF + 'disk0_opts="sectsz=512"\n', "disk0_opts", "ignore it"),
        (CONF + 'disk0_opts="ro=maybe"\n', "disk0_opts", "neither true nor false"),
        (CONF + 'passthru0="3-0-0"\n', "passthru0", "bus/slot/function"),
        (CONF + 'disk0_slot="0:5:0"\nnetwork0_slot="0:5:0"\n', "network0", "0:5:0 is also that of disk0"),
        (CONF + 'disk0_slot="0:31:0"\n', "disk0", "also that of lpc"),
        (CONF + 'disk0_slot="0:9:3"\n', "disk0", "no function 0"),
        (CONF + 'graphics="yes"\n', "graphics_port", "no port"),
        (CONF + 'graphics="yes"\ngraphics_port="5900"\ngraphics_res="4000x900"\n', "graphics_res", "4000x900"),
        (CONF + 'graphics="yes"\ngraphics_port="5900"\ngraphics_vga="maybe"\n', "graphics_vga", "'maybe'"),
        (CONF + 'sound="yes"\nsound_play="/dev/d,sp"\n', "sound_play", "comma"),
    ],
)
def test_a_broken_rule_is_named_with_its_remedy(conf: str, where: str, what: str) -> None:
    (problem,) = found_in(conf)
    assert problem.where == where
    assert what in problem.what
    assert problem.remedy


_TWIN = """\
disk1_type="nvme"
disk1_dev="custom"
disk1_name="/dev/diskid/DISK-3e3e6d4f8a1b-00"
network1_type="e1000"
network1_mac="58:9c:fc:0a:0b:0c"
"""


def test_twins_are_refused() -> None:
    assert [str(problem) for problem in found_in(CONF + _TWIN)] == [
        "disk1: serial 3e3e6d4f8a1b-00 is also that of disk0",
        "network1: MAC address 58:9c:fc:0a:0b:0c is also that of network0",
    ]


def test_one_device_under_two_disks_is_refused() -> None:
    conf = CONF + 'disk1_type="nvme"\ndisk1_name="b"\n'
    twice = FoundDisk("/dev/da0", SECTOR)
    (problem,) = found_in(conf, Devices("/vmconfig/web1", {0: twice, 1: twice}, {0: "tap0"}))
    assert str(problem) == "disk1: device /dev/da0 is also that of disk0"


@pytest.mark.parametrize("path", ["/dev/da0,ro", "/dev/da 0", "/dev/da0\n", "", "da0"])
def test_a_device_that_bhyve_would_read_as_something_else_is_refused(path: str) -> None:
    found = found_in(CONF, Devices("/vmconfig/web1", {0: FoundDisk(path, SECTOR)}, {0: "tap0"}))
    assert {problem.where for problem in found} == {"disk0"}


def test_nothing_attached_and_nothing_plugged_in_are_said_together() -> None:
    found = found_in(CONF, Devices("/vmconfig/web1"))
    assert [problem.where for problem in found] == ["disk0", "network0"]


def test_the_installation_medium_needs_its_slot() -> None:
    guest = guest_of("web1", CONF + 'disk0_slot="0:3:0"\n')
    assert [problem.where for problem in problems(guest, HOST, with_iso("/iso/os.iso"))] == ["disk0"]
    assert problems(guest, HOST, with_iso(None)) == ()


def test_another_kind_of_machine_is_refused() -> None:
    found = problems(web1(), replace(HOST, machine="arm64"), with_iso(None))
    assert [problem.where for problem in found] == ["host"]


def test_the_template_of_the_variables_must_be_there() -> None:
    guest = replace(web1(), uefi_vars=True)
    bare = replace(HOST, firmware=frozenset(path for path in HOST.firmware if "VARS" not in path))
    (problem,) = problems(guest, bare, with_iso(None))
    assert "BHYVE_UEFI_VARS.fd" in problem.what


def test_the_first_problem_is_raised_and_the_others_are_counted() -> None:
    guest = guest_of("web1", CONF.replace('cpu="2"', 'cpu="99"').replace('"512M"', '"512G"'))
    with pytest.raises(RuleError, match=r"guest web1: cpu: 99 processors.*; and 1 more") as refused:
        bhyve_argv(guest, replace(HOST, memory=Size(512 * MIB.bytes)), with_iso(None))
    assert refused.value.exit_status == 65
