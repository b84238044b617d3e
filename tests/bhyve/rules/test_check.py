"""What a guest must be like to be started: every rule once, all problems at once."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from pyvmiscsi.bhyve.command.argv import bhyve_argv
from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.configuration.config import GuestConfig, Passthru
from pyvmiscsi.bhyve.configuration.config_text import parse_guest
from pyvmiscsi.bhyve.machine.capabilities import FIRMWARE_DIRECTORY
from pyvmiscsi.bhyve.machine.devices import Devices, FoundDisk
from pyvmiscsi.bhyve.rules.check import check, problems
from pyvmiscsi.bhyve.rules.surroundings import Neighbour, Surroundings
from pyvmiscsi.errors import ConfigError, Problem, RuleError
from pyvmiscsi.names import GuestName
from pyvmiscsi.units import GIB, MIB, SECTOR, Size
from tests.bhyve.generated import devices_of as generated_devices
from tests.bhyve.generated import guests
from tests.bhyve.golden_runs import GOLDEN, generated_runs, release_runs, upstream_runs
from tests.bhyve.guests import CONF, HOST, UUID, guest_of, web1, with_iso
from tests.bhyve.our_guests import OUR_GUESTS, OurGuest

_DISKLESS = f'loader="grub"\ncpu="1"\nmemory="512M"\nuuid="{UUID}"\n'


def found_in(conf: str, devices: Devices | None = None) -> tuple[Problem, ...]:
    guest = guest_of("web1", conf)
    return problems(guest, HOST, devices or devices_of(guest))


def devices_of(guest: GuestConfig) -> Devices:
    disks = {disk.number: FoundDisk(f"/dev/da{disk.number}", SECTOR) for disk in guest.disks}
    return Devices("/vmconfig/web1", disks, {network.number: "tap0" for network in guest.networks})


@pytest.mark.parametrize("our", OUR_GUESTS, ids=lambda our: our.case)
def test_a_sound_guest_breaks_none(our: OurGuest) -> None:
    assert problems(our.guest, our.host, our.devices) == ()


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
        (CONF + 'comports="com1 com5"\n', "comports", "'com5'"),
        (CONF.replace('cpu="2"', 'cpu="9"'), "cpu", "1 to 8"),
        (CONF.replace('cpu="2"', 'cpu="0"'), "cpu", "1 to 8"),
        (CONF + 'cpu_sockets="1"\n', "cpu", "is 1, not 2"),
        (CONF + 'cpu_cores="2"\n', "cpu", "is 4, not 2"),
        (CONF.replace('"512M"', '"65G"'), "memory", "the host has 64G"),
        (CONF.replace('"512M"', '"0"'), "memory", "none"),
        (CONF.replace('"uefi"', '"uefi-csm"'), "loader", "BHYVE_UEFI_CSM.fd"),
        (CONF.replace('"uefi"', '"uefi-devel"'), "loader", "BHYVE_UEFI_CODE-devel.fd"),
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
        ("loader=grub\n" + CONF + 'comports=""\n', "comports", "needs a serial port"),
        (CONF + 'graphics="yes"\ngraphics_port="5900"\ngraphics_vga="on"\n', "graphics_vga", "draws no VGA"),
        (CONF + 'sound="yes"\nsound_play="/dev/d,sp"\n', "sound_play", "comma"),
        (CONF + 'fwcfg="a,b"\n', "fwcfg", "comma"),
        (CONF + 'comports="com1 com2 com1"\n', "comports, 3", "port com1 is also that of comports, 1"),
        (CONF + 'com2_device="nmdm7"\n', "com2_device", "'nmdm7' is not known"),
        (CONF + 'cpu_pins="0:1 2:1"\n', "cpu_pins", "2:1: the guest's processors are 0 to 1"),
        (CONF + 'cpu_pins="1:8"\n', "cpu_pins", "the host's 0 to 7"),
        (CONF + 'priority="21"\n', "priority", "21"),
        (CONF + 'priority="-21"\n', "priority", "-21"),
        (CONF + 'limit_wbps="fast"\n', "limit_wbps", "'fast' is not an amount"),
        (CONF + 'start_slot="31"\n', "start_slot", "31"),
        (CONF + 'install_slot="0"\n', "install_slot", "0"),
        (CONF + 'nulliso_fix="yes"\ndisk0_slot="0:3:0"\n', "disk0", "also that of the installation medium"),
        (CONF + 'bhyve_options="-s 5,virtio-rnd"\n', "bhyve_options", "0:5:0 is also that of network0"),
        (CONF + 'bhyve_options="-p 0:1 -s 4:0,virtio-rnd"\n', "bhyve_options", "0:4:0 is also that of disk0"),
        (
            CONF.replace('"uefi"', '"grub"') + 'graphics="yes"\ngraphics_port="5900"\n',
            "graphics",
            "loader grub shows nothing",
        ),
        (CONF + 'graphics="yes"\ngraphics_port="65536"\n', "graphics_port", "65536"),
        (CONF.replace("network0_switch", "network0_swich"), "network0", "plugged into nothing"),
        (CONF + 'network0_name="a_tap_of_sixteen"\n', "network0_name", "cannot be an interface's name"),
        (CONF + 'network0_name="a-tap"\n', "network0_name", "cannot be an interface's name"),
        (CONF + 'network0_mtu="65536"\n', "network0_mtu", "65536"),
        (CONF.replace("virtio-blk", "ahci-hd") + f'disk0_opts="model={"m" * 41}"\n', "disk0_opts", "too long"),
        (CONF.replace('"512M"', '"65537M"'), "memory", "the host has 64G"),
        (CONF + 'start_slot="0"\n', "start_slot", "0"),
        (CONF + 'nulliso_fix="yes"\ninstall_slot="31"\n', "install_slot", "31"),
        (CONF + 'graphics="yes"\ngraphics_port="0"\n', "graphics_port", "0"),
        (CONF + 'graphics="yes"\ngraphics_port="5900"\ngraphics_res="1921x1200"\n', "graphics_res", "1921x1200"),
        (CONF + 'graphics="yes"\ngraphics_port="5900"\ngraphics_res="1920x1201"\n', "graphics_res", "1920x1201"),
        (
            CONF + 'network0_name="lan0"\nnetwork1_type="e1000"\nnetwork1_switch="lan"\nnetwork1_name="lan0"\n',
            "network1",
            "interface lan0 is also that of network0",
        ),
        (
            CONF + 'network0_device="tap9"\nnetwork1_type="e1000"\nnetwork1_device="tap9"\n',
            "network1",
            "interface tap9 is also that of network0",
        ),
        (CONF + 'network0_mtu="45"\n', "network0_mtu", "45"),
        (CONF.replace("virtio-net", "e1000") + 'network0_mtu="9000"\n', "network0_mtu", "e1000 has no MTU"),
        (CONF.replace("virtio-blk", "virtio-scsi"), "disk0_type", "no disk"),
        (CONF.replace("virtio-blk", "ahci-hd") + 'disk0_opts="rev=123456789"\n', "disk0_opts", "too long"),
        (CONF + 'passthru0="3/0/0"\npassthru1="3/0/0"\n', "passthru1", "3/0/0 is also that of passthru0"),
        (CONF + 'share0_name="a=b"\nshare0_path="/srv"\n', "share0_name", "'='"),
        (CONF + 'share0_name="a"\nshare0_path="srv"\n', "share0_path", "no whole path"),
        (
            CONF + 'share0_name="a"\nshare0_path="/a"\nshare1_name="a"\nshare1_path="/b"\n',
            "share1",
            "also that of share0",
        ),
        (CONF + 'virt_console0="a b"\n', "virt_console", "no plain name"),
        (CONF + 'virt_console0="a"\nvirt_console1="a"\n', "virt_console1", "also that of virt_console0"),
        (CONF + f'virt_console0="{"a" * 83}"\n', "virt_console", "too long for a socket"),
        (CONF + 'graphics="yes"\ngraphics_port="5900"\nvnc_password="half%"\n', "vnc_password", "reference"),
        (CONF + 'smbios_system_sku="100%"\n', "smbios_system_sku", "reference"),
        (CONF + 'share0_name="a"\nshare0_path="/%(name)"\n', "share0", "reference"),
        (CONF + 'tpm_type="real"\n', "tpm_type", "'real' is not known"),
        (CONF + 'tpm_type="swtpm"\ntpm_path="sock"\n', "tpm_path", "no whole path"),
    ],
)
def test_a_broken_rule_is_named_with_its_remedy(conf: str, where: str, what: str) -> None:
    (problem,) = found_in(conf)
    assert problem.where == where
    assert what in problem.what
    assert problem.remedy


@pytest.mark.parametrize(
    "lines",
    [
        'network0_name="a_tap_of_15_chr"',
        'network0_mtu="46"',
        'network0_mtu="65535"',
        'disk0_opts="ser=12345678901234567890"',
        'disk0_opts="ro=true,nocache=off,direct=1"',
        f'disk0_type="ahci-hd"\ndisk0_opts="rev=12345678,model={"m" * 40}"',
        'memory="64G"',
        'cpu="8"',
        'cpu_pins="1:7"',
        'priority="-20"',
        'priority="20"',
        'start_slot="1"',
        'nulliso_fix="yes"\ninstall_slot="1"',
        'nulliso_fix="yes"\ninstall_slot="30"',
        'graphics="yes"\ngraphics_port="1"',
        'graphics="yes"\ngraphics_port="65535"\ngraphics_res="1920x1200"',
        f'virt_console0="{"a" * 82}"',
        'com2_device="tcp=127.0.0.1:4555"\ncomports="com1 com2"',
    ],
)
def test_what_is_just_possible_is_not_refused(lines: str) -> None:
    assert found_in(f"{lines}\n{CONF}") == ()


def test_a_network_may_have_an_interface_instead_of_a_switch() -> None:
    assert found_in(CONF.replace('network0_switch="public"', 'network0_device="tap9"')) == ()


_TWIN = """\
disk1_type="nvme"
disk1_dev="custom"
disk1_name="/dev/diskid/DISK-3e3e6d4f8a1b-00"
network1_type="e1000"
network1_switch="public"
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


def test_a_limit_that_the_host_would_not_keep_is_refused() -> None:
    host = replace(HOST, limits_processes=False)
    limited = guest_of("web1", CONF + 'limit_pcpu="50"\n')
    (problem,) = problems(limited, host, devices_of(limited))
    assert str(problem) == "limit_pcpu: rctl(8) is switched off on this host, so it would have no effect"
    assert problems(limited, HOST, devices_of(limited)) == ()


def test_the_template_of_the_variables_must_be_there() -> None:
    guest = replace(web1(), uefi_vars=True)
    bare = replace(HOST, firmware=frozenset(path for path in HOST.firmware if "VARS" not in path))
    (problem,) = problems(guest, bare, with_iso(None))
    assert "BHYVE_UEFI_VARS.fd" in problem.what


def test_variables_of_the_guests_own_need_no_template() -> None:
    guest = replace(web1(), uefi_vars=True)
    bare = replace(HOST, firmware=frozenset(path for path in HOST.firmware if "VARS" not in path))
    assert problems(guest, bare, with_iso(None), Surroundings(has_variables=True)) == ()


@pytest.mark.parametrize(("key", "value"), [("hostbridge", "intel"), ("ahci_device_limit", 33)])
def test_a_script_may_not_say_what_no_file_can(key: str, value: object) -> None:
    (problem,) = problems(replace(web1(), **{key: value}), HOST, with_iso(None))  # type: ignore[arg-type]
    assert problem.where == key


def test_more_devices_than_buses_have_slots_for_is_a_problem_and_no_crash() -> None:
    many = tuple(Passthru(n, f"{n}/0/0") for n in range(256 * 32))
    found = problems(replace(web1(), passthrus=many), HOST, with_iso(None))
    assert [problem.where for problem in found] == ["PCI slots"]


@pytest.mark.parametrize(
    ("conf", "where", "path"),
    [
        (CONF.replace('"uefi"', '"uefi-custom"'), "loader", "/vmconfig/.config/BHYVE_UEFI.fd"),
        (CONF.replace('"uefi"', '"grub"'), "loader", "/usr/local/sbin/grub-bhyve"),
        (CONF.replace('"uefi"', '"bhyveload"'), "loader", "/usr/sbin/bhyveload"),
        (CONF.replace("/dev/diskid/DISK-3e3e6d4f8a1b-00", "/dev/ada7"), "disk0", "/dev/da0"),
        (CONF + 'share0_name="a"\nshare0_path="/srv"\n', "share0", "/srv"),
        (CONF + 'tpm_type="passthru"\n', "tpm_path", "/dev/tpm0"),
    ],
)
def test_a_file_that_the_host_lacks_is_named(conf: str, where: str, path: str) -> None:
    guest = guest_of("web1", conf)
    assert problems(guest, HOST, devices_of(guest)) == ()
    (problem,) = problems(guest, HOST, devices_of(guest), Surroundings(missing_files=frozenset({path})))
    assert (problem.where, problem.what) == (where, f"the host has no {path}")


def test_the_installation_medium_must_be_there() -> None:
    around = Surroundings(missing_files=frozenset({"/iso/os.iso"}))
    (problem,) = problems(web1(), HOST, with_iso("/iso/os.iso"), around)
    assert str(problem) == "installation medium: the host has no /iso/os.iso"


def test_a_disk_of_the_hosts_own_has_512_byte_blocks_too() -> None:
    guest = guest_of("web1", CONF.replace("/dev/diskid/DISK-3e3e6d4f8a1b-00", "/dev/da0"))
    (problem,) = problems(guest, HOST, devices_of(guest), Surroundings(sectors={"/dev/da0": Size(4096)}))
    assert problem.what.startswith("/dev/da0 has logical blocks of 4096 bytes")
    assert problems(guest, HOST, devices_of(guest), Surroundings(sectors={"/dev/da0": SECTOR})) == ()


def test_a_lun_need_not_be_there_before_it_is_attached() -> None:
    around = Surroundings(missing_files=frozenset({"/dev/diskid/DISK-3e3e6d4f8a1b-00"}))
    assert problems(web1(), HOST, with_iso(None), around) == ()


def test_a_switch_that_the_host_lacks_is_named() -> None:
    (problem,) = problems(web1(), HOST, with_iso(None), Surroundings(missing_switches=frozenset({"public"})))
    assert str(problem) == "network0_switch: the host has no switch public"


def test_a_running_neighbours_mac_is_not_taken_and_a_stopped_ones_may_be() -> None:
    twin = Neighbour("db1", frozenset({"58:9c:fc:0a:0b:0c"}), runs_on="hv2")
    (problem,) = problems(web1(), HOST, with_iso(None), Surroundings(neighbours=(twin,)))
    assert str(problem) == "network0_mac: 58:9c:fc:0a:0b:0c is also that of db1, which runs on hv2"
    stopped = replace(twin, runs_on=None)
    assert problems(web1(), HOST, with_iso(None), Surroundings(neighbours=(stopped,))) == ()


def test_a_disk_that_a_running_neighbour_writes_to_is_refused() -> None:
    """By bhyve it is not: both would write, and neither would know."""
    guest = guest_of("web1", CONF.replace("/dev/diskid/DISK-3e3e6d4f8a1b-00", "/dev/da0"))
    around = Surroundings("hv1", neighbours=(Neighbour("db1", runs_on="hv1", disks=frozenset({"/dev/da0"})),))
    (problem,) = problems(guest, HOST, devices_of(guest), around)
    assert str(problem) == "disk0: /dev/da0 is also a disk of db1, which runs on hv1"
    read_only = replace(guest, disks=(replace(guest.disks[0], opts=("ro",)),))
    assert problems(read_only, HOST, devices_of(read_only), around) == ()
    assert problems(guest, HOST, devices_of(guest), replace(around, hostname="hv2")) == ()  # its da0 is another
    stopped = replace(around.neighbours[0], runs_on=None)
    assert problems(guest, HOST, devices_of(guest), replace(around, neighbours=(stopped,))) == ()
    elsewhere = replace(around.neighbours[0], disks=frozenset({"/dev/da1"}))
    assert problems(guest, HOST, devices_of(guest), replace(around, neighbours=(elsewhere,))) == ()


def test_a_lun_that_a_running_neighbour_names_too_is_refused() -> None:
    lun = "/dev/diskid/DISK-3e3e6d4f8a1b-00"
    around = Surroundings("hv1", neighbours=(Neighbour("db1", runs_on="hv1", disks=frozenset({lun})),))
    (problem,) = problems(web1(), HOST, with_iso(None), around)
    assert str(problem) == f"disk0: {lun} is also a disk of db1, which runs on hv1"


def test_a_file_in_the_shared_config_path_is_the_same_on_every_host() -> None:
    guest = guest_of("web1", CONF.replace("/dev/diskid/DISK-3e3e6d4f8a1b-00", "/vmconfig/db1/disk0.img"))
    db1 = Neighbour("db1", runs_on="hv2", disks=frozenset({"/vmconfig/db1/disk0.img"}))
    devices = replace(devices_of(guest), disks={0: FoundDisk("/vmconfig/db1/disk0.img", SECTOR)})
    (problem,) = problems(guest, HOST, devices, Surroundings("hv1", neighbours=(db1,)))
    assert str(problem).endswith("is also a disk of db1, which runs on hv2")
    stopped = replace(db1, runs_on=None)
    assert problems(guest, HOST, devices, Surroundings("hv1", neighbours=(stopped,))) == ()


def test_a_neighbours_vnc_port_is_taken_on_its_own_host_only() -> None:
    guest = guest_of("web1", CONF + 'graphics="yes"\ngraphics_port="5900"\n')
    around = Surroundings("hv1", neighbours=(Neighbour("db1", vnc_port=5900, runs_on="hv1"),))
    (problem,) = problems(guest, HOST, devices_of(guest), around)
    assert str(problem) == "graphics_port: db1 listens on 5900 there"
    assert problems(guest, HOST, devices_of(guest), replace(around, hostname="hv2")) == ()


GENEROUS = replace(
    HOST,
    release=1500000,
    cpus=64,
    max_vcpus=64,
    memory=Size(512 * GIB.bytes),
    firmware=HOST.firmware
    | {f"{FIRMWARE_DIRECTORY}/{name}" for name in ("BHYVE_UEFI_CSM.fd", "BHYVE_UEFI_CODE-devel.fd")},
)


def test_what_vm_bhyve_started_is_refused_for_three_reasons_only() -> None:
    refused = {
        problem.what
        for ran in (*upstream_runs(), *release_runs(), *generated_runs())
        for problem in problems(ran.guest, GENEROUS, replace(ran.devices, vnc_port=5900))
    }
    assert refused == {
        "sectorsize=4096 would show the guest other logical blocks than 512 bytes",
        "loader bhyveload shows nothing there",
        "loader grub shows nothing there",
        "host device 3/0/0 is also that of passthru0",
    }


@pytest.mark.parametrize("case", ["bad_loader", "bad_nomem", "bad_nodisk"])
def test_what_vm_bhyve_refused_is_refused(case: str) -> None:
    name = GuestName.parse(case.replace("_", "-"))
    text = ConfText((GOLDEN / "vm-bhyve" / f"{case}.conf").read_text())
    with pytest.raises((ConfigError, RuleError)):
        check(
            replace(parse_guest(name, text), uuid=uuid4()),
            GENEROUS,
            Devices("/vm/bad", {0: FoundDisk("/vm/a", SECTOR)}),
        )


def test_a_thousand_generated_guests_break_none() -> None:
    for guest in guests(1000):
        assert problems(guest, HOST, generated_devices(guest)) == (), guest


def test_all_problems_are_raised_the_first_told_and_the_others_counted() -> None:
    guest = guest_of("web1", CONF.replace('cpu="2"', 'cpu="99"').replace('"512M"', '"512G"'))
    with pytest.raises(RuleError, match=r"guest web1: cpu: 99 processors.*; and 1 more") as refused:
        bhyve_argv(guest, replace(HOST, memory=Size(512 * MIB.bytes)), with_iso(None))
    assert refused.value.exit_status == 65
    assert [problem.where for problem in refused.value.problems] == ["cpu", "memory"]


def test_the_installation_medium_has_the_first_place_in_the_boot_order() -> None:
    guest = guest_of("web1", CONF + 'disk0_opts="bootindex=1"\n')
    assert problems(guest, HOST, devices_of(guest)) == ()
    (problem,) = problems(guest, HOST, replace(devices_of(guest), install_iso="/iso/os.iso"))
    assert (problem.where, problem.what) == ("disk0_opts", "bootindex 1 is also that of the installation medium")
    later = guest_of("web1", CONF + 'disk0_opts="bootindex=2"\n')
    assert problems(later, HOST, replace(devices_of(later), install_iso="/iso/os.iso")) == ()
