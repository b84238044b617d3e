"""The error for a SCSI command that did not end well: which one it is, its words, and what to do about it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from pyvmiscsi.errors import (
    LunBusyError,
    LunFullError,
    LunMediumError,
    LunReadOnlyError,
    LunReservedError,
    ScsiError,
)
from pyvmiscsi.initiator.libiscsi import sense


@dataclass(frozen=True, slots=True)
class _Kind:
    error: type[ScsiError]
    hint: str = ""


_RESERVED = _Kind(LunReservedError, "another initiator has reserved the LUN: end what uses it there, or preempt it")
_BUSY = _Kind(LunBusyError, "the nas is overloaded or changing over: try again in a moment")
_FULL = _Kind(LunFullError, "the pool behind the LUN is full, or a quota is reached: make room on the nas")
_READ_ONLY = _Kind(LunReadOnlyError, "the extent is read-only on the nas, or its volume is")
_MEDIUM = _Kind(LunMediumError, "look at the health of the pool on the nas: zpool status -v")
_ABSENT = _Kind(ScsiError, "the target has no such LUN any more: look at its mapping on the nas")
_BEYOND = _Kind(ScsiError, "the LUN ends before that: it has become smaller, or was never so large")
_CHANGED = _Kind(ScsiError, "the LUN was changed on the nas: open it again, and look at its size and serial")
_OTHER = _Kind(ScsiError)

_STATUSES = {sense.RESERVATION_CONFLICT: _RESERVED, sense.BUSY: _BUSY, sense.TASK_SET_FULL: _BUSY}
_KEYS = {
    sense.NOT_READY: _BUSY,
    sense.MEDIUM_ERROR: _MEDIUM,
    sense.HARDWARE_ERROR: _MEDIUM,
    sense.DATA_PROTECT: _READ_ONLY,
}
_CODES = {(0x27, 0x07): _FULL, (0x25, 0x00): _ABSENT, (0x21, 0x00): _BEYOND, (0x3A, 0x00): _ABSENT}


def refusal(what: str, *, status: int, key: int = 0, asc: int = 0, ascq: int = 0) -> ScsiError:
    """The error of the class that fits best; `what` names the LUN and the command."""
    kind = _kind(status, key, asc, ascq)
    words = f"{what}: {sense.words(status, key, asc, ascq)}"
    return kind.error(words, status=status, key=key, asc=asc, ascq=ascq, hint=kind.hint)


def _kind(status: int, key: int, asc: int, ascq: int) -> _Kind:
    if status != sense.CHECK_CONDITION:
        return _STATUSES.get(status, _OTHER)
    if key == sense.UNIT_ATTENTION:
        if sense.is_preemption(asc, ascq):
            return _RESERVED
        return _CHANGED if sense.is_change(asc, ascq) else _OTHER
    return _CODES.get((asc, ascq)) or _KEYS.get(key, _OTHER)
