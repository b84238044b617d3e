"""A network more for a guest, or one less: the lines of its configuration. Pure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import UUID

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.configuration.config import Network
from pyvmiscsi.bhyve.configuration.config_text import parse_guest, write_guest
from pyvmiscsi.bhyve.configuration.removal import numbering_in, without_device
from pyvmiscsi.errors import ConflictError, InputError, NotFoundError, RuleError
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.names import DatasetPath, GuestName, Mac
from pyvmiscsi.operations.guests import GuestRecord
from pyvmiscsi.operations.scene import Scene
from pyvmiscsi.plan.step import Plan
from pyvmiscsi.steps.configuration import ConfigurationChanged, ConfigurationSays

ADD, REMOVE = "add-network", "remove-network"
EMULATIONS = ("virtio-net", "e1000")


@dataclass(frozen=True, slots=True)
class NetworkRequest:
    """A network to add, or to remove: its key, and what the configuration says then; None takes a key out."""

    guest: GuestName
    anchor: DatasetPath
    uuid: UUID
    name: str
    changes: Mapping[str, str | None]
    before: Mapping[str, str] = field(default_factory=dict)
    """What it says of the keys of a network to add: something may be left of an earlier one."""
    numbering: str = ""
    """What it says of those that a removal moves, by `numbering_in`."""

    @classmethod
    def to_add(
        cls,
        record: GuestRecord,
        conf: ConfText,
        switch: str,
        *,
        emulation: str = "virtio-net",
        mac: Mac | None = None,
    ) -> Self:
        """The next network. Slots of other devices are written down, so that none of them moves.

        RuleError for a type that bhyve does not emulate, ConflictError for a MAC that another of its networks has.
        """
        if emulation not in EMULATIONS:
            raise RuleError(f"network type {emulation}: not one that bhyve emulates", hint=", ".join(EMULATIONS))
        config = parse_guest(record.name, conf)
        taken = {network.mac: network.key for network in config.networks if network.mac}
        if mac is not None and mac in taken:
            raise ConflictError(f"guest {record.name}: its {taken[mac]} has the MAC address {mac}")
        number = len(config.networks)
        added = Network(number, emulation, switch, mac or _unlike(taken, record, number))
        after = write_guest(config.pinned().with_network(added).pinned(), conf)
        changes = conf.changes_to(after)
        return cls(record.name, record.anchor, record.uuid, added.key, changes, said_of(changes, conf))

    @classmethod
    def to_remove(cls, record: GuestRecord, conf: ConfText, number: int) -> Self:
        """What follows has one number less then; no slot and no MAC changes. NotFoundError without such a network."""
        if number >= len(parse_guest(record.name, conf).networks):
            raise NotFoundError(f"guest {record.name}: has no network{number}")
        after = without_device(record.name, conf, "network", number)
        changes = conf.changes_to(after)
        numbering = numbering_in(conf, changes)
        return cls(record.name, record.anchor, record.uuid, f"network{number}", changes, numbering=numbering)

    def as_json(self) -> dict[str, Any]:
        return {
            "guest": str(self.guest),
            "anchor": str(self.anchor),
            "uuid": str(self.uuid),
            "name": self.name,
            "changes": [list(change) for change in self.changes.items()],
            "before": dict(self.before),
            "numbering": self.numbering,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            guest=GuestName.parse(data["guest"]),
            anchor=DatasetPath.parse(data["anchor"]),
            uuid=UUID(data["uuid"]),
            name=data["name"],
            changes=dict(data["changes"]),
            before=dict(data.get("before", {})),
            numbering=data.get("numbering", ""),
        )


def add_network_plan(request: NetworkRequest, datastore: DatastoreRecord, scene: Scene) -> Plan:
    """One step, which can be undone."""
    settings = {key: value for key, value in request.changes.items() if value is not None}
    host = scene.host(scene.host_names(datastore)[0])
    says = ConfigurationSays(host, conf_path(request.guest, datastore), settings, request.before)
    return Plan(ADD, str(request.guest), (says,))


def remove_network_plan(request: NetworkRequest, datastore: DatastoreRecord, scene: Scene) -> Plan:
    """One step, which has no way back: what a line said is nowhere else."""
    host = scene.host(scene.host_names(datastore)[0])
    path = conf_path(request.guest, datastore)
    gone = ConfigurationChanged(host, path, f"without {request.name}", request.changes, request.numbering)
    return Plan(REMOVE, str(request.guest), (gone,), no_return=0)


def network_number(name: str) -> int:
    """The number of `network0`, `network1`, …; InputError for anything else."""
    match = re.fullmatch(r"network(0|[1-9][0-9]?)", name)
    if match is None:
        raise InputError(f"network {name!r}: not a network's name", hint="write network0, network1, …")
    return int(match[1])


def conf_path(guest: GuestName, datastore: DatastoreRecord) -> str:
    """Where the guest's configuration is, on every host of the datastore."""
    return f"{datastore.config_path}/{guest}/{guest}.conf"


def said_of(keys: Iterable[str], conf: ConfText) -> dict[str, str]:
    """What the text says of these keys; those of which it says nothing are left out."""
    said = conf.pairs()
    return {key: said[key] for key in keys if said.get(key)}


def _unlike(taken: Mapping[Mac, str], record: GuestRecord, number: int) -> Mac:
    """The guest's own address for this network, or the next that none of its networks has."""
    return next(mac for n in itertools.count(number) if (mac := Mac.of_network(record.uuid, n)) not in taken)
