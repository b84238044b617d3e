"""A guest's configuration on a host: read, and changed only while it says what was read."""

from __future__ import annotations

from collections.abc import Callable

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.configuration.keys import PASSWORD
from pyvmiscsi.bhyve.exchange import exchange_file
from pyvmiscsi.errors import BusyError, NotFoundError
from pyvmiscsi.ports import Host

MODE = 0o640
"""Of a new one: it may get a VNC password one day."""
_TRIES = 5
"""How often a change is begun anew because somebody else has changed the file meanwhile."""


def read_conf(host: Host, path: str) -> ConfText:
    """What it says; NotFoundError without it."""
    found = host.read_file(path)
    if found is None:
        raise NotFoundError(f"{path}: not on {host.name}", hint="is the config path mounted there?")
    return ConfText.from_bytes(found)


def replace_conf(host: Host, path: str, before: ConfText, after: ConfText) -> bool:
    """Put a new text in place of the one that was read; False, and nothing is done, as `exchange_file`.

    It keeps mode, owner and group; with a VNC password in it, only owner and group may read it from then on.
    """
    is_secret = bool(after.get(PASSWORD))
    return exchange_file(host, path, before.as_bytes(), after.as_bytes(), mode=MODE, is_secret=is_secret)


def change_conf(host: Host, path: str, change: Callable[[ConfText], ConfText]) -> None:
    """Have it say what `change` makes of what it says now, whatever others write into it meanwhile.

    What `change` raises ends it; BusyError when others write into it again and again.
    """
    for _ in range(_TRIES):
        before = read_conf(host, path)
        after = change(before)
        if after == before or replace_conf(host, path, before, after):
            return
    raise BusyError(f"{path}: was changed by others, again and again", hint="try again")
