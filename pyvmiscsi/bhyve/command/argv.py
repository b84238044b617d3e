"""The bhyve(8) command line of a guest: pure, the same words for the same guest.

For a guest that vm-bhyve made, the words and their order are vm-bhyve 1.7's, except that disks known by their serial
get `ser=`, that devices keep pinned slots, and that no password is ever among them.
"""

from __future__ import annotations

from pyvmiscsi.bhyve.command.settings import settings_of
from pyvmiscsi.bhyve.configuration.config import GuestConfig
from pyvmiscsi.bhyve.machine.capabilities import Capabilities
from pyvmiscsi.bhyve.machine.devices import Devices
from pyvmiscsi.bhyve.rules.check import check
from pyvmiscsi.errors import RuleError

BHYVE = "/usr/sbin/bhyve"


def bhyve_argv(guest: GuestConfig, capabilities: Capabilities, devices: Devices) -> tuple[str, ...]:
    """The whole command, program first.

    Raises RuleError on the first broken rule of `rules.py`, and when the guest has a VNC password, which everybody
    on the host could read from an argument list: such a guest is started by `bhyve_conf`.
    """
    check(guest, capabilities, devices)
    return words_for(guest, devices, capabilities.machine)


def words_for(guest: GuestConfig, devices: Devices, machine: str = "amd64") -> tuple[str, ...]:
    """The command for a guest whose rules were checked already."""
    settings = settings_of(guest, devices, machine)
    if any(setting.secrets for setting in settings.before):
        raise RuleError(
            f"guest {guest.name}: its VNC password cannot be an argument, which everybody on the host can read",
            hint="start it by a configuration file (bhyve -k, FreeBSD 14.0 and later), or remove vnc_password",
        )
    return (
        BHYVE,
        *(word for setting in settings.before for word in setting.words),
        *guest.bhyve_options.split(),
        *(word for setting in (*settings.after, *settings.medium, *settings.ports) for word in setting.words),
        str(guest.name),
    )
