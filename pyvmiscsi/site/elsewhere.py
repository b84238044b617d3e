"""Guests' disks in other datastores than their own: looked for only where a guest's mark says that there are any."""

from __future__ import annotations

from collections.abc import Iterable

from pyvmiscsi.errors import NasError, NotFoundError
from pyvmiscsi.model import Inventory
from pyvmiscsi.operations.guests import GuestRecord, with_visitors
from pyvmiscsi.site.connections import Connections, datastore_named


def whole(record: GuestRecord, connections: Connections) -> GuestRecord:
    """The guest with all its disks; NotFoundError when one is in a datastore that the site has not, or NasError."""
    for name in sorted(set(record.mark.elsewhere.values())):
        other = datastore_named(connections.record, name)
        record = with_visitors(record, other, connections.nas(other.nas).inventory(other.parent))
    return record


def as_whole_as_seen(records: Iterable[GuestRecord], connections: Connections) -> tuple[GuestRecord, ...]:
    """The guests with all their disks but those whose nas does not answer: a warning tells of them."""
    found = tuple(records)
    inventories: dict[str, Inventory] = {}
    for name in sorted({name for record in found for name in record.mark.elsewhere.values()}):
        try:
            other = datastore_named(connections.record, name)
            inventories[name] = connections.nas(other.nas).inventory(other.parent)
        except (NasError, NotFoundError) as error:
            connections.warn(f"{error}: disks in datastore {name} are not seen")
    return tuple(_with(record, inventories, connections) for record in found)


def _with(record: GuestRecord, inventories: dict[str, Inventory], connections: Connections) -> GuestRecord:
    for name in sorted(set(record.mark.elsewhere.values()) & inventories.keys()):
        record = with_visitors(record, connections.record.datastores[name], inventories[name])
    return record
