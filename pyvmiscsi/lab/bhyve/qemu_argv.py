"""The QEMU command line that stands in for bhyve's machine: same slots, same disks, same sector sizes, same serials."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pyvmiscsi.lab.bhyve.machine import Disk, Machine, Network

QEMU = "qemu-system-x86_64"
_LEAST_MEMORY = 1 << 20


class CannotEmulate(Exception):  # noqa: N818 - the lab's own limit, not a verdict of bhyve
    """Something that bhyve can run and QEMU, as used here, cannot: said so, never shown otherwise."""


@dataclass(frozen=True, slots=True)
class Plumbing:
    """Where QEMU finds what bhyve opened. Descriptors are numbers inside QEMU."""

    firmware: str
    variables: str
    """A file written to in place, or a template that is not (`keep_variables`)."""
    keep_variables: bool
    backings: Mapping[str, str]
    """Place of a disk -> `nbd:SOCKET`, `file:PATH` or `ram:`."""
    consoles: Mapping[str, int]
    qmp: int
    reset_log: int


def qemu_argv(machine: Machine, plumbing: Plumbing) -> tuple[str, ...]:
    """The whole command; raises CannotEmulate naming what cannot be shown.

    A guest's shutdown or reset only stops QEMU (`-action`), so that whoever watches says how bhyve would have ended.
    """
    if machine.memory < _LEAST_MEMORY:
        raise CannotEmulate(f"it has {machine.memory} bytes of memory")
    argv = [QEMU, "-name", machine.name, "-nodefaults", "-no-user-config", "-display", "none"]
    argv += ["-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", f"{machine.memory >> 20}M"]
    argv += ["-smp", f"{machine.cpus},sockets={machine.sockets},cores={machine.cores},threads={machine.threads}"]
    # stopped at first, or a guest that ends at once would end before anybody listens
    argv += ["-S", "-action", "reboot=shutdown,shutdown=pause,panic=shutdown"]
    if machine.uuid:
        argv += ["-uuid", machine.uuid]
    argv += _firmware(plumbing)
    for port, fd in plumbing.consoles.items():
        argv += ["-chardev", f"socket,id={port},fd={fd}"]
        argv += _device({"driver": "isa-serial", "chardev": port, "index": int(port[-1]) - 1})
    places = _Places(machine)
    turns = _boot_turns(machine.disks)
    for number, disk in enumerate(machine.disks):
        argv += _disk(disk, number, turns[disk.place], plumbing.backings[disk.place], places)
    for number, network in enumerate(machine.networks):
        argv += _network(network, number, places)
    if machine.random:
        argv += _device({"driver": "virtio-rng-pci"})
    argv += ["-chardev", f"socket,id=qmp,fd={plumbing.qmp}", "-mon", "chardev=qmp,mode=control"]
    argv += ["-d", "cpu_reset", "-D", f"/proc/self/fd/{plumbing.reset_log}"]
    return tuple(argv)


def _firmware(plumbing: Plumbing) -> Iterator[str]:
    yield from ("-drive", f"if=pflash,format=raw,readonly=on,file={_quoted(plumbing.firmware)}")
    temporary = "" if plumbing.keep_variables else ",snapshot=on"
    yield from ("-drive", f"if=pflash,format=raw,file={_quoted(plumbing.variables)}{temporary}")
    # a guest boots from its disks: looking for network servers first would only cost time
    for family in ("IPv4", "IPv6"):
        yield from ("-fw_cfg", f"name=opt/org.tianocore/{family}PXESupport,string=n")


class _Places:
    """bhyve's `bus:slot:func` on QEMU's one bus; what lies on another bus gets any free slot."""

    def __init__(self, machine: Machine) -> None:
        places = [disk.place for disk in machine.disks] + [network.place for network in machine.networks]
        self._shared = {place.split(":")[1] for place in places if place.split(":")[2] != "0"}

    def of(self, place: str) -> dict[str, object]:
        bus, slot, func = place.split(":")[:3]
        if bus != "0" or slot in ("0", "31"):  # q35 keeps 31 for its own bridge, as bhyve's users do for lpc
            return {}
        shared = {"multifunction": True} if slot in self._shared else {}
        return {"addr": f"{int(slot):x}.{func}", **shared}


def _boot_turns(disks: Iterable[Disk]) -> dict[str, int]:
    """Place of a disk -> when firmware tries it: removable media first (UefiBootManagerLib's BmBoot.c), CDs here."""
    in_turn = sorted(disks, key=lambda disk: disk.emulation != "ahci-cd")
    return {disk.place: turn for turn, disk in enumerate(in_turn, 1)}


def _disk(disk: Disk, number: int, turn: int, backing: str, places: _Places) -> Iterator[str]:
    node = f"disk{number}"
    kind, _, where = backing.partition(":")
    block: dict[str, object] = {"node-name": node, "read-only": disk.read_only}
    block["discard"] = "unmap" if disk.discard else "ignore"
    match kind:
        case "nbd":
            block |= {"driver": "nbd", "server": {"type": "unix", "path": where}}
        case "file":
            block |= {"driver": "raw", "file": {"driver": "file", "filename": where, "locking": "off"}}
        case _:
            block |= {"driver": "null-co", "size": disk.size, "read-zeroes": True}
    yield from ("-blockdev", json.dumps(block))
    shown: dict[str, object] = {
        "drive": node,
        "serial": disk.serial,
        "logical_block_size": disk.logical,
        "physical_block_size": disk.physical,
        "bootindex": turn,
    }
    match disk.emulation:
        case "virtio-blk":
            shown |= {"rerror": "report", "werror": "report", "discard": disk.discard, "write-zeroes": False}
            yield from _device({"driver": "virtio-blk-pci", **shown, **places.of(disk.place)})
        case "nvme":
            yield from _device({"driver": "nvme", **shown, **places.of(disk.place)})
        case _:
            yield from _ahci(disk, number, shown, places)


def _ahci(disk: Disk, number: int, shown: dict[str, object], places: _Places) -> Iterator[str]:
    """A controller for each AHCI disk: bhyve has one of many ports, but a guest sees the same disks."""
    port = disk.place.split(":")[3]
    place = places.of(disk.place) if port == "0" else {}
    yield from _device({"driver": "ich9-ahci", "id": f"ahci{number}", **place})
    on = {"bus": f"ahci{number}.0"}
    if disk.emulation == "ahci-cd":
        known = {name: shown[name] for name in ("drive", "serial", "bootindex")}
        yield from _device({"driver": "ide-cd", **known, **on})
        return
    if disk.logical != 512:
        raise CannotEmulate(f"an AHCI disk with {disk.logical}-byte sectors: QEMU's have 512")
    errors = {"rerror": "report", "werror": "report"}
    yield from _device({"driver": "ide-hd", **shown, **errors, **on})


def _network(network: Network, number: int, places: _Places) -> Iterator[str]:
    """An interface that leads nowhere: the guest finds it, with its address; no packet leaves the lab."""
    yield from ("-netdev", f"hubport,id=net{number},hubid={number}")
    driver = "virtio-net-pci" if network.emulation == "virtio-net" else "e1000"
    device = {"driver": driver, "netdev": f"net{number}", "mac": network.mac, "romfile": ""}
    yield from _device({**device, **places.of(network.place)})


def _device(properties: Mapping[str, object]) -> tuple[str, str]:
    return ("-device", json.dumps(properties))


def _quoted(path: str) -> str:
    """QEMU's option strings double a comma."""
    return path.replace(",", ",,")
