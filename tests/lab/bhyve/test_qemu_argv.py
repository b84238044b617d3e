"""bhyve's machine as QEMU's command line."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from pyvmiscsi.lab.bhyve.machine import Machine
from pyvmiscsi.lab.bhyve.qemu_argv import CannotEmulate, Plumbing, qemu_argv
from pyvmiscsi.lab.bhyve.verdict import Accepted, judge
from tests.lab.bhyve.facts import PaperHost


def _machine(*words: str, sector: int = 512) -> Machine:
    verdict = judge(("bhyve", *words, "g1"), PaperHost(sector=sector))
    assert isinstance(verdict, Accepted), verdict
    return verdict.machine


def _argv(machine: Machine, backing: str = "nbd:/run/0.sock") -> tuple[str, ...]:
    plumbing = Plumbing(
        firmware="/fw,1/CODE.fd",
        variables="/fw,1/VARS.fd",
        keep_variables=bool(machine.bootvars),
        backings={disk.place: backing for disk in machine.disks},
        consoles={port: 20 + number for number, (port, _) in enumerate(machine.consoles)},
        qmp=10,
        reset_log=11,
    )
    return qemu_argv(machine, plumbing)


def _values(argv: tuple[str, ...], option: str) -> list[str]:
    return [value for name, value in itertools.pairwise(argv) if name == option]


def _devices(argv: tuple[str, ...], driver: str) -> list[dict[str, Any]]:
    found = [json.loads(value) for value in _values(argv, "-device")]
    return [device for device in found if device["driver"] == driver]


def _with_turns(argv: tuple[str, ...]) -> list[dict[str, Any]]:
    return [device for value in _values(argv, "-device") if "bootindex" in (device := json.loads(value))]


def test_a_virtio_disk_keeps_slot_sectors_and_serial_and_reports_its_errors() -> None:
    argv = _argv(_machine("-s", "4:1,virtio-blk,/dev/da0,sectorsize=512/4096,ser=abc-00"))
    (disk,) = _devices(argv, "virtio-blk-pci")
    assert disk == {
        "driver": "virtio-blk-pci",
        "drive": "disk0",
        "serial": "abc-00",
        "logical_block_size": 512,
        "physical_block_size": 4096,
        "bootindex": 1,
        "rerror": "report",
        "werror": "report",
        "discard": True,
        "write-zeroes": False,
        "addr": "4.1",
        "multifunction": True,
    }
    assert json.loads(_values(argv, "-blockdev")[0]) == {
        "node-name": "disk0",
        "read-only": False,
        "discard": "unmap",
        "driver": "nbd",
        "server": {"type": "unix", "path": "/run/0.sock"},
    }


def test_what_bhyve_opened_read_only_is_read_only_here() -> None:
    argv = _argv(_machine("-s", "4,virtio-blk,/dev/da0,ro,nodelete"), "file:/vms/a,b.img")
    block = json.loads(_values(argv, "-blockdev")[0])
    assert (block["read-only"], block["discard"]) == (True, "ignore")
    assert block["file"] == {"driver": "file", "filename": "/vms/a,b.img", "locking": "off"}


def test_nvme_and_ahci_disks() -> None:
    argv = _argv(_machine("-s", "5,nvme,/dev/da0,ser=n", "-s", "6,ahci,hd:/dev/da1,cd:/x.iso"))
    (nvme,) = _devices(argv, "nvme")
    assert (nvme["addr"], nvme["serial"], nvme["logical_block_size"]) == ("5.0", "n", 512)
    assert [device["id"] for device in _devices(argv, "ich9-ahci")] == ["ahci1", "ahci2"]
    assert _devices(argv, "ide-hd")[0]["bus"] == "ahci1.0"
    assert _devices(argv, "ide-cd")[0]["bus"] == "ahci2.0"


def test_firmware_tries_cds_before_disks() -> None:
    argv = _argv(_machine("-s", "4,virtio-blk,/dev/da0", "-s", "6,ahci-cd,/x.iso", "-s", "7,ahci-hd,/dev/da1"))
    turns = {device["drive"]: device["bootindex"] for device in _with_turns(argv)}
    assert turns == {"disk0": 2, "disk1": 1, "disk2": 3}


def test_an_ahci_disk_of_4096_bytes_is_what_the_lab_cannot_show() -> None:
    with pytest.raises(CannotEmulate, match="4096-byte sectors"):
        _argv(_machine("-s", "5,ahci-hd,/dev/da0", sector=4096))


def test_a_network_leads_nowhere_but_has_its_address() -> None:
    argv = _argv(_machine("-s", "5,virtio-net,tap0,mac=58:9c:fc:00:00:01", "-s", "6,e1000,tap1"))
    (virtio,) = _devices(argv, "virtio-net-pci")
    assert (virtio["mac"], virtio["addr"]) == ("58:9c:fc:00:00:01", "5.0")
    assert [device["addr"] for device in _devices(argv, "e1000")] == ["6.0"]
    assert _values(argv, "-netdev") == ["hubport,id=net0,hubid=0", "hubport,id=net1,hubid=1"]


def test_consoles_are_serial_ports_in_their_own_places() -> None:
    argv = _argv(_machine("-s", "31,lpc", "-l", "com2,stdio", "-l", "com1,/dev/nmdm0A"))
    assert [(device["chardev"], device["index"]) for device in _devices(argv, "isa-serial")] == [
        ("com1", 0),
        ("com2", 1),
    ]
    assert "socket,id=com2,fd=21" in _values(argv, "-chardev")


def test_a_variables_file_is_written_to_and_the_template_is_not() -> None:
    rom = ("-s", "31,lpc", "-l")
    kept = _values(_argv(_machine(*rom, "bootrom,/rom.fd,/vars.fd")), "-drive")
    thrown_away = _values(_argv(_machine(*rom, "bootrom,/rom.fd")), "-drive")
    assert kept[0] == thrown_away[0] == "if=pflash,format=raw,readonly=on,file=/fw,,1/CODE.fd"
    assert kept[1] == "if=pflash,format=raw,file=/fw,,1/VARS.fd"
    assert thrown_away[1] == "if=pflash,format=raw,file=/fw,,1/VARS.fd,snapshot=on"


def test_processors_memory_and_identity() -> None:
    uuid = "3e3e6d4f-8a1b-11ef-a000-589cfc010203"
    argv = _argv(_machine("-c", "4,sockets=1,cores=2,threads=2", "-m", "2G", "-U", uuid, "-s", "7,virtio-rnd"))
    assert _values(argv, "-smp") == ["4,sockets=1,cores=2,threads=2"]
    assert _values(argv, "-m") == ["2048M"]
    assert _values(argv, "-uuid") == [uuid]
    assert _values(argv, "-name") == ["g1"]
    assert len(_devices(argv, "virtio-rng-pci")) == 1


def test_slots_that_qemu_keeps_for_itself_are_given_freely() -> None:
    argv = _argv(_machine("-s", "31:2,virtio-blk,/dev/da0", "-s", "1:4:0,virtio-blk,/dev/da1"))
    assert all("addr" not in device for device in _devices(argv, "virtio-blk-pci"))
