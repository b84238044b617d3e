"""The same guest as a file for `bhyve -k` (bhyve_config(5), FreeBSD 14.0 and later).

A file keeps what an argument list cannot: the VNC password. It belongs in a file of mode 0600 outside shared storage.
"""

from __future__ import annotations

from collections.abc import Iterable

from pyvmiscsi.bhyve.argv import BHYVE, uuid_of
from pyvmiscsi.bhyve.capabilities import Capabilities
from pyvmiscsi.bhyve.config import GuestConfig
from pyvmiscsi.bhyve.devices import Devices, Emulated, emulated, install_medium
from pyvmiscsi.bhyve.loader import bootrom, console, vars_file
from pyvmiscsi.bhyve.rules import check
from pyvmiscsi.errors import RuleError, UnsupportedError
from pyvmiscsi.secrets import Secret


def bhyve_conf(guest: GuestConfig, capabilities: Capabilities, devices: Devices) -> Secret:
    """The file's text, secret because it may hold the VNC password.

    It says what `bhyve_argv` says, except `bhyve_options`, which stay arguments. Raises RuleError on the first broken
    rule, or for a value the file cannot hold; UnsupportedError where bhyve has no `-k`.
    """
    check(guest, capabilities, devices)
    if not capabilities.reads_config_files:
        raise UnsupportedError(
            f"guest {guest.name}: bhyve here (__FreeBSD_version {capabilities.release}) takes no configuration file",
            hint="it came with FreeBSD 14.0; before that, remove vnc_password and reach VNC through SSH",
        )
    return Secret("".join(f"{key}={_held(guest, key, value)}\n" for key, value in conf_pairs(guest, devices)))


def bhyve_conf_argv(guest: GuestConfig, path: str) -> tuple[str, ...]:
    """The command that starts the guest from the file at `path`."""
    return (BHYVE, "-k", path, *guest.bhyve_options.split(), str(guest.name))


def conf_pairs(guest: GuestConfig, devices: Devices) -> list[tuple[str, str]]:
    """Key and value of every line, secrets revealed, for a guest whose rules were checked already."""
    machine = list(emulated(guest, devices))
    needs_wire = guest.wired_memory or bool(guest.passthrus)
    rom = bootrom(guest, devices.directory)
    variables = vars_file(guest, devices.directory)
    pairs: list[tuple[str, str | None]] = [
        ("name", str(guest.name)),
        ("uuid", str(uuid_of(guest))),
        ("cpus", str(guest.cpu.count)),
        ("sockets", _number(guest.cpu.sockets)),
        ("cores", _number(guest.cpu.cores)),
        ("threads", _number(guest.cpu.threads)),
        ("memory.size", str(guest.memory)),
        ("memory.wired", "true" if needs_wire else None),
        ("acpi_tables", "true"),
        ("rtc.use_localtime", "false" if guest.utctime else None),
        ("x86.strictmsr", "false"),
        ("x86.vmexit_on_hlt", "true"),
        ("x86.vmexit_on_pause", "true"),
        ("x86.mptable", "false" if any(device.slot.bus for device in machine) else None),
        ("lpc.bootrom", rom),
        ("lpc.bootvars", variables),
        *((f"lpc.{port}.path", console(guest, int(port.removeprefix("com")))) for port in guest.comports),
    ]
    if devices.install_iso:
        machine.append(install_medium(devices.install_iso))
    return [(key, value) for key, value in pairs if value is not None] + list(_device_pairs(machine))


def _device_pairs(machine: Iterable[Emulated]) -> Iterable[tuple[str, str]]:
    for device in machine:
        node = f"pci.{device.slot.bus}.{device.slot.slot}.{device.slot.function}"
        yield from ((f"{node}.{key}", value) for key, value in device.keys.items())
        yield from ((f"{node}.{key}", secret.reveal()) for key, secret in device.secrets.items())


def _held(guest: GuestConfig, key: str, value: str) -> str:
    if not value or "\n" in value or "%(" in value:
        raise RuleError(
            f"guest {guest.name}: {key}: bhyve's configuration file cannot hold this value",
            hint="it takes no empty value and no line break, and expands %(…)",
        )
    return value


def _number(value: int | None) -> str | None:
    return None if value is None else str(value)
