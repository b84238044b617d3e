"""The bhyve(8) command line of a guest: pure, the same words for the same guest.

For a guest that vm-bhyve made, the words and their order are vm-bhyve 1.7's, except that disks known by their serial
get `ser=`, that devices keep pinned slots, and that no password is ever among them.
"""

from __future__ import annotations

from uuid import UUID

from pyvmiscsi.bhyve.capabilities import Capabilities
from pyvmiscsi.bhyve.config import GuestConfig
from pyvmiscsi.bhyve.devices import Devices, emulated, install_medium
from pyvmiscsi.bhyve.loader import bootrom, console, vars_file
from pyvmiscsi.bhyve.rules import check
from pyvmiscsi.errors import RuleError

BHYVE = "/usr/sbin/bhyve"


def bhyve_argv(guest: GuestConfig, capabilities: Capabilities, devices: Devices) -> tuple[str, ...]:
    """The whole command, program first.

    Raises RuleError on the first broken rule of `rules.py`, and when the guest has a VNC password, which everybody
    on the host could read from an argument list: such a guest is started by `bhyve_conf`.
    """
    check(guest, capabilities, devices)
    return words_for(guest, devices)


def words_for(guest: GuestConfig, devices: Devices) -> tuple[str, ...]:
    """The command for a guest whose rules were checked already."""
    machine = emulated(guest, devices)
    if any(device.secrets for device in machine):
        raise RuleError(
            f"guest {guest.name}: its VNC password cannot be an argument, which everybody on the host can read",
            hint="start it by a configuration file (bhyve -k, FreeBSD 14.0 and later), or remove vnc_password",
        )
    wired_last = ("-S",) if guest.passthrus and not guest.wired_memory else ()
    buses = ("-Y",) if any(device.slot.bus for device in machine) else ()
    medium = install_medium(devices.install_iso).option if devices.install_iso else ()
    return (
        BHYVE,
        *(word for device in machine for word in device.option),
        *("-c", str(guest.cpu), "-m", str(guest.memory)),
        "-AHPww" if guest.ignore_msr else "-AHPw",
        *_firmware(guest, devices.directory),
        *guest.bhyve_options.split(),
        *(("-S",) if guest.wired_memory else ()),
        *("-U", str(uuid_of(guest))),
        *(("-u",) if guest.utctime else ()),
        *(*wired_last, *buses, *medium),
        *(word for port in guest.comports for word in ("-l", f"{port},{_nmdm(guest, port)}")),
        str(guest.name),
    )


def uuid_of(guest: GuestConfig) -> UUID:
    """The guest's uuid; RuleError when it has none yet, since bhyve would make another one on every host."""
    if guest.uuid is None:
        raise RuleError(f"guest {guest.name}: it has no uuid", hint="write one into its configuration: uuid=…")
    return guest.uuid


def _firmware(guest: GuestConfig, directory: str) -> tuple[str, ...]:
    rom = bootrom(guest, directory)
    if rom is None:
        return ()
    variables = vars_file(guest, directory)
    return "-l", ",".join(("bootrom", rom, variables) if variables else ("bootrom", rom))


def _nmdm(guest: GuestConfig, port: str) -> str:
    return console(guest, int(port.removeprefix("com")))
