"""How REST v2.0 maps onto methods: paths, bodies, query strings, and the server's own bugs (nas-wire.md 1.6). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from pyvmiscsi.lab.appliance import queries
from pyvmiscsi.lab.appliance.methods import Method
from pyvmiscsi.lab.appliance.shapes import MISSING

_CRUD = {"create": "POST", "update": "PUT", "delete": "DELETE"}
_HIDDEN = ("core.bulk", "core.set_options", "core.subscribe", "core.unsubscribe", "auth.login")
"""Of the WebSocket alone; core.bulk left REST with 24.04 (nas-wire.md 4.1)."""

NO_BODY: Any = object()


class BadRequestError(Exception):
    """HTTP 400, with this message."""


class NoSuchPathError(Exception):
    """HTTP 404: no route has this path."""


class WrongVerbError(Exception):
    """HTTP 405: the path is there, for other verbs."""


@dataclass(frozen=True, slots=True)
class Route:
    """A method, and the id that its path gives it."""

    method: Method
    number: Any = MISSING
    by_query: bool = False
    """`GET /x/id/N`: a query for one row, whose absence is a 404."""


class Routes:
    """All paths of one release."""

    def __init__(self, methods: Iterable[Method]) -> None:
        self._lists: dict[tuple[str, ...], dict[str, Method]] = {}
        self._items: dict[tuple[str, ...], dict[str, Method]] = {}
        """By service: the verbs of `/service/id/N`; and by service and method those of `/service/id/N/method`."""
        known = {method.name: method for method in methods if not method.name.startswith(_HIDDEN)}
        for name, method in known.items():
            *service, verb = name.split(".")
            self._add(tuple(service), verb, method, f"{'.'.join(service)}.query" in known)

    def _add(self, service: tuple[str, ...], verb: str, method: Method, crud: bool) -> None:
        if verb == "query":
            self._lists.setdefault(service, {})["GET"] = method
            self._items.setdefault(service, {})["GET"] = method
        elif verb == "create":
            self._lists.setdefault(service, {})["POST"] = method
        elif verb in _CRUD and crud:
            self._items.setdefault(service, {})[_CRUD[verb]] = method
        elif verb == "config":
            self._lists.setdefault(service, {})["GET"] = method
        elif verb == "update":
            self._lists.setdefault(service, {})["PUT"] = method
        else:
            read = not method.parameters or method.parameters == queries.PARAMETERS
            table = self._items if method.item else self._lists
            table.setdefault((*service, verb), {})["GET" if read else "POST"] = method

    def find(self, verb: str, path: str) -> Route:
        """The route of a path below `/api/v2.0`, as it came: ids still encoded."""
        parts = [part for part in path.split("/") if part]
        if "id" in parts:
            place = parts.index("id")
            service, rest = tuple(parts[:place]), parts[place + 1 :]
            if len(rest) not in {1, 2}:
                raise NoSuchPathError
            method = _by_verb(self._items.get((*service, *rest[1:])), verb)
            return Route(method, _guessed(unquote(rest[0])), by_query=method.name.endswith(".query"))
        return Route(_by_verb(self._lists.get(tuple(parts)), verb))


def _by_verb(verbs: Mapping[str, Method] | None, verb: str) -> Method:
    if verbs is None:
        raise NoSuchPathError
    if verb not in verbs:
        raise WrongVerbError
    return verbs[verb]


def arguments(method: Method, number: Any, body: Any) -> list[Any]:
    """The positional arguments of a call.

    One parameter after the id: the body is it. Several: the body is an object by parameter name, walked in order;
    what is absent is skipped, not defaulted, so that what follows shifts to the left: the server's own bug, in all
    releases from 11.2 to 25.10.
    """
    given = [] if number is MISSING else [number]
    wanted = method.parameters[len(given) :]
    if body is NO_BODY:
        return given
    if not wanted:
        return given
    if len(wanted) == 1:
        return [*given, body]
    if not isinstance(body, dict):
        raise BadRequestError("Endpoint accepts multiple params, object/dict expected.")
    names = [parameter.name for parameter in wanted]
    unknown = [name for name in body if name not in names]
    if unknown:
        raise BadRequestError(f"The following attributes are not expected: {', '.join(unknown)}")
    for parameter in wanted:
        if parameter.default is MISSING and parameter.name not in body:
            raise BadRequestError(f"{parameter.name} attribute expected.")
    return [*given, *(body[name] for name in names if name in body)]


_OPERATORS = {
    "eq": "=", "neq": "!=", "gt": ">", "lt": "<", "gte": ">=", "lte": "<=", "regex": "~",
}  # fmt: skip
_RAW = ("=", "!=", ">", ">=", "<", "<=", "~", "in", "nin", "rin", "rnin", "^", "!^", "$", "!$")


def filters_and_options(pairs: Iterable[tuple[str, str]]) -> tuple[list[Any], dict[str, Any]]:
    """`?name=web1&limit=5&extra.flat=false` as query filters and options."""
    filters: list[Any] = []
    options: dict[str, Any] = {}
    for key, text in pairs:
        if key in {"limit", "offset"}:
            if not re.fullmatch(r"\d+", text):
                raise BadRequestError(f"{key}: not a number")
            options[key] = int(text)
        elif key in {"count", "get"}:
            options[key] = text.lower() in {"true", "yes", "1"}
        elif key == "sort":
            options["order_by"] = text.split(",")
        elif key.startswith("extra."):
            options.setdefault("extra", {})[key.removeprefix("extra.")] = _guessed(text)
        else:
            field, sign, word = key.rpartition("__")
            operator = _OPERATORS.get(word, word) if sign else "="
            if not sign or operator not in _RAW:
                field, operator = key, "="
            filters.append([field, operator, _guessed(text)])
    return filters, options


def _guessed(text: str) -> Any:
    """Digits become a number, `true`, `false`, `null` and `none` what they say; so a serial of digits never matches."""
    if re.fullmatch(r"\d+", text):
        return int(text)
    return {"true": True, "false": False, "null": None, "none": None}.get(text.lower(), text)
