"""What brings a guest's first instruction: UEFI firmware inside bhyve, or a loader run before it."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from pyvmiscsi.bhyve.configuration.config import GuestConfig, Loader
from pyvmiscsi.bhyve.machine.devices import Devices
from pyvmiscsi.errors import RuleError

BHYVELOAD = "/usr/sbin/bhyveload"
GRUB_BHYVE = "/usr/local/sbin/grub-bhyve"
AFTER_INSTALLATION = "grub-run.cfg"

_FIRMWARE = "/usr/local/share/uefi-firmware"
_ROMS = {
    Loader.UEFI: f"{_FIRMWARE}/BHYVE_UEFI.fd",
    Loader.UEFI_CSM: f"{_FIRMWARE}/BHYVE_UEFI_CSM.fd",
    Loader.UEFI_DEVEL: f"{_FIRMWARE}/BHYVE_UEFI_CODE-devel.fd",
}
VARS_TEMPLATE = f"{_FIRMWARE}/BHYVE_UEFI_VARS.fd"
U_BOOT = "/usr/local/share/u-boot/u-boot-bhyve-arm64/u-boot.bin"
"""What stands for UEFI firmware on arm64: it offers guests UEFI's boot services (bhyve(8))."""


def console(guest: GuestConfig, port: int = 1, end: str = "A") -> str:
    """The guest's end (`A`) of its serial port number `port`, in the order its configuration lists them, or the end
    one looks at (`B`); named as vm-bhyve names it (nmdm(4))."""
    return f"/dev/nmdm-{guest.name}.{port}{end}"


def serial_ports(guest: GuestConfig) -> dict[str, str]:
    """What each of the guest's serial ports (`com1`, …) is wired to, in the order of its configuration."""
    return {
        port: guest.com_devices.get(port) or console(guest, number) for number, port in enumerate(guest.comports, 1)
    }


def viewers(guest: GuestConfig) -> tuple[tuple[str, str], ...]:
    """The serial ports somebody can look at, each with the device for cu(1)."""
    numbered = enumerate(guest.comports, 1)
    return tuple((port, console(guest, number, "B")) for number, port in numbered if port not in guest.com_devices)


def bootrom(guest: GuestConfig, directory: str, machine: str = "amd64") -> str | None:
    """The firmware file of a UEFI guest; None for the others. `directory` is the guest's own.

    `uefi-custom` is vm-bhyve's `.config/BHYVE_UEFI.fd` beside the guests' directories.
    """
    if not guest.loader.is_uefi:
        return None
    if guest.loader is Loader.UEFI_CUSTOM:
        return f"{directory.rpartition('/')[0]}/.config/BHYVE_UEFI.fd"
    return U_BOOT if machine == "arm64" else _ROMS[guest.loader]


def vars_file(guest: GuestConfig, directory: str) -> str | None:
    """The guest's own copy of the firmware's variables, when it keeps them (`uefi_vars`)."""
    return f"{directory}/uefi-vars.fd" if guest.loader.is_uefi and guest.uefi_vars else None


def loader_argv(guest: GuestConfig, devices: Devices, uuid: UUID, *, installed: bool = False) -> tuple[str, ...] | None:
    """The command to run before every start of bhyve, as vm-bhyve 1.7 gives it; None for UEFI guests.

    It gets the same memory size as bhyve does, and reads the first disk from the host. `installed` is for the reboots
    of a guest that was started from a medium: the commands for its disk have a file of their own then.
    """
    if guest.loader is Loader.BHYVELOAD:
        return _bhyveload(guest, devices, uuid)
    if guest.loader is Loader.GRUB:
        return _grub_bhyve(guest, devices, installed=installed)
    return None


def grub_files(guest: GuestConfig, devices: Devices) -> dict[str, str]:
    """What grub-bhyve reads in the guest's directory, by name: `device.map`, and the commands of the configuration.

    `(hd0)` is disk0, and so on, `(cd0)` the installation medium.
    """
    medium = [f"(cd0) {devices.install_iso}"] if devices.install_iso else []
    lines = [*medium, *(f"(hd{disk.number}) {devices.disks[disk.number].path}" for disk in guest.disks)]
    files = {"device.map": lines}
    if _grub_commands(guest, devices):
        files["grub.cfg"] = _menu(guest, devices)
    return {name: "".join(f"{line}\n" for line in text) for name, text in files.items()}


def grub_file_after_installation(guest: GuestConfig, devices: Devices) -> dict[str, str]:
    """What it reads instead once an installation has rebooted: vm-bhyve would write `grub.cfg` anew then."""
    if not (devices.install_iso and guest.grub_run):
        return {}
    return {AFTER_INSTALLATION: "".join(f"{line}\n" for line in _menu(guest, replace(devices, install_iso=None)))}


def _menu(guest: GuestConfig, devices: Devices) -> list[str]:
    what, commands = "install" if devices.install_iso else "run", _grub_commands(guest, devices)
    body = (f"    {command}" for command in (f"root={_grub_root(guest, devices)}", *commands) if command != "boot")
    return [f"timeout={guest.loader_timeout}", f"menuentry '{guest.name} (bhyve {what})' {{", *body, "}"]


def _bhyveload(guest: GuestConfig, devices: Devices, uuid: UUID) -> tuple[str, ...]:
    settings = (
        f"smbios.system.uuid={uuid}",
        f"autoboot_delay={guest.loader_timeout}",
        f"bhyve_vm_name={guest.name}",
    )
    loader = ("-l", guest.bhyveload_loader) if guest.bhyveload_loader else ()
    disk = devices.install_iso or _first_disk(guest, devices)
    return (
        *(BHYVELOAD, *_console_and_wire(guest), "-m", guest.memory_word),
        *(word for setting in settings for word in ("-e", setting)),
        *(*guest.bhyveload_args.split(), *loader, "-d", disk, str(guest.name)),
    )


def _grub_bhyve(guest: GuestConfig, devices: Devices, *, installed: bool) -> tuple[str, ...]:
    if _grub_commands(guest, devices):
        where: tuple[str, ...] = ("-r", "host", "-d", devices.directory)
        where += ("-g", AFTER_INSTALLATION) if installed else ()
    else:
        where = ("-r", _grub_root(guest, devices))
        if not devices.install_iso:
            where += ("-d", guest.grub_run_dir) if guest.grub_run_dir else ()
            where += ("-g", guest.grub_run_file) if guest.grub_run_file else ()
    return (
        *(GRUB_BHYVE, *_console_and_wire(guest), "-m", f"{devices.directory}/device.map", "-M", guest.memory_word),
        *(*where, str(guest.name)),
    )


def _grub_commands(guest: GuestConfig, devices: Devices) -> tuple[str, ...]:
    return guest.grub_install if devices.install_iso else guest.grub_run


def _grub_root(guest: GuestConfig, devices: Devices) -> str:
    return "cd0" if devices.install_iso else f"hd0,{guest.grub_run_partition or 1}"


def _console_and_wire(guest: GuestConfig) -> tuple[str, ...]:
    """The first serial port, unless it is one that loaders do not know, and the memory as bhyve will have it."""
    port = next(iter(serial_ports(guest).values()), "stdio")
    wired = guest.wired_memory or bool(guest.passthrus)
    return (*(("-c", port) if port.startswith("/") else ()), *(("-S",) if wired else ()))


def _first_disk(guest: GuestConfig, devices: Devices) -> str:
    if not guest.disks:
        raise RuleError(
            f"guest {guest.name}: {guest.loader} needs a disk to boot from", hint="add disk0, or use UEFI firmware"
        )
    return devices.disks[0].path
