"""The same guest as a file for `bhyve -k` (bhyve_config(5), FreeBSD 14.0 and later).

A file keeps what an argument list cannot: the VNC password. It belongs in a file of mode 0600 outside shared storage.
"""

from __future__ import annotations

from pyvmiscsi.bhyve.command.argv import BHYVE
from pyvmiscsi.bhyve.command.settings import settings_of
from pyvmiscsi.bhyve.configuration.config import GuestConfig
from pyvmiscsi.bhyve.machine.capabilities import Capabilities
from pyvmiscsi.bhyve.machine.devices import Devices
from pyvmiscsi.bhyve.rules.check import check
from pyvmiscsi.errors import RuleError, UnsupportedError
from pyvmiscsi.secrets import Secret


def bhyve_conf(guest: GuestConfig, capabilities: Capabilities, devices: Devices) -> Secret:
    """The file's text, secret because it may hold the VNC password.

    It says what `bhyve_argv` says, except `bhyve_options` and the installation medium, which stay arguments. Raises
    RuleError on the first broken rule, or for a value the file cannot hold; UnsupportedError where bhyve has no `-k`.
    """
    check(guest, capabilities, devices)
    if not capabilities.reads_config_files:
        raise UnsupportedError(
            f"guest {guest.name}: bhyve here (__FreeBSD_version {capabilities.release}) takes no configuration file",
            hint="it came with FreeBSD 14.0; before that, remove vnc_password and reach VNC through SSH",
        )
    pairs = conf_pairs(guest, devices, capabilities.machine)
    return Secret("".join(f"{key}={_held(guest, key, value)}\n" for key, value in pairs))


def bhyve_conf_argv(guest: GuestConfig, devices: Devices, path: str, machine: str = "amd64") -> tuple[str, ...]:
    """The command that starts the guest from the file at `path`.

    The last assignment counts, so what `bhyve_options` may not override is said again after them.
    """
    settings = settings_of(guest, devices, machine)
    options = guest.bhyve_options.split()
    again = (*settings.after, *settings.ports) if options else ()
    words = (word for setting in (*again, *settings.medium) for word in setting.words)
    return (BHYVE, "-k", path, *options, *words, str(guest.name))


def conf_pairs(guest: GuestConfig, devices: Devices, machine: str = "amd64") -> list[tuple[str, str]]:
    """Key and value of every line, secrets revealed, for a guest whose rules were checked already."""
    pairs: dict[str, str] = {"name": str(guest.name)}
    for setting in settings_of(guest, devices, machine).in_file():
        pairs |= setting.keys
        pairs |= {key: secret.reveal() for key, secret in setting.secrets.items()}
    return list(pairs.items())


def _held(guest: GuestConfig, key: str, value: str) -> str:
    if not value or "\n" in value:
        raise RuleError(
            f"guest {guest.name}: {key}: bhyve's configuration file cannot hold this value",
            hint="it takes no empty value and no line break",
        )
    return value
