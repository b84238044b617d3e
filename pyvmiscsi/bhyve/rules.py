"""Everything that must be so before a guest may start: all problems at once, each with its remedy.

bhyve itself is no judge to rely on: it accepts and ignores a misspelt option, silently opens a disk read-only, and
shows a guest whatever block size the disk happens to have (freebsd.md 4.5, 6.3; `golden/bhyve`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pyvmiscsi.bhyve.capabilities import FIRMWARE_DIRECTORY, Capabilities
from pyvmiscsi.bhyve.config import Disk, GuestConfig
from pyvmiscsi.bhyve.devices import HOST_BRIDGES, INSTALL_SLOT, Devices
from pyvmiscsi.bhyve.loader import VARS_TEMPLATE, bootrom
from pyvmiscsi.bhyve.slots import HOST_BRIDGE, LPC
from pyvmiscsi.errors import RuleError, UnsupportedError
from pyvmiscsi.units import SECTOR

_BLOCK_OPTIONS = frozenset({"nocache", "direct", "sync", "ro", "nodelete", "sectorsize", "bootindex", "ser"})
_AHCI_OPTIONS = _BLOCK_OPTIONS | {"nmrr", "rev", "model"}
_NVME_OPTIONS = _BLOCK_OPTIONS | {"maxq", "qsz", "ioslots", "sectsz", "eui64", "dsm"}
DISK_OPTIONS = {"virtio-blk": _BLOCK_OPTIONS, "nvme": _NVME_OPTIONS, "ahci-hd": _AHCI_OPTIONS, "ahci-cd": _AHCI_OPTIONS}
"""What bhyve reads of a disk's options; it takes any other and never looks at it (freebsd.md 4.2)."""
NETWORK_EMULATIONS = ("virtio-net", "e1000")
_SWITCHES = ("nocache", "direct", "sync", "ro", "nodelete")
_BOOLEANS = ("true", "on", "yes", "1", "false", "off", "no", "0")  # config.c
_LONGEST_SERIAL = 20  # virtio-blk, ahci and nvme alike: freebsd.md 4.2
_WIDEST, _HIGHEST = 1920, 1200  # pci_fbuf.c


@dataclass(frozen=True, slots=True)
class Problem:
    """A rule that the guest breaks, and what to do about it."""

    where: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def check(guest: GuestConfig, capabilities: Capabilities, devices: Devices) -> None:
    """Raise RuleError for the first problem, saying how many more there are."""
    found = problems(guest, capabilities, devices)
    if found:
        more = f"; and {len(found) - 1} more" if len(found) > 1 else ""
        raise RuleError(f"guest {guest.name}: {found[0]}{more}", hint=found[0].remedy)


def problems(guest: GuestConfig, capabilities: Capabilities, devices: Devices) -> tuple[Problem, ...]:
    """Every rule the guest breaks on this host with these devices, the gravest first."""
    return tuple(
        problem
        for rule in (_sectors, _machine, _processors, _firmware, _disks, _networks, _words, _places, _display)
        for problem in rule(guest, capabilities, devices)
    )


def _sectors(guest: GuestConfig, _: Capabilities, devices: Devices) -> Iterator[Problem]:
    for disk in guest.disks:
        found = devices.disks.get(disk.number)
        if found is not None and found.sector != SECTOR:
            yield Problem(
                disk.key,
                f"{found.path} has logical blocks of {int(found.sector)} bytes; guests get disks of 512 only",
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


def _machine(guest: GuestConfig, capabilities: Capabilities, _: Devices) -> Iterator[Problem]:
    if capabilities.machine != "amd64":
        yield Problem(
            "host", f"it is an {capabilities.machine} machine", "choose an amd64 host: others are not supported"
        )
    if guest.uuid is None:
        yield Problem("uuid", "missing", "write uuid=… (uuidgen(1)): else the guest has another one on every host")
    if guest.hostbridge not in (*HOST_BRIDGES, "none"):
        yield Problem("hostbridge", f"{guest.hostbridge!r} is not known", "write standard, amd or none")
    for port in guest.comports:
        if re.fullmatch(r"com[1-4]", port) is None:
            yield Problem("comports", f"{port!r} is not a serial port", "write com1, com2, com3 or com4")


def _processors(guest: GuestConfig, capabilities: Capabilities, _: Devices) -> Iterator[Problem]:
    cpu = guest.cpu
    if not 0 < cpu.count <= capabilities.max_vcpus:
        yield Problem(
            "cpu",
            f"{cpu.count} processors; this host gives a guest 1 to {capabilities.max_vcpus}",
            "ask for fewer, or raise hw.vmm.maxcpu in loader.conf",
        )
    # left out, cores and threads are 1, and sockets is all of them (calc_topology in bhyverun.c)
    product = (cpu.count if cpu.sockets is None else cpu.sockets) * (cpu.cores or 1) * (cpu.threads or 1)
    if product != cpu.count:
        yield Problem("cpu", f"sockets x cores x threads is {product}, not {cpu.count}", "write cpu_sockets=… to match")
    if guest.memory > capabilities.memory:
        yield Problem("memory", f"{guest.memory}; the host has {capabilities.memory}", "ask for less memory")
    if not guest.memory.bytes:
        yield Problem("memory", "none", "write memory=512M or more")


def _firmware(guest: GuestConfig, capabilities: Capabilities, devices: Devices) -> Iterator[Problem]:
    if not guest.loader.is_uefi:
        if not guest.disks and not devices.install_iso:
            yield Problem("loader", f"{guest.loader} needs a disk to boot from", "add disk0, or use UEFI firmware")
        return
    try:
        rom = bootrom(guest, devices.directory)
    except UnsupportedError as why:
        yield Problem("loader", why.message, why.hint)
        return
    needed = [rom, VARS_TEMPLATE] if guest.uefi_vars else [rom]
    for path in needed:
        if path is not None and path.startswith(f"{FIRMWARE_DIRECTORY}/") and path not in capabilities.firmware:
            yield Problem("loader", f"the host has no {path}", "install the package edk2-bhyve there")


def _disks(guest: GuestConfig, _: Capabilities, devices: Devices) -> Iterator[Problem]:
    for disk in guest.disks:
        known = DISK_OPTIONS.get(disk.emulation)
        if known is None:
            yield _unknown(f"{disk.key}_type", disk.emulation, DISK_OPTIONS)
        else:
            yield from _options(disk, known)
        if disk.number not in devices.disks:
            yield Problem(disk.key, "no device was found for it", "attach the disk first")
        serial = _serial(disk)
        if serial is not None and not 0 < len(serial) <= _LONGEST_SERIAL:
            yield Problem(disk.key, f"the serial {serial!r} has {len(serial)} characters", "bhyve takes 1 to 20")
    yield from _twins("serial", ((disk.key, _serial(disk)) for disk in guest.disks))
    yield from _twins(
        "device", ((disk.key, devices.disks[disk.number].path) for disk in guest.disks if disk.number in devices.disks)
    )
    if not 1 <= guest.ahci_device_limit <= 32:
        yield Problem("ahci_device_limit", f"{guest.ahci_device_limit}", "write 1 to 32")


def _networks(guest: GuestConfig, _: Capabilities, devices: Devices) -> Iterator[Problem]:
    for network in guest.networks:
        if network.emulation not in NETWORK_EMULATIONS:
            yield _unknown(f"{network.key}_type", network.emulation, NETWORK_EMULATIONS)
        if network.number not in devices.backends:
            yield Problem(network.key, "it is plugged into nothing", "name its switch, and see that the host has it")
    yield from _twins("MAC address", ((one.key, str(one.mac) if one.mac else None) for one in guest.networks))


def _words(guest: GuestConfig, _: Capabilities, devices: Devices) -> Iterator[Problem]:
    """bhyve splits a device's words at commas and knows no quoting."""
    paths = [(f"disk{number}", found.path) for number, found in devices.disks.items()]
    paths += [("installation medium", devices.install_iso)] if devices.install_iso else []
    named = [
        *paths,
        ("directory", devices.directory),
        ("sound_play", guest.sound_play),
        ("sound_rec", guest.sound_rec or "-"),
        *(("virt_console", port) for port in guest.virt_consoles),
    ]
    for where, word in named:
        if not word or re.search(r"[,\x00-\x20\x7f]", word):
            yield Problem(where, f"{word!r} is empty, or holds a comma, blank or line break", "use a plainer name")
    for where, path in (*paths, ("directory", devices.directory)):
        if not path.startswith("/"):
            yield Problem(where, f"{path!r} is not an absolute path", "give the whole path")
    for disk in guest.disks:
        for option in disk.opts:
            if re.search(r"[\x00-\x20\x7f]", option):
                yield Problem(f"{disk.key}_opts", f"{option!r} holds a blank or line break", "remove it")
    for passthru in guest.passthrus:
        if re.fullmatch(r"[0-9]+/[0-9]+/[0-9]+", passthru.device) is None:
            yield Problem(passthru.key, f"{passthru.device!r} is not bus/slot/function", "write it as pciconf(8) says")


def _places(guest: GuestConfig, _: Capabilities, devices: Devices) -> Iterator[Problem]:
    layout = guest.layout()
    kept = {LPC: "lpc", **({HOST_BRIDGE: "hostbridge"} if guest.hostbridge != "none" else {})}
    if devices.install_iso:
        kept[INSTALL_SLOT] = "the installation medium"
    yield from _twins("PCI slot", [*((name, str(slot)) for slot, name in kept.items()), *_said(layout.items())])
    taken = {*layout.values(), *kept}
    for key, slot in layout.items():
        if slot.function and not any(other.place == slot.place and other.function == 0 for other in taken):
            yield Problem(key, f"PCI slot {slot} has no function 0", "give its slot a device at function 0")


def _display(guest: GuestConfig, _: Capabilities, devices: Devices) -> Iterator[Problem]:
    graphics = guest.graphics
    if graphics is None or not guest.loader.is_uefi:
        return
    if graphics.port is None and devices.vnc_port is None:
        yield Problem("graphics_port", "no port is named, and no free one was found", "write graphics_port=5900 or so")
    if (graphics.width or 0) > _WIDEST or (graphics.height or 0) > _HIGHEST:
        yield Problem("graphics_res", f"{graphics.width}x{graphics.height}", f"at most {_WIDEST}x{_HIGHEST}")
    if graphics.vga not in (None, "on", "io", "off"):
        yield _unknown("graphics_vga", graphics.vga, ("on", "io", "off"))


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


def _said(pairs: Iterable[tuple[str, object]]) -> Iterator[tuple[str, str]]:
    return ((key, str(value)) for key, value in pairs)


def _twins(what: str, pairs: Iterable[tuple[str, str | None]]) -> Iterator[Problem]:
    known = [(key, value) for key, value in pairs if value is not None]
    counted = Counter(value for _, value in known)
    for value in (value for value, count in counted.items() if count > 1):
        keys = [key for key, other in known if other == value]
        yield Problem(keys[-1], f"{what} {value} is also that of {', '.join(keys[:-1])}", f"give each its own {what}")


def _unknown(where: str, value: str, known: Iterable[str]) -> Problem:
    return Problem(where, f"{value!r} is not known", f"write one of {', '.join(known)}")
