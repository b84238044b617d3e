"""Schema in, schema out: the slips of the generators, put right.

The published files come from two generators. The newer one (JSON-RPC, 25.04 and later) writes proper JSON Schema; the
older one (OpenAPI, and `core.get_methods`) writes a dialect of its own, with these slips:

- references spelled `#components/…`, without the slash that makes them resolve;
- `_required_: true` on a property where `required: […]` on its object is meant;
- `items: [A, B]` where `items: {anyOf: [A, B]}` is meant, and `items: []` for "anything";
- `nullable: true` for "or null"; `type: float` for number;
- an `enum` beside an `anyOf` that adds INHERIT: taken literally, the enum forbids what the `anyOf` allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Schema = Mapping[str, Any]

_EXTRAS = {"_name_", "_required_", "_attrs_order_", "title", "description", "examples", "discriminator"}
_TYPES = {"float": "number", "datetime": "object", "dict": "object"}

_DATE = {"type": "object", "properties": {"$date": {"type": "integer"}}, "required": ["$date"]}
"""What the wire has where a model says date-time (nas-wire.md 1.8, EJSON)."""


def repaired(schema: Any) -> Any:
    """The same schema as proper JSON Schema (draft 2020-12), without prose; what is no schema comes back as it is."""
    if isinstance(schema, list):
        return [repaired(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    required = [name for name, part in _properties(schema) if isinstance(part, dict) and part.get("_required_") is True]
    fixed: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties":
            fixed["properties"] = {name: repaired(part) for name, part in _properties(schema)}
        elif key == "$ref":
            fixed["$ref"] = _reference(value)
        elif key == "items":
            fixed["items"] = _items(value)
        elif key == "type" and not isinstance(value, dict):
            fixed["type"] = _type(value)
        elif key in ("enum", "const", "default", "required"):
            fixed[key] = value
        elif key not in _EXTRAS and key != "nullable":
            fixed[key] = repaired(value)
    if fixed.get("format") == "date-time":
        fixed = dict(_DATE)
    if required:
        fixed["required"] = sorted({*fixed.get("required", ()), *required})
    fixed.pop("default", None)  # prose too: a default does not bind what is sent
    return _or_null(_inherit_beside_enum(fixed), nullable=schema.get("nullable") is True)


def without_required(schema: Any) -> Any:
    """The schema of a row cut down by `select`: whatever is there must be right, nothing must be there."""
    if isinstance(schema, list):
        return [without_required(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    loose = {key: without_required(value) for key, value in schema.items() if key != "required"}
    return {**loose, "additionalProperties": True} if "properties" in loose else loose


def required_also(schema: Any, names: Iterable[str]) -> Any:
    """The schema with these of its own properties required."""
    own = schema.get("properties", {})
    wanted = {*schema.get("required", ()), *(name for name in names if name in own)}
    return {**schema, "required": sorted(wanted)} if wanted else schema


def _properties(schema: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    found = schema.get("properties")
    return found.items() if isinstance(found, dict) else ()


def _reference(text: str) -> str:
    """`#components/schemas/X` and `#/components/schemas/X` are the same place, which we keep under `$defs`."""
    return "#/" + text.removeprefix("#").removeprefix("/").replace("components/schemas/", "$defs/")


def _items(value: Any) -> Any:
    if not isinstance(value, list):
        return repaired(value)
    if not value:
        return {}
    return repaired(value[0]) if len(value) == 1 else {"anyOf": repaired(value)}


def _type(value: Any) -> Any:
    return [_TYPES.get(one, one) for one in value] if isinstance(value, list) else _TYPES.get(value, value)


def _inherit_beside_enum(schema: dict[str, Any]) -> dict[str, Any]:
    if "enum" not in schema or "anyOf" not in schema:
        return schema
    rest = {key: value for key, value in schema.items() if key != "enum"}
    rest["anyOf"] = [{**part, "enum": part.get("enum", schema["enum"])} for part in schema["anyOf"]]
    return rest


def _or_null(schema: dict[str, Any], *, nullable: bool) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]} if nullable else schema
