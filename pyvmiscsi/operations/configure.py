"""Configure: a guest's configuration, changed by key or in an editor. Pure.

It leaves no intent. One file is put in place whole, so that after an accident it is what it was or what it was to be;
and its text may hold a password, which belongs into no record.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.configuration.config_text import parse_guest, write_guest
from pyvmiscsi.bhyve.configuration.keys import KNOWN, PASSWORD, is_known
from pyvmiscsi.errors import InputError, Problem, RuleError
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.names import GuestName
from pyvmiscsi.operations.networks import conf_path
from pyvmiscsi.operations.scene import Scene
from pyvmiscsi.plan.step import Plan
from pyvmiscsi.steps.rewriting import ConfigurationRewritten

VERB = "configure"


def configure_plan(
    guest: GuestName, before: ConfText, after: ConfText, datastore: DatastoreRecord, scene: Scene
) -> Plan:
    """One step: `after` in place of `before`. RuleError when the guest would not be itself any more."""
    if (after.get("uuid") or "").lower() != (before.get("uuid") or "").lower():
        raise RuleError(
            f"guest {guest}: uuid: by its uuid everything of the guest is known on the nas",
            hint="leave it; `vm clone` makes a guest with another",
        )
    keys = tuple(before.changes_to(after))
    what = f"with {_listed(keys)}" if keys else "with other comments"
    host = scene.host(scene.host_names(datastore)[0])
    step = ConfigurationRewritten(host, conf_path(guest, datastore), what, before, after)
    return Plan(VERB, str(guest), (step,))


def with_settings(guest: GuestName, text: ConfText, settings: Mapping[str, str]) -> ConfText:
    """The text with these settings; an empty one takes its key out, and what is said already stays as it is written.

    When a device comes or goes by it, the slots of all are written down: else it would move those that follow it.
    Raises as `changes_said`, and InputError for a value that the file cannot hold.
    """
    changes = {key: value for key, value in changes_said(settings).items() if text.get(key) != value}
    after = text.changed(changes)
    try:
        before, then = parse_guest(guest, text), parse_guest(guest, after)
        if before.layout().keys() == then.layout().keys() or before.ahci_device_limit != then.ahci_device_limit:
            return after
        kept = write_guest(before.pinned(), text).changed(changes)
        return write_guest(parse_guest(guest, kept).pinned(), kept)
    except InputError:
        return after  # which is refused for what is wrong with it


def moved_devices(guest: GuestName, before: ConfText, after: ConfText) -> tuple[Problem, ...]:
    """The devices that the guest would find at another place: it may well call them by another name then."""
    try:
        old, new = parse_guest(guest, before).layout(), parse_guest(guest, after).layout()
    except InputError:
        return ()
    return tuple(
        Problem(key, f"moves from PCI slot {slot} to {new[key]}", f'write {key}_slot="{slot}" to keep it where it is')
        for key, slot in old.items()
        if new.get(key, slot) != slot
    )


def changes_said(settings: Mapping[str, str]) -> dict[str, str | None]:
    """What `vm set` is told, `key=value` each, an empty value taking the key out.

    InputError for a key that neither vm-bhyve nor pyvmiscsi reads, and for a password, which everybody who lists
    processes would see.
    """
    for key in settings:
        if key == PASSWORD:
            raise InputError(f"{PASSWORD}: everybody on this machine could read it", hint="use `vm configure`")
        if not is_known(key):
            near = difflib.get_close_matches(key, KNOWN, n=1)
            meant = f"did you mean {near[0]}? " if near else ""
            raise InputError(f"key {key!r}: nobody reads it", hint=f"{meant}`vm configure` writes any key")
    return {key: value or None for key, value in settings.items()}


def _listed(keys: tuple[str, ...]) -> str:
    first = ", ".join(keys[:3])
    return f"{first} and {len(keys) - 3} more" if len(keys) > 3 else first
