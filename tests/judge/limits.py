"""Rules that no published schema holds, each with where it comes from.

The schemas say which fields there are and of which type. Lengths, patterns and ranges are checked by the server's own
code, so a judge without them would pass a target named `Web_1`, a CHAP secret of three characters, and a filter that
is not one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

LONGEST_STRING = 1024
"""Characters: `str_max_length` of every model since 25.04."""
LONGEST_MESSAGE = 64 * 1024
"""Bytes of one message after login; a longer one closes the connection with 1009 (nas-wire.md 1.8)."""

_OPERATORS = ["=", "!=", ">", ">=", "<", "<=", "~", "in", "nin", "rin", "rnin", "^", "!^", "$", "!$"]
_CASELESS = [f"C{operator}" for operator in _OPERATORS if operator != "~"]

FILTERS = {
    "type": "array",
    "items": {"$ref": "#/$defs/filter"},
    "$defs": {
        "filter": {
            "anyOf": [
                {
                    "type": "array",
                    "prefixItems": [{"type": "string"}, {"enum": _OPERATORS + _CASELESS}, {}],
                    "minItems": 3,
                    "maxItems": 3,
                },
                {
                    "type": "array",
                    "prefixItems": [{"const": "OR"}, {"type": "array", "minItems": 1}],
                    "minItems": 2,
                    "maxItems": 2,
                },
            ]
        }
    },
}
"""`[[field, operator, value], …]`, or `["OR", [f1, f2, …]]` for one of them (nas-wire.md 1.10)."""


@dataclass(frozen=True)
class Limit:
    """What one field of the object sent must also be."""

    methods: tuple[str, ...]
    field: str
    """`name`, `groups[].portal` for a field of each row, or nothing for the object itself."""
    schema: Mapping[str, Any]
    source: str


_FILESYSTEM_ONLY = [
    "share_type", "casesensitivity", "aclmode", "acltype", "atime", "quota", "refquota", "recordsize",
]  # fmt: skip

LIMITS = (
    Limit(
        ("iscsi.target.create", "iscsi.target.update"),
        "name",
        {"type": "string", "pattern": r"^[-a-z0-9.:]+$", "maxLength": 120},
        "nas-wire.md 2.8: upper case and _ are refused",
    ),
    Limit(
        ("iscsi.auth.create", "iscsi.auth.update"),
        "secret",
        {"type": "string", "minLength": 12, "maxLength": 16, "pattern": r"^[^\s#](.*[^\s#])?$"},
        "nas-wire.md 2.7",
    ),
    Limit(
        ("iscsi.auth.create", "iscsi.auth.update"),
        "peersecret",
        {"anyOf": [{"const": ""}, {"type": "string", "minLength": 12, "maxLength": 16}]},
        "nas-wire.md 2.7",
    ),
    Limit(("iscsi.auth.create",), "user", {"type": "string", "minLength": 1}, "nas-wire.md 2.7"),
    Limit(("iscsi.auth.create",), "tag", {"type": "integer", "minimum": 0}, "nas-wire.md 2.7"),
    Limit(
        ("iscsi.extent.create", "iscsi.extent.update"),
        "name",
        {"type": "string", "minLength": 1, "maxLength": 64, "pattern": '^[^"]*$'},
        "nas-wire.md 2.9, since 22.12",
    ),
    Limit(
        ("iscsi.extent.create", "iscsi.extent.update"),
        "serial",
        {"anyOf": [{"type": "null"}, {"type": "string", "maxLength": 20, "pattern": '^[^"]*$'}]},
        "nas-wire.md 2.9: SCALE 20 characters",
    ),
    Limit(
        ("iscsi.extent.create", "iscsi.extent.update"),
        "disk",
        {"anyOf": [{"type": "null"}, {"type": "string", "pattern": "^zvol/"}]},
        "nas-wire.md 2.9",
    ),
    Limit(
        ("iscsi.extent.create", "iscsi.extent.update"),
        "blocksize",
        {"enum": [512, 1024, 2048, 4096]},
        "nas-wire.md 2.9",
    ),
    Limit(
        ("iscsi.targetextent.create", "iscsi.targetextent.update"),
        "lunid",
        {"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 0, "maximum": 16382}]},
        "nas-wire.md 2.10",
    ),
    Limit(
        ("pool.dataset.create",),
        "name",
        {"type": "string", "maxLength": 200, "pattern": r"^[a-zA-Z0-9][\w.:-]*(/[a-zA-Z0-9][\w.: -]*)+$"},
        "nas-wire.md 2.3, since 23.10",
    ),
    Limit(
        ("pool.dataset.create",),
        "",
        {
            "if": {"properties": {"type": {"const": "VOLUME"}}, "required": ["type"]},
            "then": {"required": ["volsize"], "propertyNames": {"not": {"enum": _FILESYSTEM_ONLY}}},
        },
        "nas-wire.md 2.3: `This field is not valid for VOLUME`",
    ),
    Limit(("pool.dataset.create",), "volsize", {"type": "integer", "minimum": 512}, "nas-wire.md 2.3"),
    *(
        Limit(
            ("pool.dataset.create", "pool.dataset.update"),
            f"{listed}[].key",
            {"type": "string", "pattern": r"^[a-z0-9._-]*:[a-z0-9:._-]*$", "maxLength": 255},
            "nas-wire.md 2.3, since 25.10; zfsprops(7) says the same of every release",
        )
        for listed in ("user_properties", "user_properties_update")
    ),
)


def limited_fields(method: str, sent: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], Any]]:
    """(where, rule, found) for each field of the object sent that has a limit; whether it is kept is for the caller."""
    for limit in LIMITS:
        if method in limit.methods:
            for where, value in _found(sent, limit.field):
                yield where, limit.schema, value


def long_strings(value: Any, where: str = "") -> Iterator[str]:
    """Where a string stands that is longer than any the server takes."""
    if isinstance(value, str) and len(value) > LONGEST_STRING:
        yield where
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from long_strings(part, f"{where}.{key}")
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from long_strings(part, f"{where}[{number}]")


def _found(sent: Mapping[str, Any], field: str) -> Iterator[tuple[str, Any]]:
    if not field:
        yield "", sent
        return
    name, _, below = field.partition("[].")
    if name not in sent:
        return
    if not below:
        yield name, sent[name]
        return
    rows = sent[name] if isinstance(sent[name], list) else []
    for number, row in enumerate(rows):
        if isinstance(row, dict) and below in row:
            yield f"{name}[{number}].{below}", row[below]
