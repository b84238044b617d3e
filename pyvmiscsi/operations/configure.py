"""Configure: a guest's configuration, changed by key or in an editor. Pure.

Neither text is in the intent: it may hold a password, and is longer than a mark can be. The intent keeps other
operations off the guest; what it was written for is one file, put in place whole.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from pyvmiscsi.bhyve.conf_text import ConfText
from pyvmiscsi.bhyve.keys import KNOWN, is_known
from pyvmiscsi.errors import InputError, RuleError
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.names import DatasetPath, GuestName
from pyvmiscsi.operations.guests import GuestRecord
from pyvmiscsi.operations.networks import conf_path
from pyvmiscsi.operations.scene import Scene
from pyvmiscsi.plan.step import Plan
from pyvmiscsi.steps.rewriting import ConfigurationRewritten, ConfigurationWhole

VERB = "configure"
PASSWORD = "vnc_password"  # noqa: S105 - the key, not a password


@dataclass(frozen=True, slots=True)
class ConfigureRequest:
    """A configuration to be written anew, and which keys of it change."""

    guest: GuestName
    anchor: DatasetPath
    uuid: UUID
    keys: tuple[str, ...]

    @classmethod
    def of(cls, record: GuestRecord, before: ConfText, after: ConfText) -> Self:
        """RuleError when the guest would not be itself any more."""
        if (after.get("uuid") or "").lower() != (before.get("uuid") or "").lower():
            raise RuleError(
                f"guest {record.name}: uuid: by its uuid everything of the guest is known on the nas",
                hint="leave it; `vm clone` makes a guest with another",
            )
        return cls(record.name, record.anchor, record.uuid, tuple(before.changes_to(after)))

    def as_json(self) -> dict[str, Any]:
        return {
            "guest": str(self.guest),
            "anchor": str(self.anchor),
            "uuid": str(self.uuid),
            "keys": list(self.keys),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        anchor = DatasetPath.parse(data["anchor"])
        return cls(GuestName.parse(data["guest"]), anchor, UUID(data["uuid"]), tuple(data["keys"]))


def configure_plan(
    request: ConfigureRequest,
    datastore: DatastoreRecord,
    scene: Scene,
    texts: tuple[ConfText, ConfText] | None = None,
) -> Plan:
    """One step: the second of `texts` in place of the first.

    Without them it is the step of an operation which another process began: it sees that this has ended.
    """
    host = scene.host(scene.host_names(datastore)[0])
    path = conf_path(request.guest, datastore)
    if texts is None:
        return Plan(VERB, str(request.guest), (ConfigurationWhole(host, path),))
    what = f"with {_listed(request.keys)}" if request.keys else "with other comments"
    return Plan(VERB, str(request.guest), (ConfigurationRewritten(host, path, what, *texts),))


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
