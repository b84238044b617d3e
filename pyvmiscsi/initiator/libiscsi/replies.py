"""What libiscsi calls back: one note for each asynchronous call that was begun."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

from pyvmiscsi.initiator.libiscsi.library import Library

NOT_YET = -1
CANCELLED = 0x0F00_0000
"""SCSI_STATUS_CANCELLED; this and all statuses above are libiscsi's own, no target's."""


class Reply:
    """What came back for one call, or `NOT_YET`. `read` takes what only lives as long as the callback."""

    __slots__ = ("answer", "buffer", "error", "owner", "read", "status", "task", "token")

    def __init__(self, owner: object, read: Callable[[Any], Any] | None = None) -> None:
        self.owner = owner
        self.token = next(_tokens)
        self.status = NOT_YET
        self.read = read
        self.answer: Any = None
        self.error = ""
        self.task: Any = None
        self.buffer: Any = None

    @property
    def is_there(self) -> bool:
        return self.status != NOT_YET


_tokens = itertools.count(1)
_expected: dict[int, Reply] = {}


def expect(reply: Reply) -> None:
    """Keep it, and with it the memory that libiscsi reads or writes meanwhile, until it is called back."""
    _expected[reply.token] = reply


def forget(reply: Reply) -> None:
    """It will not be called back: the call could not even be begun."""
    _expected.pop(reply.token, None)


def forget_all(owner: object) -> None:
    """Nothing of its context, which is no more, will be called back."""
    for reply in tuple(_expected.values()):
        if reply.owner is owner:
            forget(reply)


@functools.cache
def callback(library: Library) -> Any:
    """The one C function that libiscsi calls back, for all contexts and threads; it takes notes, and never raises.

    Replies are found by number, because a connection calls back a second time when it breaks, long after anybody
    waits for it. One way for every libiscsi: a NULL callback would save a microsecond a command, but only some
    releases allow for it.
    """
    ffi, lib = library.ffi, library.lib

    def note(context: Any, status: int, data: Any, token: Any) -> None:
        reply = _expected.pop(int(ffi.cast("intptr_t", token)), None)
        if reply is None:
            return
        if status == 0 and reply.read is not None:
            reply.answer = reply.read(data)
        if status >= CANCELLED:  # read here: libiscsi soon writes over it
            reply.error = ffi.string(lib.iscsi_get_error(context)).decode(errors="replace").strip()
        reply.status = status

    return ffi.callback("iscsi_command_cb", note)


def waiting() -> int:
    """How many calls have not been called back, in all contexts of this process."""
    return len(_expected)
