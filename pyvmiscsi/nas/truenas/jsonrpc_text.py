"""JSON-RPC 2.0 as a TrueNAS speaks it (nas-wire.md 1.8, 1.9): which calls are open, and what each message means. Pure.

Feed it what came over the wire, send what it returns.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from pyvmiscsi.errors import NasProtocolError, NasRefusedError
from pyvmiscsi.nas.truenas.rpc import Fault, Json, Refused, Request

MAX_MESSAGE = 65536
"""Bytes; the appliance closes the connection on a longer one."""

_INVALID_PARAMS = -32602
_NO_SUCH_METHOD = -32601


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of the call `number`."""

    number: int
    result: Json


@dataclass(frozen=True, slots=True)
class Refusal:
    """The appliance's no to the call `number`."""

    number: int
    refused: Refused


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the appliance says unasked: an event, or the answer to a call that nobody waits for any more."""


class Conversation:
    """The open calls of one connection. Not locked: its owner is."""

    def __init__(self) -> None:
        self._last = 0
        self._open: dict[int, str] = {}

    def call(self, request: Request) -> tuple[int, str]:
        """Open a call: its number, and the text to send; NasRefusedError when that is too long to be sent."""
        self._last += 1
        message = {"jsonrpc": "2.0", "id": self._last, "method": request.method, "params": list(request.params)}
        text = json.dumps(message, separators=(",", ":"))
        if len(text.encode()) > MAX_MESSAGE:
            raise NasRefusedError(f"{request.method}: a request of {len(text)} bytes, and the nas takes {MAX_MESSAGE}")
        self._open[self._last] = request.method
        return self._last, text

    def abandon(self, number: int) -> None:
        """Nobody waits for this call any more."""
        self._open.pop(number, None)

    def receive(self, text: str) -> Answer | Refusal | Notice:
        """Take in one message; NasProtocolError when it is none."""
        try:
            message = json.loads(text)
        except ValueError as trouble:
            raise NasProtocolError("the nas sent what is not JSON") from trouble
        match message:
            case {"id": int(number), "result": result}:
                return Answer(number, result) if self._close(number) else Notice()
            case {"id": int(number), "error": dict(error)}:
                method = self._close(number)
                return Refusal(number, refused(method, error)) if method else Notice()
            case {"method": str(), **rest} if "id" not in rest:
                return Notice()
            case {"id": None, "error": dict(error)}:
                raise NasProtocolError(f"the nas could not read a request: {error.get('message')}")
        raise NasProtocolError("the nas sent what is neither an answer nor an event")

    def _close(self, number: int) -> str:
        return self._open.pop(number, "")


def refused(method: str, error: dict[str, Json]) -> Refused:
    """The `error` object of an answer. Its `trace`, which holds the parameters, is left where it is."""
    code, data = error.get("code"), error.get("data")
    details = data if isinstance(data, dict) else {}
    extra = details.get("extra")
    faults = tuple(fault for entry in extra if (fault := _fault(entry))) if isinstance(extra, list) else ()
    number = details.get("error")
    return Refused(
        method,
        str(details.get("reason") or error.get("message") or f"error {code}"),
        errno=number if isinstance(number, int) and code != _INVALID_PARAMS else 0,
        faults=faults,
        no_such_method=code == _NO_SUCH_METHOD,
    )


def _fault(entry: Json) -> Fault | None:
    match entry:
        case [str() | None as field, str(message), int(number), *_]:
            return Fault(field or "", message, number)
    return None
