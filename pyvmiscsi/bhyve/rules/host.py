"""What the host's bhyve must have for a guest: its machine, its release, and what it says of itself.

Sources: bhyve(8) and bhyve_config(5) of 13.0 to 15.0; for arm64 usr.sbin/bhyve/aarch64 of FreeBSD 15.
"""

from __future__ import annotations

from collections.abc import Iterator

from pyvmiscsi.bhyve.configuration.config import GuestConfig
from pyvmiscsi.bhyve.configuration.keys import smbios_key
from pyvmiscsi.bhyve.machine.capabilities import Capabilities
from pyvmiscsi.errors import Problem

_FIRST_ON_ARM64 = 1500000
_FIRST_WITH_BOOT_ORDER = 1400097  # 14.0
_FIRST_WITH_PPT_NAMES = _FIRST_WITH_TCP_SERIAL = 1401000
_NEWER = "choose a host with a newer FreeBSD, or remove it"


def asks_bhyve(guest: GuestConfig) -> bool:
    """Whether the guest wants more than every bhyve from 13.0 on has, so that the host's must be asked."""
    has_scsi = any(disk.emulation == "virtio-scsi" for disk in guest.disks)
    return bool(_variables(guest) or guest.tpm or guest.shares or has_scsi)


def host(guest: GuestConfig, capabilities: Capabilities) -> Iterator[Problem]:
    """Everything that the host's bhyve lacks for the guest, by the key that wants it."""
    if capabilities.machine not in ("amd64", "arm64"):
        yield Problem("host", f"it is a {capabilities.machine} machine", "choose an amd64 or arm64 host")
    if capabilities.machine == "arm64":
        yield from _arm64(guest, capabilities)
    yield from _emulations(guest, capabilities)
    yield from _releases(guest, capabilities)
    if not capabilities.reads_config_files:
        for key in _variables(guest):
            yield Problem(key, "bhyve there takes no variables (-o, -k): they came with FreeBSD 14.0", _NEWER)
    if guest.tpm and not capabilities.has_tpm:
        yield Problem("tpm_type", "bhyve there has no TPM: it came with FreeBSD 14.0", _NEWER)


def _variables(guest: GuestConfig) -> list[str]:
    """The keys that bhyve must be told by variables."""
    password = guest.graphics is not None and guest.graphics.password is not None
    wanted = {"vnc_password": password, "fwcfg": bool(guest.fwcfg)} | dict.fromkeys(map(smbios_key, guest.smbios), True)
    return [key for key, is_wanted in wanted.items() if is_wanted]


def _arm64(guest: GuestConfig, capabilities: Capabilities) -> Iterator[Problem]:
    if capabilities.release < _FIRST_ON_ARM64:
        yield Problem("host", "its bhyve does not run on arm64: that came with FreeBSD 15.0", "choose another host")
    if not guest.loader.is_uefi:
        yield Problem("loader", f"{guest.loader} is a loader of amd64", "write loader=uefi: U-Boot then boots it")
    missing = {
        "uefi_vars": guest.uefi_vars,
        "tpm_type": guest.tpm is not None,
        "fwcfg": guest.fwcfg is not None,
        "smbios": bool(guest.smbios),
        "comports": len(guest.comports) > 1,
    }
    for key in (key for key, wanted in missing.items() if wanted):
        what = "more than one serial port" if key == "comports" else "this"
        yield Problem(key, f"bhyve on arm64 does not have {what}", f"change {key}, or choose an amd64 host")


def _emulations(guest: GuestConfig, capabilities: Capabilities) -> Iterator[Problem]:
    wanted = {
        **{f"{disk.key}_type": "ahci" if disk.is_ahci else disk.emulation for disk in guest.disks},
        **{f"{network.key}_type": network.emulation for network in guest.networks},
        **{passthru.key: "passthru" for passthru in guest.passthrus},
        **{share.key: "virtio-9p" for share in guest.shares},
    }
    single = {
        "graphics": ("fbuf", guest.graphics is not None and guest.loader.is_uefi),
        "xhci_mouse": ("xhci", guest.xhci_mouse),
        "sound": ("hda", guest.sound),
        "virt_random": ("virtio-rnd", guest.virt_random),
        "virt_console0": ("virtio-console", bool(guest.virt_consoles)),
    }
    wanted |= {key: emulation for key, (emulation, is_wanted) in single.items() if is_wanted}
    for key, emulation in wanted.items():
        if capabilities.lacks_emulation(emulation):
            yield Problem(key, f"bhyve there has no {emulation} (bhyve -s help)", "change it, or choose another host")


def _releases(guest: GuestConfig, capabilities: Capabilities) -> Iterator[Problem]:
    for passthru in guest.passthrus:
        if passthru.device.startswith("ppt") and capabilities.release < _FIRST_WITH_PPT_NAMES:
            yield Problem(passthru.key, "names such as ppt0 came with FreeBSD 14.1", "write bus/slot/function")
    for port, device in guest.com_devices.items():
        if device.startswith("tcp=") and capabilities.release < _FIRST_WITH_TCP_SERIAL:
            yield Problem(f"{port}_device", "serial ports over TCP came with FreeBSD 14.1", _NEWER)
    ordered = [disk for disk in guest.disks if any(option.startswith("bootindex") for option in disk.opts)]
    for disk in ordered:
        if capabilities.release < _FIRST_WITH_BOOT_ORDER:
            yield Problem(f"{disk.key}_opts", "bootindex came with FreeBSD 14.0: bhyve would ignore it", _NEWER)
