"""REST v2.0 as a TrueNAS speaks it: a method and its arguments as an HTTP request, an answer as a value. Pure.

Paths, verbs and bodies follow one rule from the method's name (nas-wire.md 1.6); answers and refusals are in 1.9.
"""

from __future__ import annotations

import errno
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pyvmiscsi.errors import NasAuthError, NasProtocolError, NasUnreachableError
from pyvmiscsi.nas.truenas.rpc import Fault, Json, Refused, Request

BASE = "/api/v2.0"

_FILTERED = {"query", "sessions", "get_jobs"}
"""Methods that take filters and options: a GET, whose body holds them."""

_ARGUMENTS = {
    "iscsi.extent.delete": ("remove", "force"),
    "iscsi.target.delete": ("force", "delete_extents"),
    "pool.snapshot.rollback": ("id", "options"),
    "service.control": ("verb", "service", "options"),
    "zfs.snapshot.rollback": ("id", "options"),
}
"""How the arguments in the body are called, where there can be more than one of them."""

_OF_ONE_ROW = {"pool.dataset.promote", "pool.dataset.rename"}
"""Methods beside update and delete whose first argument is in the path."""

_GATEWAY = {502, 503, 504}


@dataclass(frozen=True, slots=True)
class HttpCall:
    """A request below the API's base; `body` None means none at all, for `null` is never sent."""

    verb: str
    path: str
    body: str | None = None


def http_call(request: Request) -> HttpCall:
    """The HTTP request that makes this call."""
    resource, _, word = request.method.rpartition(".")
    path = f"{BASE}/{resource.replace('.', '/')}"
    if word in _FILTERED:
        own = path if word == "query" else f"{path}/{word}"
        return HttpCall("GET", own, _filters(*request.params))
    if word == "config":
        return HttpCall("GET", path)
    if word == "create":
        return HttpCall("POST", path, json.dumps(request.params[0]))
    if word in ("update", "delete"):
        number, *arguments = request.params
        verb = "PUT" if word == "update" else "DELETE"
        return HttpCall(verb, f"{path}/id/{quote(str(number), safe='')}", _body(request.method, arguments))
    if request.method in _OF_ONE_ROW:
        number, *arguments = request.params
        own = f"{path}/id/{quote(str(number), safe='')}/{word}"
        return HttpCall("POST", own, _body(request.method, arguments))
    verb = "POST" if request.params else "GET"
    return HttpCall(verb, f"{path}/{word}", _body(request.method, request.params))


def _filters(filters: Json = (), options: Json = None) -> str | None:
    if not filters and not options:
        return None
    return json.dumps({"query-filters": filters, "query-options": options or {}})


def _body(method: str, arguments: list[Json] | tuple[Json, ...]) -> str | None:
    """One argument is the body itself, several are an object; those at the end may be left out (nas-wire.md 1.6)."""
    if not arguments:
        return None
    if len(arguments) == 1:
        return json.dumps(arguments[0])
    return json.dumps(dict(zip(_ARGUMENTS[method], arguments, strict=False)))


class GatewayError(Exception):
    """The web server in front answered for an API that is away: whether the call was carried out is not known."""


def result(method: str, status: int, content_type: str, body: bytes) -> Json:
    """What the call returned.

    Refused, or NasAuthError, or GatewayError; NasProtocolError for an answer that is none, such as a web page.
    """
    if status in _GATEWAY:
        raise GatewayError(f"HTTP {status}")
    if 300 <= status < 400:
        raise NasUnreachableError(f"{method}: HTTP {status}, a redirection", hint="write https:// in url")
    if status == 401:
        raise NasAuthError(
            f"{method}: the login was refused: {_line(body)}", hint="the key or password is wrong, expired or revoked"
        )
    if status == 403:
        raise Refused(method, "Not authorized", errno=errno.EACCES)
    if status == 404:
        raise Refused(method, "the nas has no such path", no_such_method=True)
    if "json" not in content_type:
        raise NasProtocolError(f"{method}: HTTP {status} with {content_type or 'no content type'} instead of JSON")
    try:
        answer = json.loads(body)
    except ValueError as error:
        raise NasProtocolError(f"{method}: HTTP {status} with what is not JSON") from error
    if status == 200:
        return answer
    if status in (400, 422, 500):
        raise _refused(method, answer)
    raise NasProtocolError(f"{method}: HTTP {status}, which means nothing here")


def _line(body: bytes) -> str:
    lines = body.decode(errors="replace").strip().splitlines()
    return lines[0][:200] if lines and not lines[0].startswith("<") else "no reason given"


def _refused(method: str, answer: Json) -> Refused:
    match answer:
        case {"message": str(message), **rest}:
            number = rest.get("errno")
            return Refused(method, message or "no reason given", errno=number if isinstance(number, int) else 0)
        case dict(fields):
            faults = tuple(_faults(fields))
            if faults:
                return Refused(method, faults[0].message, faults=faults)
    raise NasProtocolError(f"{method}: a refusal that cannot be understood")


def _faults(fields: dict[Any, Any]) -> list[Fault]:
    """Each field's complaints; the key `null` is how a missing object is reported."""
    found: list[Fault] = []
    for field, complaints in fields.items():
        for complaint in complaints if isinstance(complaints, list) else []:
            match complaint:
                case {"message": str(message), "errno": int(number)}:
                    found.append(Fault("" if field == "null" else str(field), message, number))
    return found
