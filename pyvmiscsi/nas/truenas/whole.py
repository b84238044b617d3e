"""A datastore's inventory, put together from the appliance's five lists. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

from pyvmiscsi.errors import ConflictError, InputError
from pyvmiscsi.model import Inventory
from pyvmiscsi.names import DatasetPath, Iqn
from pyvmiscsi.nas.truenas import shapes

S = TypeVar("S")
T = TypeVar("T")


def whole(
    parent: DatasetPath,
    *,
    below: Iterable[shapes.Resource],
    extents: Iterable[shapes.Row],
    targets: Iterable[shapes.Row],
    mappings: Iterable[shapes.Row],
    sessions: Iterable[shapes.Row],
    base: Iqn,
) -> Inventory:
    """What is below `parent`, and what exports it.

    Extents are those of volumes below `parent`, whether the volume is still there or not. Targets are those with such
    an extent, and those without any: whose these are, only their names tell.
    """
    inside = sorted((found for found in below if found.is_below(parent)), key=lambda found: found.name)
    offered = {
        number: extent for number, extent in _by_number(shapes.extent, extents) if extent.volume.is_below(parent)
    }
    mapped = [shapes.mapping(row) for row in mappings]
    strangers = {mapping.target for mapping in mapped} - {m.target for m in mapped if m.extent in offered}
    all_targets = dict(_by_number(lambda row: shapes.target(row, base), targets))
    reached = {number: target for number, target in all_targets.items() if number not in strangers}
    shown = {target.iqn for target in reached.values()}
    return Inventory(
        datasets=tuple(ours(shapes.Resource.dataset, (found for found in inside if not found.is_volume))),
        volumes=tuple(ours(shapes.Resource.volume, (found for found in inside if found.is_volume))),
        extents=tuple(sorted(offered.values(), key=lambda extent: extent.name)),
        targets=tuple(sorted(reached.values(), key=lambda target: target.iqn)),
        mappings=tuple(
            row.mapping(reached[row.target].iqn, offered[row.extent].name)
            for row in mapped
            if row.extent in offered and row.target in reached
        ),
        sessions=tuple(found for found in ours(shapes.session, sessions) if found.target in shown),
    )


def ours(read: Callable[[S], T], found: Iterable[S]) -> Iterator[T]:
    """What `read` makes of each, leaving out what no guest of ours can have: a FILE extent, a name with blanks, …"""
    for thing in found:
        with suppress(InputError, ConflictError):
            yield read(thing)


def _by_number(read: Callable[[shapes.Row], T], rows: Iterable[shapes.Row]) -> Iterator[tuple[int, T]]:
    return ours(lambda row: (shapes.row_id(row), read(row)), rows)
