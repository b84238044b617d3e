"""What brings a guest's first instruction: UEFI firmware inside bhyve, or a loader run before it."""

from __future__ import annotations

from uuid import UUID

from pyvmiscsi.bhyve.config import GuestConfig, Loader
from pyvmiscsi.bhyve.devices import Devices
from pyvmiscsi.errors import RuleError, UnsupportedError

BHYVELOAD = "/usr/sbin/bhyveload"
GRUB_BHYVE = "/usr/local/sbin/grub-bhyve"

_FIRMWARE = "/usr/local/share/uefi-firmware"
_ROMS = {Loader.UEFI: "BHYVE_UEFI.fd", Loader.UEFI_CSM: "BHYVE_UEFI_CSM.fd"}
VARS_TEMPLATE = f"{_FIRMWARE}/BHYVE_UEFI_VARS.fd"


def console(guest: GuestConfig, port: int = 1, end: str = "A") -> str:
    """The guest's end (`A`) of serial port `port`, or the end one looks at (`B`), as vm-bhyve names it (nmdm(4))."""
    return f"/dev/nmdm-{guest.name}.{port}{end}"


def bootrom(guest: GuestConfig, directory: str) -> str | None:
    """The firmware file of a UEFI guest; None for the others.

    `uefi-custom` is vm-bhyve's `.config/BHYVE_UEFI.fd` beside the guests' directories. Raises UnsupportedError for
    `uefi-devel`, whose package no longer exists.
    """
    if not guest.loader.is_uefi:
        return None
    if guest.loader is Loader.UEFI_CUSTOM:
        return f"{directory.rpartition('/')[0]}/.config/BHYVE_UEFI.fd"
    rom = _ROMS.get(guest.loader)
    if rom is None:
        raise UnsupportedError(
            f"guest {guest.name}: loader {guest.loader}: no package provides this firmware any more",
            hint='set loader="uefi", or uefi-custom with a firmware file of your own',
        )
    return f"{_FIRMWARE}/{rom}"


def vars_file(guest: GuestConfig, directory: str) -> str | None:
    """The guest's own copy of the firmware's variables, when it keeps them (`uefi_vars`)."""
    return f"{directory}/uefi-vars.fd" if guest.loader.is_uefi and guest.uefi_vars else None


def loader_argv(guest: GuestConfig, devices: Devices, uuid: UUID) -> tuple[str, ...] | None:
    """The command to run before every start of bhyve, as vm-bhyve 1.6 and later give it; None for UEFI guests.

    It gets the same memory size as bhyve does, and reads the first disk from the host.
    """
    if guest.loader is Loader.BHYVELOAD:
        return _bhyveload(guest, devices, uuid)
    if guest.loader is Loader.GRUB:
        return _grub_bhyve(guest, devices)
    return None


def device_map(guest: GuestConfig, devices: Devices) -> str:
    """grub-bhyve's device.map: `(hd0)` is disk0, and so on, `(cd0)` the installation medium."""
    lines = [f"(hd{disk.number}) {devices.disks[disk.number].path}" for disk in guest.disks]
    if devices.install_iso:
        lines.append(f"(cd0) {devices.install_iso}")
    return "".join(f"{line}\n" for line in lines)


def _bhyveload(guest: GuestConfig, devices: Devices, uuid: UUID) -> tuple[str, ...]:
    settings = (
        f"smbios.system.uuid={uuid}",
        f"autoboot_delay={guest.loader_timeout}",
        f"bhyve_vm_name={guest.name}",
    )
    wired = ("-S",) if guest.wired_memory else ()
    loader = ("-l", guest.bhyveload_loader) if guest.bhyveload_loader else ()
    disk = devices.install_iso or _first_disk(guest, devices)
    return (
        *(BHYVELOAD, "-c", console(guest), *wired, "-m", str(guest.memory)),
        *(word for setting in settings for word in ("-e", setting)),
        *(*guest.bhyveload_args.split(), *loader, "-d", disk, str(guest.name)),
    )


def _grub_bhyve(guest: GuestConfig, devices: Devices) -> tuple[str, ...]:
    wired = ("-S",) if guest.wired_memory else ()
    directory = ("-d", guest.grub_run_dir) if guest.grub_run_dir else ()
    file = ("-g", guest.grub_run_file) if guest.grub_run_file else ()
    root = f"hd0,{guest.grub_run_partition or 1}"
    if devices.install_iso:
        root, directory, file = "cd0", (), ()
    return (
        *(GRUB_BHYVE, "-c", console(guest), *wired, "-m", f"{devices.directory}/device.map"),
        *("-M", str(guest.memory), "-r", root, *directory, *file, str(guest.name)),
    )


def _first_disk(guest: GuestConfig, devices: Devices) -> str:
    if not guest.disks:
        raise RuleError(
            f"guest {guest.name}: {guest.loader} needs a disk to boot from", hint="add disk0, or use UEFI firmware"
        )
    return devices.disks[0].path
