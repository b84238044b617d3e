"""The words tgtd's management socket speaks, as bytes and texts (tgtadm(8); tgt 1.0.85, `usr/tgtadm.h`).

Speaking them ourselves rather than starting tgtadm keeps CHAP secrets out of every argument list, and costs tens of
microseconds instead of milliseconds.
"""

from __future__ import annotations

import re
import struct
from enum import IntEnum

from pyvmiscsi.lab.appliance.target.plane import PlaneSession

_REQUEST = struct.Struct("<II64sIiQQIIIIII")
"""mode, op, driver, whole length, tid, session, lun, connection, host, device type, direction, pack, force."""

_RESPONSE = struct.Struct("<II")
"""error, whole length."""

_NO_LUN = 0xFFFF_FFFF_FFFF_FFFF


class Mode(IntEnum):
    TARGET = 1
    UNIT = 2
    PORTAL = 3
    CONNECTION = 6
    ACCOUNT = 7


class Op(IntEnum):
    NEW = 0
    DELETE = 1
    SHOW = 2
    BIND = 3
    UNBIND = 4
    UPDATE = 5


_ERRORS = (
    "no error", "unknown error", "out of memory", "no such driver", "no such target", "no such logical unit",
    "no such session", "no such connection", "no such binding", "this target already exists",
    "this binding already exists", "this logical unit number already exists",
    "this access control rule already exists", "no such access control rule", "this account already exists",
    "no such account", "too many accounts", "invalid request", "this target already has an outgoing account",
    "this target is still active", "this logical unit is still active", "this driver is busy",
    "this operation is not supported", "unknown parameter", "this device has a prevent removal set",
)  # fmt: skip
"""By number: enum tgtadm_errno."""

ACTIVE = frozenset({19, 20})
NOT_THERE = frozenset({4, 5, 6, 7, 8, 13, 15})


def error_text(number: int) -> str:
    return _ERRORS[number] if number < len(_ERRORS) else f"error {number}"


def request(
    mode: Mode,
    op: Op,
    *,
    tid: int = -1,
    lun: int | None = None,
    session: int = 0,
    connection: int = 0,
    outgoing: bool = False,
    force: bool = False,
    words: str = "",
) -> bytes:
    """One request: the fixed header and, when there are words, those with a closing NUL."""
    tail = words.encode() + b"\0" if words else b""
    whole = _REQUEST.size + len(tail)
    number = _NO_LUN if lun is None else lun
    head = _REQUEST.pack(
        mode, op, b"iscsi", whole, tid, session, number, connection, 0, 0, int(outgoing), 0, int(force)
    )
    return head + tail


RESPONSE_SIZE = _RESPONSE.size


def response(head: bytes) -> tuple[int, int]:
    """Error number and how many bytes follow."""
    error, whole = _RESPONSE.unpack(head)
    return error, max(0, whole - _RESPONSE.size)


_TARGET = re.compile(r"Target (?P<tid>\d+): (?P<iqn>\S+)")
_INITIATOR = re.compile(r"\s+Initiator: (?P<name>\S+) alias: ")
_ADDRESS = re.compile(r"\s+IP Address: (?P<address>\S+)")
_NEXUS = re.compile(r"\s+I_T nexus: (?P<session>\d+)")
_CONNECTION = re.compile(r"\s+Connection: (?P<connection>\d+)")


def sessions(text: str) -> tuple[PlaneSession, ...]:
    """Who is logged in, from `--op show --mode target`: one entry for each connection."""
    found, iqn, initiator = [], "", ""
    for line in text.splitlines():
        if match := _TARGET.match(line):
            iqn = match["iqn"]
        elif match := _INITIATOR.match(line):
            initiator = match["name"]
        elif match := _ADDRESS.match(line):
            found.append(PlaneSession(iqn, initiator, match["address"]))
    return tuple(found)


def connections(text: str, tid: int) -> tuple[tuple[int, int], ...]:
    """Session and connection numbers of one target, from the same listing."""
    found, here, session = [], False, 0
    for line in text.splitlines():
        if match := _TARGET.match(line):
            here = int(match["tid"]) == tid
        elif here and (match := _NEXUS.match(line)):
            session = int(match["session"])
        elif here and (match := _CONNECTION.match(line)):
            found.append((session, int(match["connection"])))
    return tuple(found)
