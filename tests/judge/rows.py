"""What stands in for a published answer schema that would accept anything.

Some published answers say no more than "an object". An answer is then judged by a row that somebody recorded from an
appliance: it must have the recorded row's keys, each with a value of the same kind. Where nothing was recorded, the
next release that publishes a real schema of the same row is asked, with further keys allowed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from tests.judge.repairs import Schema

_ABSURD = {"such a key": "exists nowhere"}


def is_vacuous(schema: Schema | None, definitions: Mapping[str, Schema]) -> bool:
    """Whether the schema would take a row of nonsense for an answer. One with nothing but plain types would not."""
    if schema is None:
        return True
    judge = Draft202012Validator({**schema, "$defs": definitions})
    return judge.is_valid(_ABSURD) or judge.is_valid([_ABSURD])


def kind_of(value: Any) -> Schema:
    """The schema of values like this one: objects keep their keys, lists the kind of their first entry.

    null says nothing about what else may stand there, and is taken for "anything".
    """
    if value is None:
        return {}
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, int):
        return {"type": "integer"}
    if isinstance(value, str):
        return {"type": ["string", "null"]}
    if isinstance(value, list):
        return {"type": "array", **({"items": kind_of(value[0])} if value else {})}
    return {
        "type": "object",
        "properties": {key: kind_of(part) for key, part in value.items()},
        "required": sorted(value),
    }


def recorded_rows(folder: Path) -> dict[str, Schema]:
    """Service name -> the schema of its rows, from what was recorded."""
    cinder = json.loads((folder / "cinder-12.0-rest-v2.json").read_text())
    live = json.loads((folder / "scale-csi-26.0-live-rows.json").read_text())
    snapshot = json.loads((folder / "proxmox-plugin-25.10-snapshot-query.json").read_text())
    rows = {
        "iscsi.target": _any_initiator(cinder["GET /api/v2.0/iscsi/target"][0]),
        "iscsi.extent": cinder["GET /api/v2.0/iscsi/extent (item)"],
        "iscsi.targetextent": cinder["POST /api/v2.0/iscsi/targetextent"],
        "zfs.resource": _fixed_part(live["zfs_resource_query_zvol_row_live"]),
        "pool.snapshot": snapshot["item"] | {"properties": {}},
        "zfs.snapshot": cinder["POST /api/v2.0/zfs/snapshot (excerpt)"],
    }
    return {service: kind_of(row) for service, row in rows.items()}


def _any_initiator(row: Mapping[str, Any]) -> dict[str, Any]:
    """The recorded target names an initiator group; the published request says that none may be named."""
    return {**row, "groups": [{**group, "initiator": None} for group in row["groups"]]}


def _fixed_part(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row without what the caller chose to see: which properties, and whose user properties."""
    return {**row, "properties": {}, "user_properties": {}}
