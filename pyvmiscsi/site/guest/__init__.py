"""A guest and what can be done with it, a module for each family of verbs.

A family is imported when one of its verbs is first asked for. A command needs one of them; all together, with the
operations and steps that they take, would cost every command a tenth of a second.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from types import MethodType
from typing import TYPE_CHECKING, Any

from pyvmiscsi.site.guest.access import GuestAccess

if TYPE_CHECKING:
    from pyvmiscsi.site.guest.attaching import Attaching
    from pyvmiscsi.site.guest.chap import Chap
    from pyvmiscsi.site.guest.configuring import Configuring
    from pyvmiscsi.site.guest.copies import Copies
    from pyvmiscsi.site.guest.devices import Devices
    from pyvmiscsi.site.guest.first_boot import FirstBoot
    from pyvmiscsi.site.guest.foreground import Foreground
    from pyvmiscsi.site.guest.imaging import Imaging
    from pyvmiscsi.site.guest.installing import Installing
    from pyvmiscsi.site.guest.life import Life
    from pyvmiscsi.site.guest.looking import Looking
    from pyvmiscsi.site.guest.naming import Naming
    from pyvmiscsi.site.guest.parking import Parking
    from pyvmiscsi.site.guest.power import Power
    from pyvmiscsi.site.guest.removal import Removal
    from pyvmiscsi.site.guest.resizing import Resizing
    from pyvmiscsi.site.guest.snapshots import Snapshots
    from pyvmiscsi.site.guest.watching import Watching

    class _Families(
        Installing,
        Foreground,
        Power,
        Watching,
        Life,
        Looking,
        Attaching,
        Configuring,
        Devices,
        FirstBoot,
        Resizing,
        Chap,
        Snapshots,
        Copies,
        Imaging,
        Naming,
        Parking,
        Removal,
    ):
        """All of them, as type checkers and editors see them."""
else:
    _Families = GuestAccess

FAMILIES = {
    "attaching.Attaching": ("attach", "preview_attach", "detach", "refuse_in_use", "lock_on"),
    "chap.Chap": ("rotate_chap", "preview_rotate_chap"),
    "configuring.Configuring": ("configuration", "set", "preview_set", "configure"),
    "copies.Copies": ("clone", "preview_clone", "promote", "preview_promote", "tree"),
    "devices.Devices": (
        *("add_disk", "preview_add_disk", "remove_disk", "preview_remove_disk", "open_disk"),
        *("add_network", "preview_add_network", "remove_network", "preview_remove_network"),
    ),
    "first_boot.FirstBoot": ("tell", "preview_tell"),
    "foreground.Foreground": ("start_in_foreground",),
    "imaging.Imaging": ("make_image", "preview_image", "export_disk"),
    "installing.Installing": ("install", "install_in_foreground", "preview_install"),
    "life.Life": ("start", "preview_start", "planned_start", "stop", "stop_on", "poweroff", "preview_poweroff"),
    "looking.Looking": ("info",),
    "naming.Naming": ("rename", "preview_rename"),
    "parking.Parking": ("park", "preview_park"),
    "power.Power": ("restart", "preview_restart", "reset", "preview_reset"),
    "removal.Removal": ("destroy", "preview_destroy", "all_snapshots"),
    "resizing.Resizing": ("resize", "preview_resize"),
    "snapshots.Snapshots": (
        *("snapshot", "snapshots", "prune_snapshots", "forget_snapshot"),
        *("rollback", "preview_rollback"),
    ),
    "watching.Watching": ("console", "log", "follow_log"),
}
"""Module and class of each family -> its verbs."""


class Guest(_Families):
    """One guest of a datastore, by name; nothing of it is kept here, so every answer is fresh."""


class _Verb:
    """A method of `Guest`, carried out by its family: by one of that class with the guest's name and place."""

    def __init__(self, family: str, name: str) -> None:
        self._module, _, self._family = family.partition(".")
        self._name = name

    def __get__(self, guest: Guest | None, _owner: type[Guest]) -> Callable[..., Any]:
        family = getattr(import_module(f"{__name__}.{self._module}"), self._family)
        method = getattr(family, self._name)

        @wraps(method)
        def verb(guest: Guest, *args: Any, **named: Any) -> Any:
            return method(family(guest.name, guest.datastore, guest._connections), *args, **named)

        return verb if guest is None else MethodType(verb, guest)


for _family, _verbs in FAMILIES.items():
    for _verb in _verbs:
        setattr(Guest, _verb, _Verb(_family, _verb))

__all__ = ["Guest"]
