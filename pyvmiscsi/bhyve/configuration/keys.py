"""The keys of a guest's configuration that stand alone: how each is read, and how it is said.

They are vm-bhyve's (`config.sample`, and what its code reads beside), and fields of `GuestConfig` of the same names,
whose defaults are vm-bhyve's too. What there may be several of (disks, networks, …) is in `config_text.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pyvmiscsi.bhyve.configuration.conf_text import is_true
from pyvmiscsi.bhyve.configuration.config import UNNUMBERED, Afterwards, CpuPin
from pyvmiscsi.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """What a value can be. `read` raises InputError for a text that is none of these."""

    read: Callable[[str], T]
    say: Callable[[T], str]
    empty_means_default: bool = True


def whole_number(text: str) -> int:
    """A number as the shell takes it; InputError for anything else."""
    if re.fullmatch(r"-?[0-9]{1,9}", text, re.ASCII) is None:
        raise InputError(f"{text!r} is not a number")
    return int(text)


def count(text: str) -> int:
    """The same, and not below zero."""
    number = whole_number(text)
    if number < 0:
        raise InputError(f"{text!r} is below zero")
    return number


def _devices_per_controller(text: str) -> int:
    """vm-bhyve goes by 1 for all that is no number from 2 to 32 (`vm::bhyve_device_disks`)."""
    return int(text) if re.fullmatch(r"0*([2-9]|[12][0-9]|3[0-2])", text, re.ASCII) else 1


def _host_bridge(text: str) -> str:
    """vm-bhyve takes `amd`, what begins with `no`, and anything else for the usual one (`vm::bhyve_device_basic`)."""
    return "none" if text.startswith("no") else "amd" if text == "amd" else "standard"


def _cpu_pins(text: str) -> tuple[CpuPin, ...]:
    words = text.split()
    pins = [re.fullmatch(r"([0-9]{1,3}):([0-9]{1,4})", word, re.ASCII) for word in words]
    if not all(pins):
        raise InputError(f"{text!r} is not VCPU:HOSTCPU, with blanks between several")
    return tuple(CpuPin(int(pin[1]), int(pin[2])) for pin in pins if pin)


def _after_restart(text: str) -> Afterwards:
    return Afterwards.RESTART if text == Afterwards.RESTART else Afterwards.SHUTDOWN


FLAG: Kind[bool] = Kind(is_true, lambda value: "yes" if value else "no", empty_means_default=False)
TEXT: Kind[str] = Kind(str, str)
NUMBER: Kind[int] = Kind(whole_number, str)
COUNT: Kind[int] = Kind(count, str)
WORDS: Kind[tuple[str, ...]] = Kind(lambda text: tuple(text.split()), " ".join)
ENDING: Kind[Afterwards] = Kind(_after_restart, str, empty_means_default=False)

SINGLE: dict[str, Kind[Any]] = {
    "uefi_vars": FLAG,
    "utctime": FLAG,
    "wired_memory": FLAG,
    "ignore_msr": FLAG,
    "hostbridge": Kind(_host_bridge, str),
    "comports": Kind(WORDS.read, WORDS.say, empty_means_default=False),
    "fwcfg": TEXT,
    "bhyve_options": TEXT,
    "bhyveload_loader": TEXT,
    "bhyveload_args": TEXT,
    "loader_timeout": NUMBER,
    "grub_run_partition": TEXT,
    "grub_run_dir": TEXT,
    "grub_run_file": TEXT,
    "start_slot": COUNT,
    "install_slot": COUNT,
    "ahci_device_limit": Kind(_devices_per_controller, str),
    "nulliso_fix": FLAG,
    "on_restart": ENDING,
    "on_fault": ENDING,
    "prestart": TEXT,
    "priority": NUMBER,
    "debug": FLAG,
    "tags": WORDS,
    "zfs_dataset_opts": TEXT,
    "zfs_zvol_opts": TEXT,
    "xhci_mouse": FLAG,
    "sound": FLAG,
    "sound_play": TEXT,
    "sound_rec": TEXT,
    "virt_random": FLAG,
    "cpu_pins": Kind(_cpu_pins, lambda pins: " ".join(map(str, pins))),
}
"""Key -> what it can be, in the order that a new file has them."""

SMBIOS = (
    *("bios.vendor", "bios.version", "bios.release_date"),
    *("system.manufacturer", "system.product_name", "system.version"),
    *("system.serial_number", "system.sku", "system.family_name"),
    *("board.manufacturer", "board.product_name", "board.version"),
    *("board.serial_number", "board.asset_tag", "board.location"),
    *("chassis.manufacturer", "chassis.version", "chassis.serial_number", "chassis.asset_tag", "chassis.sku"),
)
"""What bhyve_config(5) can put into the guest's firmware tables."""

PASSWORD = "vnc_password"  # noqa: S105 - the key, not a password
"""The one setting that is secret: it stands in a guest's configuration, and in no intent."""

COM_PORTS = ("com1", "com2", "com3", "com4")


def smbios_key(name: str) -> str:
    """`system.sku` as a key of the configuration: `smbios_system_sku`."""
    return f"smbios_{name.replace('.', '_')}"


_NUMBERED = {
    "disk": ("type", "dev", "name", "opts", "size", "serial", "target", "slot"),
    "network": ("type", "switch", "mac", "device", "name", "span", "mtu", "slot"),
    "passthru": ("", "options", "slot"),
    "share": ("name", "path", "ro", "slot"),
}
_OTHERS = (
    *("loader", "cpu", "cpu_sockets", "cpu_cores", "cpu_threads", "memory", "uuid"),
    *("graphics", "graphics_listen", "graphics_port", "graphics_res", "graphics_vga", "graphics_wait", "vnc_password"),
    *("limit_pcpu", "limit_rbps", "limit_wbps", "limit_riops", "limit_wiops"),
    *("tpm_type", "tpm_path", "ignore_bad_msr", "grub_run_no_partition"),
    *(f"{port}_device" for port in COM_PORTS),
    *(smbios_key(name) for name in SMBIOS),
    *(f"{key}_slot" for key in UNNUMBERED),
)

KNOWN = (
    *(*_OTHERS, *SINGLE, "virt_consoleN", "grub_runN", "grub_installN"),
    *(f"{noun}N_{what}".rstrip("_") for noun, whats in _NUMBERED.items() for what in whats),
)
"""Every key that vm-bhyve or pyvmiscsi reads, `N` for a number."""

_KNOWN_FORMS = re.compile("|".join(re.escape(key).replace("N", "[0-9]+") for key in KNOWN))


def is_known(key: str) -> bool:
    """Whether vm-bhyve or pyvmiscsi reads this key of a guest's configuration."""
    return _KNOWN_FORMS.fullmatch(key) is not None
