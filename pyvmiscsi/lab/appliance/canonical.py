"""The whole state by name, so that two moments can be compared: facts first, row ids and counters apart."""

from __future__ import annotations

import hashlib
from typing import Any

from pyvmiscsi.lab.appliance.state import Row, State

_DRAWN = frozenset({"id", "naa", "rel_tgt_id"})
"""Fields that the appliance draws anew each time."""


def canonical(state: State) -> dict[str, Any]:
    """`{"facts": …, "ids": …, "counters": …}`; facts refer to each other by name, never by id."""
    targets = {row["id"]: row["name"] for row in state.targets}
    extents = {row["id"]: row["name"] for row in state.extents}
    tables: dict[str, dict[str, Row]] = {
        "portals": {_portal_name(row): row for row in state.portals},
        "initiators": {f"{row['comment']}:{','.join(row['initiators'])}": row for row in state.initiators},
        "credentials": {f"{row['tag']}:{row['user']}": _fingerprinted(row) for row in state.credentials},
        "targets": {row["name"]: _named_groups(row, state) for row in state.targets},
        "extents": {row["name"]: row for row in state.extents},
        "mappings": {
            f"{targets[row['target']]}/{row['lunid']}": {
                **row, "target": targets[row["target"]], "extent": extents[row["extent"]],
            }
            for row in state.mappings
        },
        "services": {row["service"]: row for row in state.services},
        "api_keys": {row["name"]: {k: v for k, v in row.items() if k != "hash"} for row in state.api_keys},
    }  # fmt: skip
    facts: dict[str, Any] = {
        name: {key: {k: v for k, v in row.items() if k not in _DRAWN} for key, row in sorted(rows.items())}
        for name, rows in tables.items()
    }
    facts["iscsi"] = state.iscsi
    facts["datasets"] = {
        name: {
            "type": dataset.type,
            "volsize": dataset.volsize,
            "volblocksize": dataset.volblocksize,
            "properties": dict(sorted(dataset.local.items())),
            "user_properties": dict(sorted(dataset.user.items())),
            "origin": dataset.origin,
            "snapshots": {
                leaf: {"user_properties": one.user, "holds": sorted(one.holds), "volsize": one.volsize}
                for leaf, one in sorted(dataset.snapshots.items())
            },
        }
        for name, dataset in sorted(state.datasets.items())
    }
    ids = {name: {key: row["id"] for key, row in sorted(rows.items())} for name, rows in tables.items()}
    return {"facts": facts, "ids": ids, "counters": {"txg": state.txg}}


def _fingerprinted(row: Row) -> Row:
    """A credential whose secrets can be compared, but not read."""
    return {
        key: hashlib.sha256(value.encode()).hexdigest()[:16] if key in {"secret", "peersecret"} and value else value
        for key, value in row.items()
    }


def _portal_name(row: Row) -> str:
    return ",".join(str(one["ip"]) for one in row["listen"])


def _named_groups(row: Row, state: State) -> Row:
    groups = []
    for group in row["groups"]:
        portal = state.portals.get(group["portal"])
        groups.append({**group, "portal": _portal_name(portal) if portal else None})
    return {**row, "groups": groups}
