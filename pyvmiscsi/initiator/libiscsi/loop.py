"""One libiscsi context and its socket, driven by a poll loop of our own.

How it is built, and why:

- One context per object. A lock lets one thread in at a time; `close()` from another thread ends what that one
  waits for. cffi releases the GIL around every call into the library.
- Only asynchronous calls: libiscsi's `*_sync` calls can hang for ever, and its own timeouts do not cover a
  reconnect. Every wait here has a deadline.
- libiscsi never reconnects by itself (`noautoreconnect`): a lost connection ends everything with
  SessionLostError, and whoever holds the session decides.
- A task that misses its deadline ends the session as well, because the target may go on writing into its buffer
  until the connection is closed.
"""

from __future__ import annotations

import math
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from pyvmiscsi.errors import DeadlineError, LoginError, SessionLostError
from pyvmiscsi.initiator.libiscsi.library import Library
from pyvmiscsi.initiator.libiscsi.nouns import LibraryFaultError
from pyvmiscsi.initiator.libiscsi.replies import Reply, callback, expect, forget, forget_all
from pyvmiscsi.waiting import heed

_GONE = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)
_ANSWER_TRIES, _ANSWER_WAIT = 10, 0.1  # an answer to a ping goes out at once, unless the network is full

_HEED_SECONDS = 0.5
"""How often it is asked whether somebody wants to stop."""

_OWN_FAULT = "outqueue[0]->cmdsn < expcmdsn"


class CallError(Exception):
    """An asynchronous call failed; the text is libiscsi's."""


class Loop:
    """A context from its making to its end; `name` is what it is called in messages."""

    def __init__(self, library: Library, initiator: str, name: str) -> None:
        self._name = name
        self._ffi, self._lib = library.ffi, library.lib
        self._done = callback(library)
        self._lock = threading.Lock()
        self._closing = False
        self._lost = ""
        self._context: Any = self._lib.iscsi_create_context(initiator.encode())
        if self._context == self._ffi.NULL:
            raise LoginError(f"initiator name {initiator!r}: libiscsi refuses it", reason="Initiator error")
        self._wake_out, self._wake_in = socket.socketpair()
        self._lib.iscsi_set_noautoreconnect(self._context, 1)

    @property
    def is_alive(self) -> bool:
        """False once the session is known to be lost or closed; `tend` finds out."""
        return self._context is not None and not self._closing

    @property
    def loss(self) -> str:
        """Why it is not alive."""
        return self._lost

    def fileno(self) -> int:
        """The socket, to wait on with select or poll; SessionLostError when there is none."""
        with self._lock:
            self._check()
            return int(self._lib.iscsi_get_fd(self._context))

    def tend(self, seconds: float = 0.0) -> bool:
        """Answer the target's pings (NOP-In) for up to `seconds`, or until something came; whether it is alive.

        A target drops an initiator that does not answer: some thread must call this while no command runs,
        for instance whenever `fileno()` is readable. Waiting happens without the lock, so commands go first.
        """
        try:
            if seconds > 0:
                poll = select.poll()
                poll.register(self.fileno(), select.POLLIN | _GONE)
                poll.register(self._wake_out, select.POLLIN)
                poll.poll(math.ceil(seconds * 1000))
            with self._lock:
                self._check()
                self._service(0, lambda: False)
                for _ in range(_ANSWER_TRIES):
                    if not self._lib.iscsi_which_events(self._context) & select.POLLOUT:
                        break
                    self._service(_ANSWER_WAIT, lambda: False)
        except (SessionLostError, OSError, ValueError):
            return False
        return self.is_alive

    def _call(self, start: Callable[..., int], end: float, *, read: Callable[[Any], Any] | None = None) -> Any:
        """Start an asynchronous call and wait for its answer; CallError with libiscsi's words when it fails."""
        reply = Reply(self, read)
        expect(reply)
        if start(self._done, self._ffi.cast("void *", reply.token)) != 0:
            forget(reply)
            raise CallError(self._error_text())
        self._await([reply], end, lambda: f"{self._name}: login")
        if reply.status != 0:
            raise CallError(reply.error or f"Status: ({reply.status})")  # a redirect comes without words
        return reply.answer

    def _await(self, replies: Sequence[Reply], end: float, what: Callable[[], str]) -> None:
        def done() -> bool:
            return all(reply.is_there for reply in replies)

        while not done():
            if self._closing:
                self._destroy("closed")
                raise SessionLostError(f"{self._name}: the session was closed")
            left = end - time.monotonic()
            if left <= 0:
                why = f"{what()}: no answer in time"
                self._destroy(why)
                raise DeadlineError(why, hint="the session was closed")
            if not self._service(min(left, _HEED_SECONDS), done):
                self._heed()

    def _heed(self) -> None:
        try:
            heed()
        except BaseException:
            self._destroy("interrupted")
            raise

    def _service(self, wait: float, done: Callable[[], bool]) -> bool:
        """Wait for the socket once, and let libiscsi do what is to be done; whether there was anything."""
        lib, context = self._lib, self._context
        fd = lib.iscsi_get_fd(context)
        poll = select.poll()
        poll.register(fd, lib.iscsi_which_events(context) | _GONE)
        poll.register(self._wake_out, select.POLLIN)
        ready = dict(poll.poll(math.ceil(wait * 1000))).get(fd, 0)
        if not ready:
            return False
        known = select.POLLIN | select.POLLOUT | select.POLLHUP | select.POLLERR
        if lib.iscsi_service(context, ready & known) != 0:
            lost = self._lose(self._error_text())
            if not done():
                raise lost
        elif ready & _GONE and not done() and _has_ended(fd):
            raise self._lose("the target closed the connection")
        return True

    def _check(self) -> None:
        if self._context is None or self._closing:
            kind = LibraryFaultError if _OWN_FAULT in self._lost else SessionLostError
            raise kind(f"{self._name}: the session is gone: {self._lost or 'closed'}")

    def _lose(self, why: str) -> SessionLostError:
        self._destroy(why)
        kind = LibraryFaultError if _OWN_FAULT in self._lost else SessionLostError
        return kind(f"{self._name}: the session was lost: {self._lost}")

    def _destroy(self, why: str) -> None:
        """Close the connection and free the context; everything in flight is called back as cancelled."""
        if self._context is not None:
            context, self._context = self._context, None
            self._lost = why
            self._lib.iscsi_destroy_context(context)
            forget_all(self)  # releases before 1.19 do not call back all of it

    def _error_text(self) -> str:
        if self._context is None:
            return self._lost
        return bytes(self._ffi.string(self._lib.iscsi_get_error(self._context))).decode(errors="replace").strip()


def _has_ended(fd: int) -> bool:
    """Whether nothing more can come from this socket; what came already is left in it."""
    with socket.socket(fileno=os.dup(fd)) as peer:
        try:
            return peer.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True
