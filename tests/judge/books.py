"""One release's published operations, each with its parameters and its answer.

A JSON-RPC operation is called by its method's name, a REST one by `VERB /path` with the template's own parameter names
(`DELETE /iscsi/extent/id/{id}`). REST of 25.04 and later publishes nothing: there the server maps verb and path to the
method by one rule (nas-wire.md 1.6), and so do we.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.judge.repairs import Schema, repaired, required_also

VERBS = {"post": "create", "put": "update", "delete": "delete", "get": "query"}


@dataclass(frozen=True)
class Parameter:
    """One positional parameter, or the body of a REST call."""

    name: str
    required: bool
    schema: Schema


@dataclass(frozen=True)
class Operation:
    """What is sent and what is answered. `answer` None: nothing is published about it."""

    parameters: tuple[Parameter, ...]
    answer: Schema | None
    job: bool = False
    """It answers with the number of a job (nas-wire.md 1.6, 1.8), unless asked to wait."""
    casts: bool = False
    """The server turns "5" into 5 before it looks: described by the old generator, checked by the old code."""


@dataclass(frozen=True)
class Book:
    """The operations of one file, and the definitions they refer to."""

    name: str
    operations: Mapping[str, Operation]
    definitions: Mapping[str, Schema] = field(repr=False)

    @cached_property
    def paths(self) -> tuple[tuple[str, re.Pattern[str], str], ...]:
        """(verb, pattern, operation's name) of a REST book, the most literal path first."""
        rows = []
        for name in self.operations:
            verb, _, template = name.partition(" ")
            parts = re.split(r"\{[^}]+\}", template)
            rows.append((verb, re.compile(".+".join(map(re.escape, parts))), name))
        return tuple(sorted(rows, key=lambda row: row[2].count("{")))

    def find(self, verb: str, path: str) -> str | None:
        """The operation that this REST call is, or None when the book has none."""
        for own_verb, pattern, name in self.paths:
            if own_verb == verb and pattern.fullmatch(path):
                return name
        return None


def jsonrpc_book(path: Path, legacy: Mapping[str, Operation] | None = None) -> Book:
    """A generated `jsonrpc-*.json`; `legacy` holds the methods that this release still described the old way."""
    published = json.loads(path.read_text())
    operations = dict(legacy or {})
    for method, entry in published["methods"].items():
        parameters = tuple(Parameter(p["name"], p["required"], repaired(p["schema"])) for p in entry["params"])
        operations[method] = Operation(parameters, repaired(entry["result"]), method in _JOBS)
    definitions = {name: repaired(schema) for name, schema in published["$defs"].items()}
    return Book(path.stem, operations, _rows_as_entries(definitions))


def recorded_methods(path: Path) -> dict[str, Operation]:
    """The operations of a recorded `core.get_methods`, the old generator's schemas."""
    operations = {}
    for method, entry in json.loads(path.read_text())["methods"].items():
        parameters = tuple(
            Parameter(schema.get("_name_", f"{number}"), _must(schema), repaired(schema))
            for number, schema in enumerate(entry["accepts"] or ())
        )
        returns = entry["returns"] or ()
        answer = repaired(returns[0]) if returns else None
        operations[method] = Operation(parameters, answer, bool(entry["job"]), casts=True)
    return operations


def openapi_book(path: Path, neighbour: Book) -> Book:
    """A recorded OpenAPI file. What a create requires at its top level was lost by its generator: `neighbour`, the
    next release whose schemas say it, is asked instead, for the properties that both have."""
    published = json.loads(path.read_text())
    definitions = {name: repaired(schema) for name, schema in published["components"]["schemas"].items()}
    operations = {}
    for template, verbs in published["paths"].items():
        for verb, entry in verbs.items():
            name = f"{verb.upper()} {template}"
            body = _content(entry.get("requestBody"))
            method = method_of(verb.upper(), template)
            if body is not None and verb == "post" and method in neighbour.operations:
                body = required_also(_resolved(body, definitions), _required_by(neighbour, method))
            parameters = () if body is None else (Parameter("body", _body_needed(name, body), body),)
            answer = _content(entry["responses"].get("200"))
            operations[name] = Operation(parameters, answer, method in _JOBS, casts=True)
    return Book(path.stem, operations, definitions)


def _rows_as_entries(definitions: Mapping[str, Schema]) -> dict[str, Schema]:
    """The row of a query requires nothing, for `select` may leave anything out; unless it does, it is a whole entry."""
    whole = dict(definitions)
    for name, schema in definitions.items():
        stem = name.removesuffix("QueryResultItem")
        entry = definitions.get(f"{stem}Entry", definitions.get(stem))
        if stem != name and entry is not None:
            whole[name] = required_also(schema, entry.get("required", ()))
    return whole


def method_of(verb: str, path: str) -> str:
    """The method behind a REST call, by the server's one rule: `POST /iscsi/target` is `iscsi.target.create`."""
    parts = path.strip("/").split("/")
    if "id" in parts:
        at = parts.index("id")
        service, action = parts[:at], parts[at + 2 :]
        return ".".join([*service, *action]) if action else ".".join([*service, _item_action(verb)])
    dotted = ".".join(parts)
    if dotted in _CONFIGS:
        return f"{dotted}.update" if verb == "PUT" else f"{dotted}.config"
    if dotted in _CRUD:
        return f"{dotted}.{VERBS[verb.lower()]}"
    return dotted


def _item_action(verb: str) -> str:
    return "get_instance" if verb == "GET" else VERBS[verb.lower()]


_CRUD = {
    "api_key", "iscsi.auth", "iscsi.extent", "iscsi.host", "iscsi.initiator", "iscsi.portal", "iscsi.target",
    "iscsi.targetextent", "pool", "pool.dataset", "pool.snapshot", "pool.snapshottask", "service", "zfs.snapshot",
}  # fmt: skip
_CONFIGS = {"iscsi.global"}
_JOBS = {"core.bulk", "core.job_wait", "pool.dataset.destroy_snapshots", "service.control", "replication.run"}


def _must(schema: Mapping[str, Any]) -> bool:
    """A positional parameter of the old generator is needed when it has no default."""
    return schema.get("_required_") is True or "default" not in schema


def _body_needed(name: str, body: Schema) -> bool:
    """A POST for one row may have all it needs in its path, such as `POST /pool/dataset/id/{id}/promote`."""
    return (name.startswith("POST ") and "/id/" not in name) or bool(body.get("required"))


def _content(part: Any) -> Any:
    if not part or "content" not in part:
        return None
    return repaired(part["content"]["application/json"]["schema"])


def _resolved(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    while "$ref" in schema:
        schema = definitions[schema["$ref"].removeprefix("#/$defs/")]
    return schema


def _required_by(book: Book, method: str) -> list[str]:
    parameters = book.operations[method].parameters
    return list(_resolved(parameters[0].schema, book.definitions).get("required", ())) if parameters else []
