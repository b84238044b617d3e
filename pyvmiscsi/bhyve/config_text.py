"""A guest's configuration read from vm-bhyve's keys, and said in them.

Keys and defaults are vm-bhyve's (`config.sample`; freebsd.md 5.2). Ours beside them, which vm-bhyve ignores:
`diskN_serial` (the ancestor's) and the pins `diskN_slot`, `networkN_slot`, `passthruN_slot`, `virt_random_slot`,
`graphics_slot`, `xhci_mouse_slot`, `sound_slot`, `virt_consoles_slot`. Keys not named here stay in the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeVar
from uuid import UUID

from pyvmiscsi.bhyve.conf_text import ConfText, is_true
from pyvmiscsi.bhyve.config import EVERYWHERE, UNNUMBERED, Cpu, Disk, Graphics, GuestConfig, Loader, Network, Passthru
from pyvmiscsi.bhyve.slots import Slot
from pyvmiscsi.errors import ConfigError, InputError
from pyvmiscsi.names import GuestName, Mac, Serial
from pyvmiscsi.secrets import Secret
from pyvmiscsi.units import MIB, Size

T = TypeVar("T")


def parse_guest(name: GuestName, text: ConfText | str) -> GuestConfig:
    """The guest that the text describes.

    Disks and networks are counted from 0 until one lacks its type (or a disk its name), as vm-bhyve counts.
    Raises ConfigError naming the guest and the key.
    """
    conf = text if isinstance(text, ConfText) else ConfText(text)
    reader = _Reader(f"guest {name}", conf.pairs())
    return GuestConfig(
        name=name,
        cpu=Cpu(
            reader.required_number("cpu"),
            reader.number("cpu_sockets"),
            reader.number("cpu_cores"),
            reader.number("cpu_threads"),
        ),
        memory=reader.memory(),
        loader=reader.loader(),
        uuid=reader.uuid(),
        disks=reader.disks(),
        networks=reader.networks(),
        passthrus=reader.passthrus(),
        graphics=reader.graphics(),
        xhci_mouse=reader.truth("xhci_mouse"),
        sound=reader.truth("sound"),
        sound_play=reader.text("sound_play") or "/dev/dsp0",
        sound_rec=reader.text("sound_rec"),
        virt_random=reader.truth("virt_random"),
        virt_consoles=reader.numbered("virt_console"),
        comports=tuple((reader.text("comports") or "com1").split()),
        hostbridge=reader.text("hostbridge") or "standard",
        uefi_vars=reader.truth("uefi_vars"),
        utctime=reader.truth("utctime", default=True),
        wired_memory=reader.truth("wired_memory"),
        ignore_msr=reader.truth("ignore_msr"),
        fwcfg=reader.text("fwcfg"),
        bhyve_options=reader.text("bhyve_options") or "",
        bhyveload_loader=reader.text("bhyveload_loader"),
        bhyveload_args=reader.text("bhyveload_args") or "",
        loader_timeout=reader.number("loader_timeout", default=3) or 0,
        grub_run_partition=reader.text("grub_run_partition"),
        grub_run_dir=reader.text("grub_run_dir"),
        grub_run_file=reader.text("grub_run_file"),
        start_slot=reader.number("start_slot", default=4) or 0,
        ahci_device_limit=reader.number("ahci_device_limit", default=1) or 1,
        pins=reader.pins(),
    )


def guest_pairs(guest: GuestConfig) -> dict[str, str]:
    """The keys and values that say this guest, defaults left out, in the order a new file has them."""
    pairs: dict[str, str | None] = {
        "loader": str(guest.loader),
        "cpu": str(guest.cpu.count),
        "cpu_sockets": _word(guest.cpu.sockets),
        "cpu_cores": _word(guest.cpu.cores),
        "cpu_threads": _word(guest.cpu.threads),
        "memory": str(guest.memory),
        "uuid": _word(guest.uuid),
        "uefi_vars": _yes(guest.uefi_vars),
        "utctime": None if guest.utctime else "no",
        "wired_memory": _yes(guest.wired_memory),
        "ignore_msr": _yes(guest.ignore_msr),
        "hostbridge": None if guest.hostbridge == "standard" else guest.hostbridge,
        "comports": None if guest.comports == ("com1",) else " ".join(guest.comports),
        "fwcfg": guest.fwcfg,
        "bhyve_options": guest.bhyve_options or None,
        "bhyveload_loader": guest.bhyveload_loader,
        "bhyveload_args": guest.bhyveload_args or None,
        "loader_timeout": None if guest.loader_timeout == 3 else str(guest.loader_timeout),
        "grub_run_partition": guest.grub_run_partition,
        "grub_run_dir": guest.grub_run_dir,
        "grub_run_file": guest.grub_run_file,
        "start_slot": None if guest.start_slot == 4 else str(guest.start_slot),
        "ahci_device_limit": None if guest.ahci_device_limit == 1 else str(guest.ahci_device_limit),
    }
    for disk in guest.disks:
        pairs |= {
            f"{disk.key}_type": disk.emulation,
            f"{disk.key}_dev": None if disk.dev == "file" else disk.dev,
            f"{disk.key}_name": disk.name,
            f"{disk.key}_opts": ",".join(disk.opts) or None,
            f"{disk.key}_serial": _word(disk.serial),
            f"{disk.key}_slot": _word(disk.slot),
        }
    for network in guest.networks:
        pairs |= {
            f"{network.key}_type": network.emulation,
            f"{network.key}_switch": network.switch,
            f"{network.key}_mac": _word(network.mac),
            f"{network.key}_device": network.device,
            f"{network.key}_slot": _word(network.slot),
        }
    for passthru in guest.passthrus:
        pairs |= {passthru.key: passthru.device, f"{passthru.key}_slot": _word(passthru.slot)}
    if guest.graphics is not None:
        pairs |= _graphics_pairs(guest.graphics)
    pairs |= {
        "xhci_mouse": _yes(guest.xhci_mouse),
        "sound": _yes(guest.sound),
        "sound_play": None if guest.sound_play == "/dev/dsp0" else guest.sound_play,
        "sound_rec": guest.sound_rec,
        "virt_random": _yes(guest.virt_random),
        **{f"virt_console{number}": port for number, port in enumerate(guest.virt_consoles)},
        **{f"{key}_slot": str(slot) for key, slot in guest.pins.items()},
    }
    return {key: value for key, value in pairs.items() if value is not None}


def write_guest(guest: GuestConfig, text: ConfText) -> ConfText:
    """The text changed so that it says this guest: only keys whose meaning differs are touched.

    Raises ConfigError when the text cannot be read, InputError for a value it cannot hold.
    """
    before = guest_pairs(parse_guest(guest.name, text)) if text.text else {}
    after = guest_pairs(guest)
    gone: dict[str, str | None] = dict.fromkeys(key for key in before if key not in after)
    return text.changed(gone | {key: value for key, value in after.items() if before.get(key) != value})


class _Reader:
    """Values out of the pairs, each mistake named by guest and key."""

    def __init__(self, whose: str, pairs: Mapping[str, str]) -> None:
        self._whose = whose
        self._pairs = pairs

    def text(self, key: str) -> str | None:
        return self._pairs.get(key) or None

    def truth(self, key: str, *, default: bool = False) -> bool:
        return is_true(self._pairs[key]) if key in self._pairs else default

    def number(self, key: str, default: int | None = None) -> int | None:
        value = self.text(key)
        if value is None:
            return default
        if not re.fullmatch(r"[0-9]{1,9}", value):
            raise self._mistake(key, f"{value!r} is not a number")
        return int(value)

    def required_number(self, key: str) -> int:
        number = self.number(key)
        if number is None:
            raise self._mistake(key, "missing")
        return number

    def memory(self) -> Size:
        value = self.text("memory")
        if value is None:
            raise self._mistake("memory", "missing")
        size = self._parsed("memory", Size.parse, value)
        # bhyve(8) takes a bare number below a mebibyte for mebibytes
        return Size(size.bytes * MIB.bytes) if value.isdecimal() and size < MIB else size

    def loader(self) -> Loader:
        value = self.text("loader")
        if value is None:
            raise self._mistake("loader", "missing")
        try:
            return Loader(value)
        except ValueError:
            raise self._mistake("loader", f"{value!r} is none of {', '.join(Loader)}") from None

    def uuid(self) -> UUID | None:
        value = self.text("uuid")
        return self._parsed("uuid", UUID, value) if value else None

    def slot(self, key: str) -> Slot | None:
        value = self.text(f"{key}_slot")
        return self._parsed(f"{key}_slot", Slot.parse, value) if value else None

    def pins(self) -> dict[str, Slot]:
        return {key: slot for key in UNNUMBERED if (slot := self.slot(key)) is not None}

    def numbered(self, stem: str) -> tuple[str, ...]:
        values: list[str] = []
        while value := self.text(f"{stem}{len(values)}"):
            values.append(value)
        return tuple(values)

    def disks(self) -> tuple[Disk, ...]:
        disks: list[Disk] = []
        while (kind := self.text(f"disk{len(disks)}_type")) and (name := self.text(f"disk{len(disks)}_name")):
            key = f"disk{len(disks)}"
            serial = self.text(f"{key}_serial")
            disks.append(
                Disk(
                    number=len(disks),
                    emulation=kind,
                    name=name,
                    dev=self.text(f"{key}_dev") or "file",
                    opts=tuple(word for word in (self.text(f"{key}_opts") or "").split(",") if word),
                    serial=self._parsed(f"{key}_serial", Serial.parse, serial) if serial else None,
                    slot=self.slot(key),
                )
            )
        return tuple(disks)

    def networks(self) -> tuple[Network, ...]:
        networks: list[Network] = []
        while kind := self.text(f"network{len(networks)}_type"):
            key = f"network{len(networks)}"
            mac = self.text(f"{key}_mac")
            networks.append(
                Network(
                    number=len(networks),
                    emulation=kind,
                    switch=self.text(f"{key}_switch"),
                    mac=self._parsed(f"{key}_mac", Mac.parse, mac) if mac else None,
                    device=self.text(f"{key}_device"),
                    slot=self.slot(key),
                )
            )
        return tuple(networks)

    def passthrus(self) -> tuple[Passthru, ...]:
        passthrus = []
        for number, value in enumerate(self.numbered("passthru")):
            key = f"passthru{number}"
            device, _, own = value.partition("=")
            slot = self.slot(key) or (self._parsed(key, Slot.parse, own) if own else None)
            passthrus.append(Passthru(number, device, slot))
        return tuple(passthrus)

    def graphics(self) -> Graphics | None:
        if not self.truth("graphics"):
            return None
        width = height = None
        if resolution := self.text("graphics_res"):
            match = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", resolution)
            if match is None:
                raise self._mistake("graphics_res", f"{resolution!r} is not WIDTHxHEIGHT")
            width, height = int(match[1]), int(match[2])
        password = self.text("vnc_password")
        return Graphics(
            listen=self.text("graphics_listen") or EVERYWHERE,
            port=self.number("graphics_port"),
            width=width,
            height=height,
            vga=self.text("graphics_vga"),
            wait=self.text("graphics_wait") or "auto",
            password=Secret(password) if password else None,
        )

    def _parsed(self, key: str, parse: Callable[[str], T], value: str) -> T:
        try:
            return parse(value)
        except (InputError, ValueError) as why:
            raise self._mistake(key, str(why)) from why

    def _mistake(self, key: str, what: str) -> ConfigError:
        return ConfigError(f"{self._whose}: {key}: {what}")


def _graphics_pairs(graphics: Graphics) -> dict[str, str | None]:
    sized = graphics.width is not None and graphics.height is not None
    return {
        "graphics": "yes",
        "graphics_listen": None if graphics.listen == EVERYWHERE else graphics.listen,
        "graphics_port": _word(graphics.port),
        "graphics_res": f"{graphics.width}x{graphics.height}" if sized else None,
        "graphics_vga": graphics.vga,
        "graphics_wait": None if graphics.wait == "auto" else graphics.wait,
        "vnc_password": graphics.password.reveal() if graphics.password else None,
    }


def _word(value: object | None) -> str | None:
    return None if value is None else str(value)


def _yes(value: bool) -> str | None:
    return "yes" if value else None
