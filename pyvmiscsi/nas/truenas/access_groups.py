"""Portal groups and initiator groups, which a datastore names by the ids that the appliance shows (nas-wire.md 2.5)."""

from __future__ import annotations

from pyvmiscsi.model import AccessGroups
from pyvmiscsi.nas.together import begin
from pyvmiscsi.nas.truenas import shapes
from pyvmiscsi.nas.truenas.calls import Calls
from pyvmiscsi.nas.truenas.rpc import Request

PORTALS = Request("iscsi.portal.query", ([], {}))
INITIATORS = Request("iscsi.initiator.query", ([], {}))


def access_groups(calls: Calls) -> AccessGroups:
    """All of both kinds."""
    portals = begin(lambda: calls.rows(PORTALS))
    initiators = begin(lambda: calls.rows(INITIATORS))
    return AccessGroups(
        {shapes.row_id(row): _addresses(row) for row in portals.result()},
        frozenset(shapes.row_id(row) for row in initiators.result()),
    )


def _addresses(row: shapes.Row) -> tuple[str, ...]:
    return tuple(one.take("ip", str) for one in shapes.rows(row.method, row.take("listen", list)))
