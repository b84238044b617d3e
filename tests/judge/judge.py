"""One question: does this request, or this answer, agree with what is published?"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match

from tests.judge.books import Book, Operation, jsonrpc_book, method_of, openapi_book, recorded_methods
from tests.judge.limits import FILTERS, LONGEST_MESSAGE, limited_fields, long_strings
from tests.judge.repairs import Schema, without_required
from tests.judge.rows import is_vacuous, recorded_rows

NOTHING: Any = object()
"""No body at all, which is not the same as the body `null`."""


class Violation(NamedTuple):
    """A disagreement. Never holds a value that was sent or answered: it may be a secret."""

    dialect: str
    release: str
    what: str
    side: str
    where: str
    rule: str

    def __str__(self) -> str:
        return f"{self.dialect} {self.release} {self.what}: {self.side} {self.where}: {self.rule}"


class Said(NamedTuple):
    """A rule that was broken, and where."""

    where: str
    rule: str


@dataclass
class Judge:
    """The published schemas of every release there is one for, repaired."""

    jsonrpc: Mapping[tuple[int, ...], Book]
    rest: Mapping[tuple[int, ...], Book]
    rows: Mapping[str, Schema]
    _validators: dict[tuple[str, str, bool], Draft202012Validator] = field(default_factory=dict)
    _vacuous: dict[tuple[str, str], bool] = field(default_factory=dict)

    @classmethod
    def load(cls, reference: Path) -> Self:
        """Read `nas-data` below this directory."""
        data = reference / "nas-data"
        legacy = recorded_methods(data / "recorded" / "core.get_methods-25.04-subset.json")
        jsonrpc: dict[tuple[int, ...], Book] = {
            (25, 4): jsonrpc_book(data / "jsonrpc-v25_04_2-subset.json", legacy),
            (25, 10): jsonrpc_book(data / "jsonrpc-v25_10_0-subset.json"),
            (25, 10, 5): jsonrpc_book(data / "jsonrpc-v25_10_5-subset.json"),
            (26, 0): jsonrpc_book(data / "jsonrpc-v26_0_0-subset.json"),
            (27, 0): jsonrpc_book(data / "jsonrpc-v27_0_0-subset.json"),
        }
        rest: dict[tuple[int, ...], Book] = {
            (22, 2): openapi_book(data / "openapi-v2.0-22.02-subset.json", jsonrpc[25, 4]),
            (22, 12): openapi_book(data / "openapi-v2.0-subset.json", jsonrpc[25, 4]),
            (24, 4): openapi_book(data / "openapi-v2.0-24.04-subset.json", jsonrpc[25, 4]),
        }
        return cls(jsonrpc, rest, recorded_rows(data / "recorded"))

    def request(
        self,
        dialect: str,
        release: str,
        what: str,
        payload: Any,
        *,
        query: Mapping[str, str] | None = None,
        limits: bool = True,
    ) -> tuple[Violation, ...]:
        """What is wrong with a request. `what` is a method, or `VERB /path`; `payload` its params, or its body.

        Without `limits` its shape alone is judged, not what its values may be beyond that.
        """
        found = self._find(dialect, release, what)
        if found is None:
            return (Violation(dialect, release, what, "request", "", "no such call is published"),)
        book, operation, method = found
        if dialect == "jsonrpc":
            said = self._params(book, operation, method, payload, limits)
        elif book in self.rest.values():
            said = self._body(book, operation, method, payload, limits)
        else:
            said = self._params(book, operation, method, _positional(operation, method, what, payload), limits)
        said = [*said, *_query_string(query or {})]
        return tuple(Violation(dialect, release, what, "request", *one) for one in dict.fromkeys(said))

    def answer(
        self, dialect: str, release: str, what: str, payload: Any, *, options: Mapping[str, Any] | None = None
    ) -> tuple[Violation, ...]:
        """What is wrong with a successful answer; `options` are the query options it answers to, if any."""
        found = self._find(dialect, release, what)
        if found is None:
            return (Violation(dialect, release, what, "answer", "", "no such call is published"),)
        book, operation, method = found
        partial = _is_partial(options or {})
        if operation.job and isinstance(payload, int) and not isinstance(payload, bool):
            return ()
        if self.is_vacuous(dialect, release, what):
            said = list(self._by_row(method, payload, partial=partial))
        else:
            said = list(self._check(book, f"answer of {_key(book, what, method)}", operation.answer, payload, partial))
        return tuple(Violation(dialect, release, what, "answer", *one) for one in dict.fromkeys(said))

    def error(self, dialect: str, release: str, what: str, payload: Any) -> tuple[Violation, ...]:
        """What is wrong with an error's shape (nas-wire.md 1.9)."""
        schema = _JSONRPC_ERROR if dialect == "jsonrpc" else _REST_ERROR
        said = _complaints(Draft202012Validator(schema), payload)
        return tuple(Violation(dialect, release, what, "error", *one) for one in said)

    def casts(self, dialect: str, release: str, what: str) -> bool:
        """Whether this call takes "5" for 5, so that a request may be wrong here and yet be served."""
        found = self._find(dialect, release, what)
        return found is not None and found[1].casts

    def is_vacuous(self, dialect: str, release: str, what: str) -> bool:
        """Whether the published schema of this call's answer takes anything, so that a recorded row must judge it."""
        found = self._find(dialect, release, what)
        if found is None:
            return False
        book, operation, method = found
        return self._is_vacuous(book, what if book in self.rest.values() else method, operation)

    def name_of(self, dialect: str, release: str, what: str) -> str:
        """The method, or `VERB /path` with ids as `{id}`, so that calls on different objects count as one path."""
        if dialect == "jsonrpc":
            return what
        book = _pick(self.rest, release)
        name = book.find(*what.split(" ", 1)) if book else None
        return re.sub(r"(/id/)[^/]+", r"\1{id}", (name or what).replace("{id_}", "{id}"))

    def vacuous(self) -> tuple[str, ...]:
        """The answers whose published schema takes anything, by book."""
        return tuple(
            f"{book.name}: {name}"
            for book in (*self.jsonrpc.values(), *self.rest.values())
            for name, operation in sorted(book.operations.items())
            if self._is_vacuous(book, name, operation)
        )

    # which page

    def _find(self, dialect: str, release: str, what: str) -> tuple[Book, Operation, str] | None:
        if dialect == "jsonrpc":
            book = _pick(self.jsonrpc, release)
            return (book, book.operations[what], what) if book and what in book.operations else None
        verb, _, path = what.partition(" ")
        book = _pick(self.rest, release)
        if book is not None:
            name = book.find(verb, path)
            return (book, book.operations[name], method_of(verb, path)) if name else None
        book, method = _pick(self.jsonrpc, release), method_of(verb, path)
        return (book, book.operations[method], method) if book and method in book.operations else None

    # requests

    def _params(self, book: Book, operation: Operation, method: str, params: Any, limits: bool) -> list[Said]:
        if not isinstance(params, list):
            return [Said("params", "must be an array")]
        if len(params) > len(operation.parameters):
            return [Said("params", f"takes at most {len(operation.parameters)}")]
        missing = [p.name for p in operation.parameters[len(params) :] if p.required]
        said = [Said("params", f"{name} is missing") for name in missing]
        for number, (parameter, value) in enumerate(zip(operation.parameters, params, strict=False)):
            where = f"params[{number}]"
            key = f"{method} {parameter.name}"
            said += _below(where, self._check(book, key, parameter.schema, value))
            said += _below(where, self._beyond(method, parameter.name, value) if limits else ())
        if len(json.dumps(params)) > LONGEST_MESSAGE:
            said.append(Said("params", f"longer than {LONGEST_MESSAGE} bytes: the connection would be closed"))
        return said

    def _body(self, book: Book, operation: Operation, method: str, body: Any, limits: bool) -> list[Said]:
        if not operation.parameters:
            return [] if body is NOTHING or _is_filterable(method) else [Said("body", "takes none")]
        (parameter,) = operation.parameters
        if body is NOTHING:
            return [Said("body", "is missing")] if parameter.required else []
        return [
            *_below("body", self._check(book, f"body of {parameter.name} {method}", parameter.schema, body)),
            *_below("body", self._beyond(method, "body", body) if limits else ()),
        ]

    def _beyond(self, method: str, name: str, value: Any) -> Iterator[Said]:
        """The rules that the schemas leave out."""
        if name in ("filters", "query_filters", "query-filters"):
            yield from _complaints(Draft202012Validator(FILTERS), value)
        if isinstance(value, dict):
            for where, schema, found in limited_fields(method, value):
                yield from _below(where, _complaints(Draft202012Validator(schema), found))
        for where in long_strings(value):
            yield Said(where.removeprefix("."), "longer than 1024 characters")

    # answers

    def _is_vacuous(self, book: Book, name: str, operation: Operation) -> bool:
        known = self._vacuous.get((book.name, name))
        if known is None:
            known = is_vacuous(operation.answer, book.definitions)
            self._vacuous[book.name, name] = known
        return known

    def _by_row(self, method: str, payload: Any, *, partial: bool) -> Iterator[Said]:
        """Judge by a recorded row, else by the next release's schema of the same row, else say nothing."""
        action = method.rpartition(".")[2]
        rows = payload if isinstance(payload, list) else [payload]
        if action not in ("query", "create", "update", "get_instance", "config") or isinstance(payload, int):
            return
        validator = self._validator("rows", method, partial, lambda: self._schema_of_row(method))
        for row in rows:
            yield from _complaints(validator, row)

    def _schema_of_row(self, method: str) -> Schema:
        """What a row is like; anything, where neither a recording nor the next release says it."""
        service = method.rpartition(".")[0]
        if service in self.rows:
            return self.rows[service]
        book = self.jsonrpc[25, 4]
        operation = book.operations.get(method)
        if operation is None or self._is_vacuous(book, method, operation) or operation.answer is None:
            return {}
        opened: Schema = _opened({**operation.answer, "$defs": book.definitions})
        if method.startswith("iscsi.global."):
            opened = _not_required(opened, "iser")  # came with 25.04 (nas-wire.md 2.4)
        return opened

    def _check(self, book: Book, key: str, schema: Schema | None, value: Any, partial: bool = False) -> Iterator[Said]:
        if schema is not None:
            whole = {**schema, "$defs": book.definitions}
            yield from _complaints(self._validator(book.name, key, partial, lambda: whole), value)

    def _validator(self, book: str, key: str, partial: bool, schema: Callable[[], Schema]) -> Draft202012Validator:
        """Made once for all that it judges: it takes far longer than a judgment."""
        known = self._validators.get((book, key, partial))
        if known is None:
            made = schema()
            known = Draft202012Validator(without_required(made) if partial else made)
            self._validators[book, key, partial] = known
        return known


def _key(book: Book, what: str, method: str) -> str:
    verb, _, path = what.partition(" ")
    return (book.find(verb, path) or method) if path else method


def _pick(books: Mapping[tuple[int, ...], Book], release: str) -> Book | None:
    """The newest book that is not newer than the release; None when the dialect has no book of its line.

    REST is the same from 24.04 to 24.10; from 25.04 on it publishes nothing of its own.
    """
    asked = tuple(int(part) for part in re.findall(r"\d+", release))
    older = [version for version in books if version <= asked]
    if not older or (asked >= (25,) and max(older) < (25,)):
        return None
    return books[max(older)]


def _positional(operation: Operation, method: str, what: str, body: Any) -> Any:
    """A REST call of 25.04 or later as its method's parameters (nas-wire.md 1.6, "body rule")."""
    path = what.partition(" ")[2]
    parameters = operation.parameters
    head: list[Any] = []
    if "/id/" in path and parameters:
        text = path.split("/id/")[1].split("/")[0]
        head = [int(text) if text.isdigit() else text.replace("%2F", "/").replace("%40", "@")]
        parameters = parameters[1:]
    if body is NOTHING or not parameters:
        return head if body is NOTHING or _is_filterable(method) else [*head, body]
    if len(parameters) == 1:
        return [*head, body]
    if not isinstance(body, dict):
        return [*head, body]
    names = [parameter.name for parameter in parameters]
    given = [name for name in names if name in body]
    # What is missing is skipped, not defaulted: a gap shifts the rest, so a gap is a mistake by itself.
    return [*head, *(body[name] for name in given)] if given == names[: len(given)] else NOTHING


def _is_filterable(method: str) -> bool:
    return method.endswith((".query", ".sessions", ".get_jobs"))


def _is_partial(options: Mapping[str, Any]) -> bool:
    """Whether rows were asked for in part, so that a key may rightly be absent."""
    extra = options.get("extra") or {}
    return bool(options.get("select")) or "properties" in extra


def _query_string(query: Mapping[str, str]) -> Iterator[Said]:
    for name in ("limit", "offset"):
        if name in query and not query[name].isdigit():
            yield Said(f"query.{name}", "must be a number")


def _complaints(validator: Draft202012Validator, value: Any) -> list[Said]:
    """The broken rules, most telling first; what was found stays out of the text, for it may be a secret."""
    return [
        _said(error) for error in sorted(validator.iter_errors(value), key=lambda error: list(map(str, error.path)))
    ]


def _said(error: ValidationError) -> Said:
    deepest = best_match([error]) or error
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in deepest.absolute_path)
    return Said(where.removeprefix("."), _rule(deepest))


def _rule(error: ValidationError) -> str:
    wanted: Any = error.validator_value
    schema: Any = error.schema
    if error.validator == "required" and isinstance(error.instance, dict):
        return f"lacks {', '.join(name for name in wanted if name not in error.instance)}"
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        own = schema.get("properties", {})
        return f"has unknown {', '.join(sorted(name for name in error.instance if name not in own))}"
    if error.validator in ("anyOf", "oneOf"):
        return f"fits none of the {len(wanted)} published forms"
    return f"{error.validator} {json.dumps(wanted)[:120]}"


def _below(where: str, said: Iterable[Said]) -> list[Said]:
    return [
        Said(f"{where}{'' if one.where.startswith('[') or not one.where else '.'}{one.where}", one.rule) for one in said
    ]


def _not_required(schema: Any, name: str) -> Any:
    """The schema without this key among the required ones, anywhere."""
    if isinstance(schema, Mapping):
        return {
            key: [one for one in value if one != name] if key == "required" else _not_required(value, name)
            for key, value in schema.items()
        }
    if isinstance(schema, Sequence) and not isinstance(schema, str):
        return [_not_required(part, name) for part in schema]
    return schema


def _opened(schema: Any) -> Any:
    """The schema with further keys allowed everywhere."""
    if isinstance(schema, Mapping):
        return {key: _opened(value) for key, value in schema.items() if key != "additionalProperties"}
    if isinstance(schema, Sequence) and not isinstance(schema, str):
        return [_opened(part) for part in schema]
    return schema


_ERRNO = {"type": "integer", "minimum": 1}
_VALIDATION = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "array",
        "prefixItems": [{"type": ["string", "null"]}, {"type": "string"}, _ERRNO],
        "minItems": 3,
        "maxItems": 3,
    },
}
_JSONRPC_ERROR: Schema = {
    "type": "object",
    "required": ["code", "message"],
    "properties": {
        "code": {"enum": [-32700, -32600, -32601, -32602, -32603, -32000, -32001]},
        "message": {"type": "string"},
    },
    "if": {"properties": {"code": {"enum": [-32001, -32602]}}},
    "then": {
        "required": ["data"],
        "properties": {
            "data": {
                "type": "object",
                "required": ["error", "errname", "reason", "trace", "extra"],
                "properties": {
                    "error": _ERRNO,
                    "errname": {"type": "string", "pattern": "^E[A-Z]+$"},
                    "reason": {"type": "string"},
                    "extra": {"anyOf": [{"type": "null"}, _VALIDATION, {"type": "array"}]},
                },
            }
        },
    },
}
_FIELD_ERRORS = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["message", "errno"],
        "properties": {"message": {"type": "string"}, "errno": _ERRNO},
    },
}
_REST_ERROR: Schema = {
    "anyOf": [
        {"type": "string"},
        {"type": "null"},
        {
            "type": "object",
            "required": ["message"],
            "properties": {"message": {"type": "string"}, "errno": _ERRNO},
        },
        {"type": "object", "minProperties": 1, "additionalProperties": _FIELD_ERRORS},
    ]
}
