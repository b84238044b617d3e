"""What must be so of a guest's devices before it may start; `rules.py` says of what they are part."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import combinations

from pyvmiscsi.bhyve.configuration.config import Disk, GuestConfig
from pyvmiscsi.bhyve.machine.devices import Devices, install_medium
from pyvmiscsi.bhyve.rules.broken import listed_as_one_of, twins
from pyvmiscsi.bhyve.rules.places import overlap
from pyvmiscsi.bhyve.rules.surroundings import Surroundings, is_writer
from pyvmiscsi.errors import Problem
from pyvmiscsi.units import SECTOR

_BLOCK_OPTIONS = frozenset({"nocache", "direct", "sync", "ro", "nodelete", "sectorsize", "bootindex", "ser"})
_AHCI_OPTIONS = _BLOCK_OPTIONS | {"nmrr", "rev", "model"}
_NVME_OPTIONS = _BLOCK_OPTIONS | {"maxq", "qsz", "ioslots", "sectsz", "eui64", "dsm"}
DISK_OPTIONS = {
    "virtio-blk": _BLOCK_OPTIONS,
    "nvme": _NVME_OPTIONS,
    "ahci-hd": _AHCI_OPTIONS,
    "ahci-cd": _AHCI_OPTIONS,
    "virtio-scsi": frozenset({"iid", "bootindex"}),
}
"""What bhyve reads of a disk's options; it takes any other and never looks at it (freebsd.md 4.2)."""
NETWORK_EMULATIONS = ("virtio-net", "e1000")
_SWITCHES = ("nocache", "direct", "sync", "ro", "nodelete")
_BOOLEANS = ("true", "on", "yes", "1", "false", "off", "no", "0")  # config.c
_LONGEST = {"rev": 8, "model": 40}  # pci_ahci.c cuts what is longer, and says nothing
_LONGEST_SERIAL = 20  # virtio-blk, ahci and nvme alike: freebsd.md 4.2
_LONGEST_INTERFACE = 15  # IFNAMSIZ without its NUL: net/if.h
_LONGEST_SOCKET = 103  # sun_path without its NUL: sys/un.h
_MTUS = range(46, 65536)  # net_parsemtu in net_utils.c
_PASSED_THROUGH = re.compile(r"[0-9]+/[0-9]+/[0-9]+|pci(0:)?[0-9]+:[0-9]+:[0-9]+|ppt[0-9]+")  # passthru in bhyve(8)


def sectors(guest: GuestConfig, devices: Devices, around: Surroundings) -> Iterator[Problem]:
    for disk in guest.disks:
        found = devices.disks.get(disk.number)
        if found is not None and (sector := around.sectors.get(found.path, found.sector)) != SECTOR:
            yield Problem(
                disk.key,
                f"{found.path} has logical blocks of {int(sector)} bytes; guests get disks of 512 only",
                "make the extent anew with blocksize 512 and copy the data: bhyve cannot show larger blocks as 512",
            )
        for option in disk.opts:
            key, _equals, value = option.partition("=")
            if key in ("sectorsize", "sectsz") and value.partition("/")[0] != "512":
                yield Problem(
                    f"{disk.key}_opts",
                    f"{option} would show the guest other logical blocks than 512 bytes",
                    "write sectorsize=512 or sectorsize=512/4096, or leave it out",
                )


def disks(guest: GuestConfig, devices: Devices) -> Iterator[Problem]:
    for disk in guest.disks:
        known = DISK_OPTIONS.get(disk.emulation)
        if known is None:
            yield listed_as_one_of(f"{disk.key}_type", disk.emulation, DISK_OPTIONS)
        else:
            yield from _options(disk, known)
        if disk.emulation == "virtio-scsi" and disk.is_lun:
            yield Problem(f"{disk.key}_type", "virtio-scsi takes a port of ctl(4), no disk", "write virtio-blk or nvme")
        if disk.number not in devices.disks:
            yield Problem(disk.key, "no device was found for it", "attach the disk first")
        serial = _serial(disk)
        if serial is not None and not 0 < len(serial) <= _LONGEST_SERIAL:
            yield Problem(disk.key, f"the serial {serial!r} has {len(serial)} characters", "bhyve takes 1 to 20")
    yield from twins("bootindex", _boot_order(guest, devices))
    yield from twins("serial", ((disk.key, _serial(disk)) for disk in guest.disks))
    yield from twins(
        "device", ((disk.key, devices.disks[disk.number].path) for disk in guest.disks if disk.number in devices.disks)
    )
    if not 1 <= guest.ahci_device_limit <= 32:
        yield Problem("ahci_device_limit", f"{guest.ahci_device_limit}", "write 1 to 32")


def _boot_order(guest: GuestConfig, devices: Devices) -> Iterator[tuple[str, str]]:
    """Who asks for which place: bhyve refuses to start when two want the same (pci_emul.c)."""
    if any("bootindex=1" in medium.words.split(",") for medium in install_medium(guest, devices)):
        yield "the installation medium", "1"
    for disk in guest.disks:
        for option in disk.opts:
            key, _, value = option.partition("=")
            if key == "bootindex":
                yield f"{disk.key}_opts", value


def shared_disks(guest: GuestConfig, devices: Devices, around: Surroundings) -> Iterator[Problem]:
    """What another disk of the guest, or a running neighbour, writes to under any of its names."""
    written = [
        (disk, devices.disks[disk.number].path)
        for disk in guest.disks
        if disk.number in devices.disks and is_writer(disk.emulation, disk.opts)
    ]
    for (twin, twins_path), (disk, path) in combinations(written, 2):
        if path != twins_path and overlap(path, twins_path, around.places):
            yield Problem(disk.key, f"{path} is on the same disk as {twin.key}, {twins_path}", "give each its own")
    shared = f"{devices.directory.rpartition('/')[0]}/"
    for disk, path in written:
        for other in around.neighbours:
            is_there = other.runs_on == around.hostname or path.startswith(shared)
            theirs = next((one for one in sorted(other.disks) if overlap(path, one, around.places)), None)
            if theirs is not None and other.runs_on and is_there:
                alias = "" if theirs == path else f" ({theirs})"
                yield Problem(
                    disk.key,
                    f"{path} is also a disk of {other.name}{alias}, which runs on {other.runs_on}",
                    "stop that one, or give this one a disk of its own: two that write to one disk ruin it",
                )


def networks(guest: GuestConfig, devices: Devices, around: Surroundings) -> Iterator[Problem]:
    for network in guest.networks:
        if network.emulation not in NETWORK_EMULATIONS:
            yield listed_as_one_of(f"{network.key}_type", network.emulation, NETWORK_EMULATIONS)
        if network.number not in devices.backends or not (network.switch or network.device):
            yield Problem(network.key, "it is plugged into nothing", "name its switch, and see that the host has it")
        if network.switch in around.missing_switches:
            yield Problem(
                f"{network.key}_switch",
                f"the host has no switch {network.switch}",
                "make it there (pyvmiscsi switch create), or name another",
            )
        if network.name is not None and not _is_interface_name(network.name):
            yield Problem(
                f"{network.key}_name",
                f"{network.name!r} cannot be an interface's name",
                f"write a letter, then letters, digits and '_', {_LONGEST_INTERFACE} in all",
            )
        if network.mtu is not None and network.emulation != "virtio-net":
            yield Problem(
                f"{network.key}_mtu", f"{network.emulation} has no MTU to tell", "remove it, or use virtio-net"
            )
        elif network.mtu is not None and network.mtu not in _MTUS:
            yield Problem(f"{network.key}_mtu", f"{network.mtu}", f"write {_MTUS.start} to {_MTUS.stop - 1}")
    yield from twins("MAC address", ((one.key, str(one.mac) if one.mac else None) for one in guest.networks))
    yield from twins("interface", ((one.key, one.device or one.name) for one in guest.networks))
    for network in guest.networks:
        for other in around.neighbours:
            if other.runs_on and str(network.mac) in other.macs:
                yield Problem(
                    f"{network.key}_mac",
                    f"{network.mac} is also that of {other.name}, which runs on {other.runs_on}",
                    "remove one of the two lines: the guest gets a MAC address of its own",
                )


def others(guest: GuestConfig, devices: Devices) -> Iterator[Problem]:
    """Passed-through devices, shared directories, consoles and the TPM."""
    for passthru in guest.passthrus:
        if _PASSED_THROUGH.fullmatch(passthru.device) is None:
            yield Problem(passthru.key, f"{passthru.device!r} is not bus/slot/function", "write it as pciconf(8) says")
    yield from twins("host device", ((one.key, one.device) for one in guest.passthrus))
    for share in guest.shares:
        if re.fullmatch(r"[^,=\x00-\x20\x7f]+", share.name) is None:
            yield Problem(f"{share.key}_name", f"{share.name!r} holds a comma, '=' or blank", "use a plainer name")
        if re.fullmatch(r"/[^,\x00-\x20\x7f]*", share.path) is None:
            yield Problem(
                f"{share.key}_path", f"{share.path!r} is no whole path, or holds a comma or blank", "use a plainer path"
            )
    yield from twins("name", ((share.key, share.name) for share in guest.shares))
    for port in guest.virt_consoles:
        socket = f"{devices.directory}/vtcon.{port}"
        if re.fullmatch(r"[A-Za-z0-9._-]+", port) is None:
            yield Problem("virt_console", f"{port!r} is no plain name", "use letters, digits, '.', '_' and '-'")
        elif len(socket) > _LONGEST_SOCKET:
            yield Problem("virt_console", f"{socket} is too long for a socket's path", "use a shorter name")
    yield from twins("name", ((f"virt_console{n}", port) for n, port in enumerate(guest.virt_consoles)))
    if guest.tpm is not None:
        if guest.tpm.kind not in ("passthru", "swtpm"):
            yield listed_as_one_of("tpm_type", guest.tpm.kind, ("passthru", "swtpm"))
        if re.fullmatch(r"/[^,\x00-\x20\x7f]*", guest.tpm.path) is None:
            yield Problem("tpm_path", f"{guest.tpm.path!r} is no whole path, or holds a comma", "use a plainer path")


def _is_interface_name(name: str) -> bool:
    return len(name) <= _LONGEST_INTERFACE and re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name, re.ASCII) is not None


def _serial(disk: Disk) -> str | None:
    """The serial bhyve will be given: the one in `diskN_opts` goes before the disk's own."""
    said = [option.partition("=")[2] for option in disk.opts if option.startswith("ser=")]
    return said[-1] if said else disk.shown_serial


def _options(disk: Disk, known: Iterable[str]) -> Iterator[Problem]:
    where = f"{disk.key}_opts"
    for option in disk.opts:
        key, equals, value = option.partition("=")
        if key not in known:
            yield Problem(where, f"bhyve would take {option!r} and ignore it", f"it reads {', '.join(sorted(known))}")
        elif key in _SWITCHES and equals and value not in _BOOLEANS:
            yield Problem(where, f"{option!r} is neither true nor false", f"write {key}, or leave it out")
        elif len(value) > _LONGEST.get(key, len(value)):
            yield Problem(where, f"{option!r} is too long", f"bhyve would cut {key} after {_LONGEST[key]} characters")
        if re.search(r"[\x00-\x20\x7f]", option):
            yield Problem(where, f"{option!r} holds a blank or line break", "remove it")
