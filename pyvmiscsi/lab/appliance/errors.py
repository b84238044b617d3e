"""What the appliance answers when it refuses: call errors, validation errors, and how each face spells them.

Numbers, class names and shapes are those of nas-wire.md section 1.9.
"""

from __future__ import annotations

import errno
import json
from dataclasses import dataclass
from typing import Any

ENOMETHOD = 201
EDATASETISLOCKED = 205
ENOTAUTHENTICATED = 207

_OWN_NAMES = {
    ENOMETHOD: "ENOMETHOD",
    202: "ESERVICESTARTFAILURE",
    203: "EALERTCHECKERUNAVAILABLE",
    204: "EREMOTENODEERROR",
    EDATASETISLOCKED: "EDATASETISLOCKED",
    ENOTAUTHENTICATED: "ENOTAUTHENTICATED",
    208: "ESSLCERTVERIFICATIONERROR",
    209: "EREBOOTREQUIRED",
    210: "EHAUNAVAILABLE",
}


def errname(number: int) -> str:
    """`EFAULT` for 14; the appliance's own names above 200."""
    return _OWN_NAMES.get(number) or errno.errorcode.get(number, "EUNKNOWN")


class RefusalError(Exception):
    """Anything the appliance answers instead of a result."""


class CallError(RefusalError):
    """One errno and one text; without an errno it is EFAULT, as the middleware's own CallError is."""

    def __init__(self, text: str, number: int = errno.EFAULT) -> None:
        super().__init__(text)
        self.text = text
        self.number = number


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong with one attribute; `attribute` None is how a missing object is reported."""

    attribute: str | None
    text: str
    number: int = errno.EINVAL


class ValidationErrors(RefusalError):  # noqa: N818 - the middleware's own name, it holds several
    """A request whose attributes are wrong, all of them named."""

    def __init__(self, complaints: tuple[Complaint, ...]) -> None:
        super().__init__("; ".join(f"{c.attribute}: {c.text}" for c in complaints))
        self.complaints = complaints


class MethodMissingError(RefusalError):
    """No such method on this endpoint."""


class Verdict:
    """Collects complaints during a check and raises them together."""

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self._complaints: list[Complaint] = []

    def add(self, attribute: str, text: str, number: int = errno.EINVAL) -> None:
        self._complaints.append(Complaint(f"{self._schema}.{attribute}", text, number))

    def check(self) -> None:
        if self._complaints:
            raise ValidationErrors(tuple(self._complaints))


def refuse(attribute: str, text: str, number: int = errno.EINVAL) -> ValidationErrors:
    """The validation error of a single attribute."""
    return ValidationErrors((Complaint(attribute, text, number),))


def missing(class_name: str, key: object) -> ValidationErrors:
    """`iSCSITarget 5 does not exist`, with ENOENT and no attribute."""
    return ValidationErrors((Complaint(None, f"{class_name} {key} does not exist", errno.ENOENT),))


def jsonrpc_error(refusal: RefusalError) -> dict[str, Any]:
    """The `error` member of a JSON-RPC 2.0 answer."""
    match refusal:
        case MethodMissingError():
            return {"code": -32601, "message": "Method does not exist", "data": None}
        case ValidationErrors(complaints=complaints):
            reason = "\n".join(f"[{errname(c.number)}] {c.attribute}: {c.text}" for c in complaints)
            return {
                "code": -32602,
                "message": "Invalid params",
                "data": {
                    "error": errno.EINVAL,
                    "errname": "EINVAL",
                    "reason": reason,
                    "trace": _trace("ValidationErrors", reason),
                    "extra": [[c.attribute, c.text, c.number] for c in complaints],
                },
            }
        case CallError(text=text, number=number):
            return {
                "code": -32001,
                "message": "Method call error",
                "data": {
                    "error": number,
                    "errname": errname(number),
                    "reason": f"[{errname(number)}] {text}",
                    "trace": _trace("CallError", f"[{errname(number)}] {text}"),
                    "extra": None,
                },
            }
    raise AssertionError(f"a refusal of unknown kind: {refusal!r}")


def rest_error(refusal: RefusalError) -> tuple[int, dict[str, Any]]:
    """HTTP status and body of REST v2.0; a complaint without attribute sits under the text "null"."""
    match refusal:
        case ValidationErrors(complaints=complaints):
            body: dict[str, Any] = {}
            for c in complaints:
                key = json.dumps(None) if c.attribute is None else c.attribute
                body.setdefault(key, []).append({"message": c.text, "errno": c.number})
            return 422, body
        case CallError(text=text, number=number):
            return 422, {"message": text, "errno": number}
        case MethodMissingError():
            return 404, {"message": ""}
    raise AssertionError(f"a refusal of unknown kind: {refusal!r}")


def _trace(class_name: str, reason: str) -> dict[str, Any]:
    """A trace of the real shape, without frames: those hold parameters, and nothing should rely on them."""
    return {
        "class": class_name,
        "frames": [],
        "formatted": f"Traceback (most recent call last):\n{class_name}: {reason}\n",
        "repr": f"{class_name}({reason!r})",
    }
