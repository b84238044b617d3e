"""A guest's configuration read from vm-bhyve's keys, and said in them.

Keys and defaults are vm-bhyve's (`config.sample`; freebsd.md 5.2). Ours beside them, which vm-bhyve ignores:
`diskN_serial` (the ancestor's), `networkN_mtu`, `cpu_pins`, `comN_device`, `shareN_*`, `tpm_*`, `smbios_*`, and the
pins `diskN_slot`, `virt_random_slot`, … Keys not named here or in `keys.py` stay in the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar
from uuid import UUID

from pyvmiscsi.bhyve.configuration import keys
from pyvmiscsi.bhyve.configuration.conf_text import ConfText, is_true
from pyvmiscsi.bhyve.configuration.config import (
    EVERYWHERE,
    UNNUMBERED,
    Cpu,
    Disk,
    Graphics,
    GuestConfig,
    Limits,
    Loader,
    Network,
    Passthru,
    Share,
    Tpm,
    parse_memory,
)
from pyvmiscsi.bhyve.configuration.slots import Slot
from pyvmiscsi.errors import ConfigError, InputError, Problem
from pyvmiscsi.names import GuestName, Mac, Serial
from pyvmiscsi.secrets import Secret
from pyvmiscsi.units import Size

T = TypeVar("T")

_DEFAULTS = {one.name: one.default for one in fields(GuestConfig)}
_MOST_CONSOLES = 16  # vm::bhyve_device_console


def parse_guest(name: GuestName, text: ConfText | str) -> GuestConfig:
    """The guest that the text describes.

    Disks and networks are counted from 0 until one lacks its type (or a disk its name), as vm-bhyve counts.
    Raises ConfigError naming the guest, with every mistake by its key.
    """
    conf = text if isinstance(text, ConfText) else ConfText(text)
    reader = _Reader(conf.pairs())
    guest = GuestConfig(
        name=name,
        cpu=reader.cpu(),
        memory=reader.memory(),
        memory_text=conf.get("memory") or "",
        loader=reader.loader(),
        uuid=reader.parsed("uuid", UUID),
        disks=reader.disks(),
        networks=reader.networks(),
        passthrus=reader.passthrus(),
        graphics=reader.graphics(),
        virt_consoles=reader.consoles(),
        grub_run=reader.numbered("grub_run"),
        grub_install=reader.numbered("grub_install"),
        limits=Limits(*(reader.text(f"limit_{one.name}") for one in fields(Limits))),
        com_devices={port: device for port in keys.COM_PORTS if (device := reader.text(f"{port}_device"))},
        shares=reader.shares(),
        tpm=reader.tpm(),
        smbios={name: said for name in keys.SMBIOS if (said := reader.text(keys.smbios_key(name)))},
        pins={key: slot for key in UNNUMBERED if (slot := reader.slot(key)) is not None},
        **reader.single(),
    )
    if reader.mistakes:
        raise ConfigError.of_all(f"guest {name}", reader.mistakes)
    return guest


def guest_pairs(guest: GuestConfig) -> dict[str, str]:
    """The keys and values that say this guest, defaults left out, in the order a new file has them."""
    pairs: dict[str, str | None] = {
        "loader": str(guest.loader),
        "cpu": str(guest.cpu.count),
        "cpu_sockets": _word(guest.cpu.sockets),
        "cpu_cores": _word(guest.cpu.cores),
        "cpu_threads": _word(guest.cpu.threads),
        "memory": guest.memory_word,
        "uuid": _word(guest.uuid),
    }
    pairs |= {
        key: kind.say(value)
        for key, kind in keys.SINGLE.items()
        if (value := getattr(guest, key)) != _DEFAULTS[key] and value is not None
    }
    pairs |= {f"limit_{one.name}": getattr(guest.limits, one.name) for one in fields(Limits)}
    pairs |= {f"grub_run{number}": command for number, command in enumerate(guest.grub_run)}
    pairs |= {f"grub_install{number}": command for number, command in enumerate(guest.grub_install)}
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
            f"{network.key}_name": network.name,
            f"{network.key}_span": _yes(network.span),
            f"{network.key}_mtu": _word(network.mtu),
            f"{network.key}_slot": _word(network.slot),
        }
    for passthru in guest.passthrus:
        pairs |= {
            passthru.key: passthru.device,
            f"{passthru.key}_options": passthru.options,
            f"{passthru.key}_slot": _word(passthru.slot),
        }
    for share in guest.shares:
        pairs |= {
            f"{share.key}_name": share.name,
            f"{share.key}_path": share.path,
            f"{share.key}_ro": _yes(share.read_only),
            f"{share.key}_slot": _word(share.slot),
        }
    if guest.graphics is not None:
        pairs |= _graphics_pairs(guest.graphics)
    if guest.tpm is not None:
        pairs |= {"tpm_type": guest.tpm.kind, "tpm_path": guest.tpm.path}
    pairs |= {f"virt_console{number}": port for number, port in enumerate(guest.virt_consoles)}
    pairs |= {f"{port}_device": device for port, device in guest.com_devices.items()}
    pairs |= {keys.smbios_key(name): said for name, said in guest.smbios.items()}
    pairs |= {f"{key}_slot": str(slot) for key, slot in guest.pins.items()}
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
    """Values out of the pairs. A mistake is remembered by its key, and reading goes on with what it stands in for."""

    def __init__(self, pairs: Mapping[str, str]) -> None:
        self._pairs = pairs
        self.mistakes: list[Problem] = []

    def single(self) -> dict[str, Any]:
        """The fields of `keys.SINGLE` that the text sets."""
        values = {key: self._single(key, kind) for key, kind in keys.SINGLE.items() if key in self._pairs}
        return {key: value for key, value in values.items() if value is not None}

    def text(self, key: str) -> str | None:
        return self._pairs.get(key) or None

    def truth(self, key: str) -> bool:
        return is_true(self._pairs.get(key))

    def number(self, key: str) -> int | None:
        return self.parsed(key, keys.count)

    def parsed(self, key: str, parse: Callable[[str], T]) -> T | None:
        value = self.text(key)
        return None if value is None else self._read(key, parse, value)

    def numbered(self, stem: str) -> tuple[str, ...]:
        values: list[str] = []
        while value := self.text(f"{stem}{len(values)}"):
            values.append(value)
        return tuple(values)

    def slot(self, key: str) -> Slot | None:
        return self.parsed(f"{key}_slot", Slot.parse)

    def cpu(self) -> Cpu:
        shape = (self.number(key) for key in ("cpu_sockets", "cpu_cores", "cpu_threads"))
        return Cpu(self._required("cpu", keys.count) or 0, *shape)

    def memory(self) -> Size:
        return self._required("memory", parse_memory) or Size(0)

    def loader(self) -> Loader:
        def known(value: str) -> Loader:
            if value not in list(Loader):
                raise InputError(f"{value!r} is none of {', '.join(Loader)}")
            return Loader(value)

        return self._required("loader", known) or Loader.UEFI

    def disks(self) -> tuple[Disk, ...]:
        disks: list[Disk] = []
        while (kind := self.text(f"disk{len(disks)}_type")) and (name := self.text(f"disk{len(disks)}_name")):
            key = f"disk{len(disks)}"
            disks.append(
                Disk(
                    number=len(disks),
                    emulation=kind,
                    name=name,
                    dev=self.text(f"{key}_dev") or "file",
                    opts=tuple(word for word in (self.text(f"{key}_opts") or "").split(",") if word),
                    serial=self.parsed(f"{key}_serial", Serial.parse),
                    slot=self.slot(key),
                )
            )
        return tuple(disks)

    def networks(self) -> tuple[Network, ...]:
        networks: list[Network] = []
        while kind := self.text(f"network{len(networks)}_type"):
            key = f"network{len(networks)}"
            networks.append(
                Network(
                    number=len(networks),
                    emulation=kind,
                    switch=self.text(f"{key}_switch"),
                    mac=self.parsed(f"{key}_mac", Mac.parse),
                    device=self.text(f"{key}_device"),
                    slot=self.slot(key),
                    name=self.text(f"{key}_name"),
                    span=self.truth(f"{key}_span"),
                    mtu=self.number(f"{key}_mtu"),
                )
            )
        return tuple(networks)

    def passthrus(self) -> tuple[Passthru, ...]:
        passthrus = []
        for number, value in enumerate(self.numbered("passthru")):
            key = f"passthru{number}"
            device, _, own = value.partition("=")
            slot = self.slot(key) or (self._read(key, Slot.parse, own) if own else None)
            passthrus.append(Passthru(number, device, slot, self.text(f"{key}_options")))
        return tuple(passthrus)

    def shares(self) -> tuple[Share, ...]:
        shares: list[Share] = []
        while (name := self.text(f"share{len(shares)}_name")) and (path := self.text(f"share{len(shares)}_path")):
            key = f"share{len(shares)}"
            shares.append(Share(len(shares), name, path, self.truth(f"{key}_ro"), self.slot(key)))
        return tuple(shares)

    def consoles(self) -> tuple[str, ...]:
        """The names of the ports; `yes` stands for the port's number, as in vm-bhyve."""
        values = self.numbered("virt_console")[:_MOST_CONSOLES]
        return tuple(str(n) if value.lower() in ("yes", "on", "1") else value for n, value in enumerate(values))

    def tpm(self) -> Tpm | None:
        kind = self.text("tpm_type")
        return None if kind is None else Tpm(kind, self.text("tpm_path") or "/dev/tpm0")

    def graphics(self) -> Graphics | None:
        if not self.truth("graphics"):
            return None
        width, height = self.parsed("graphics_res", _resolution) or (None, None)
        password = self.text("vnc_password")
        return Graphics(
            listen=re.sub(r"^\[(.+)\]$", r"\1", self.text("graphics_listen") or EVERYWHERE),
            port=self.number("graphics_port"),
            width=width,
            height=height,
            vga=self.text("graphics_vga"),
            wait=self._pairs.get("graphics_wait", "auto") or "no",
            password=Secret(password) if password else None,
        )

    def _single(self, key: str, kind: keys.Kind[T]) -> T | None:
        value = self._pairs[key]
        return None if not value and kind.empty_means_default else self._read(key, kind.read, value)

    def _required(self, key: str, parse: Callable[[str], T]) -> T | None:
        if self.text(key) is None:
            self.mistakes.append(Problem(key, "missing", f'write {key}="…"'))
        return self.parsed(key, parse)

    def _read(self, key: str, parse: Callable[[str], T], value: str) -> T | None:
        try:
            return parse(value)
        except InputError as why:
            self.mistakes.append(Problem(key, why.message, why.hint))
        except ValueError as why:  # UUID's
            self.mistakes.append(Problem(key, str(why)))
        return None


def _resolution(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", text, re.ASCII)
    if match is None:
        raise InputError(f"{text!r} is not WIDTHxHEIGHT")
    return int(match[1]), int(match[2])


def _graphics_pairs(graphics: Graphics) -> dict[str, str | None]:
    sized = graphics.width is not None and graphics.height is not None
    return {
        "graphics": "yes",
        "graphics_listen": None if graphics.listen == EVERYWHERE else graphics.listen_word,
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
