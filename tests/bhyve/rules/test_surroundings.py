"""What stands around a guest: the host's answer, asked of this machine's own shell, and read."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyvmiscsi.bhyve.machine.devices import Devices, FoundDisk
from pyvmiscsi.bhyve.networks.interfaces_text import parse_interfaces
from pyvmiscsi.bhyve.networks.switches import parse_switches
from pyvmiscsi.bhyve.networks.taps import Sight
from pyvmiscsi.bhyve.rules.surroundings import (
    SECTORS,
    Neighbour,
    look_around,
    missing_switches,
    needed_files,
    parse_surroundings,
)
from pyvmiscsi.model import HostRecord
from pyvmiscsi.units import SECTOR, Size
from tests.bhyve.guests import CONF, guest_of, web1
from tests.fakes.quick_host import QuickHost, look_without_geom


def put(directory: Path, name: str, conf: str, lock: str | None = None) -> None:
    (directory / name).mkdir()
    (directory / name / f"{name}.conf").write_text(conf)
    if lock is not None:
        (directory / name / "run.lock").write_text(f"{lock}\n")


def test_neighbours_are_seen_with_their_macs_ports_and_hosts(tmp_path: Path) -> None:
    put(tmp_path, "web1", CONF)
    put(tmp_path, "db1", 'network0_mac="58:9C:FC:00:00:01"\ngraphics="yes"\ngraphics_port="5901"\n', "hv2")
    put(tmp_path, "db.two", 'graphics="no"\ngraphics_port="5902"\nnetwork0_type="e1000"\n')
    (tmp_path / "db1" / "notes.conf").write_text('network0_mac="58:9c:fc:00:00:02"\n')
    host = QuickHost(HostRecord("hv1"))

    around = look_around(host, web1(), Devices(f"{tmp_path}/web1"), Sight({}))

    assert around.hostname == host.run(["/bin/hostname"]).text.strip()
    assert sorted(around.neighbours, key=lambda one: one.name) == [
        Neighbour("db.two"),
        Neighbour("db1", frozenset({"58:9c:fc:00:00:01"}), 5901, "hv2"),
    ]


def test_a_neighbours_disks_are_what_it_may_write_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look_without_geom(monkeypatch)
    conf = """\
disk0_type="virtio-blk"
disk0_name="disk0.img"
disk1_type="nvme"
disk1_dev="custom"
disk1_name="/dev/da7" # was /a/b c
disk2_type="ahci-cd"
disk2_name="seed.iso"
disk3_type="virtio-blk"
disk3_opts="nocache,ro"
disk3_name="golden.img"
disk4_type="virtio-blk"
disk4_dev="zvol"
disk4_name="disk4"
disk6_type="virtio-blk"
disk6_name="nobody counts so far"
"""
    put(tmp_path, "db1", conf, "hv2")
    around = look_around(QuickHost(HostRecord("hv1")), web1(), Devices(f"{tmp_path}/web1"), Sight({}))
    assert around.neighbours == (
        Neighbour("db1", runs_on="hv2", disks=frozenset({f"{tmp_path}/db1/disk0.img", "/dev/da7"})),
    )


def test_files_that_are_missing_are_seen_and_others_are_not_told(tmp_path: Path) -> None:
    (tmp_path / "web1").mkdir()
    guest = guest_of(
        "web1", CONF + f"uefi_vars=yes\nshare0_name=a\nshare0_path={tmp_path}\nshare1_name=b\nshare1_path=/nowhere\n"
    )
    devices = Devices(f"{tmp_path}/web1", {0: FoundDisk("/dev/nosuch", SECTOR)})
    host = QuickHost(HostRecord("hv1"))

    bare = look_around(host, guest, devices, Sight({}))
    (tmp_path / "web1" / "uefi-vars.fd").touch()

    assert {"/nowhere"} <= bare.missing_files
    assert not {"/dev/nosuch", str(tmp_path)} & bare.missing_files
    assert not bare.has_variables
    assert look_around(host, guest, devices, Sight({})).has_variables


CONFXML = """\
<mesh>
  <class id="0x1">
    <name>DISK</name>
    <geom id="0x2">
      <name>da0</name>
\t<provider id="0x3">
\t  <mode>r1w1e2</mode>
\t  <name>da0</name>
\t  <mediasize>21474836480</mediasize>
\t  <sectorsize>4096</sectorsize>
\t</provider>
    </geom>
    <geom id="0x4">
      <name>zvol/tank/vm</name>
\t<provider id="0x5">
\t  <name>zvol/tank/vm</name>
\t  <sectorsize>512</sectorsize>
\t</provider>
    </geom>
  </class>
</mesh>
"""


def test_logical_blocks_are_those_that_geom_tells_of_the_disks_that_were_asked_for() -> None:
    command = ["/usr/bin/awk", "-v", "wanted= da0 zvol/tank/vm ada1", SECTORS]
    said = QuickHost(HostRecord("hv1")).run(command, stdin=CONFXML.encode()).text
    around = parse_surroundings(f"hostname hv1\n{said}", web1().name)
    assert around.sectors == {"/dev/da0": Size(4096), "/dev/zvol/tank/vm": SECTOR}


def test_a_config_path_that_is_not_there_has_no_neighbours(tmp_path: Path) -> None:
    around = look_around(QuickHost(HostRecord("hv1")), web1(), Devices(f"{tmp_path}/nowhere/web1"), Sight({}))
    assert around.neighbours == ()


def test_a_switch_is_missing_that_neither_a_bridge_nor_the_file_has() -> None:
    file = 'switch_list="public lan ours"\ntype_lan="manual"\nbridge_lan="bridge7"\ntype_ours="vale"\n'
    named = "".join(
        f'network{number}_type="virtio-net"\nnetwork{number}_switch="{name}"\n'
        for number, name in enumerate(("public", "lan", "ours", "elsewhere", "here"))
    )
    guest = guest_of("web1", f"loader=uefi\ncpu=1\nmemory=1G\n{named}")
    here = "vm-here: flags=8843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST> metric 0 mtu 1500\n\tgroups: bridge vm-switch\n"
    seen = Sight(parse_interfaces(here), parse_switches(file))
    assert missing_switches(guest, seen) == {"lan", "elsewhere"}


def test_a_guest_of_each_loader_needs_its_program_or_its_firmware() -> None:
    def needs(loader: str) -> list[str]:
        guest = guest_of("web1", CONF.replace('"uefi"', f'"{loader}"'))
        return [needed.path for needed in needed_files(guest, Devices("/vmconfig/web1"))]

    assert needs("uefi") == ["/usr/local/share/uefi-firmware/BHYVE_UEFI.fd"]
    assert needs("uefi-custom") == ["/vmconfig/.config/BHYVE_UEFI.fd"]
    assert needs("grub") == ["/usr/local/sbin/grub-bhyve"]
    assert needs("bhyveload") == ["/usr/sbin/bhyveload"]


def test_firmware_that_is_missing_comes_in_the_package_of_the_hosts_machine() -> None:
    (on_arm64,) = needed_files(web1(), Devices("/vmconfig/web1"), "arm64")
    assert on_arm64.path.endswith("/u-boot-bhyve-arm64/u-boot.bin")
    assert "u-boot-bhyve-arm64" in on_arm64.remedy
    (on_amd64,) = needed_files(web1(), Devices("/vmconfig/web1"))
    assert "edk2-bhyve" in on_amd64.remedy
