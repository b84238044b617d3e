"""A TLS socket that one thread reads while another writes.

The WebSocket library reads in a thread of its own, and OpenSSL allows no two calls on one connection at once; CPython
keeps them apart only since 3.13.4 (gh-134698). Before that, a session ticket of TLS 1.3 that is read while the first
request is written makes the request vanish: seen once in about a thousand connections to a server on the same machine,
and the connection then hangs for ever.
"""

from __future__ import annotations

import select
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

_NOT_NOW = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
_GLANCE_MS = 500
"""How long a wait for the network lasts before it looks whether the socket was closed meanwhile."""


class SharedTlsSocket(ssl.SSLSocket):
    """For `SSLContext.sslsocket_class`: every read and write takes its turn, and nobody waits during it."""

    _turn: threading.RLock
    _patience: float | None
    """The timeout as set; the socket's own is 0 while somebody reads or writes."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        self = super().__new__(cls, *args, **kwargs)
        self._turn = threading.RLock()
        self._patience = None
        return self

    @contextmanager
    def _at_once(self) -> Iterator[None]:
        """Alone with the connection, and without waiting for the network."""
        with self._turn:
            super().settimeout(0)
            try:
                yield
            finally:
                if self.fileno() >= 0:
                    super().settimeout(self._patience)

    def settimeout(self, value: float | None) -> None:
        with self._turn:
            self._patience = value
            super().settimeout(value)

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Some bytes; none at all when the other end, or another thread here, closed the connection."""
        end = self._end()
        while self.fileno() >= 0:
            try:
                with self._at_once():
                    return super().recv(buflen, flags)
            except _NOT_NOW:
                self._wait(select.POLLIN, end)
            except (OSError, ValueError):
                if self.fileno() < 0:  # closed between two looks
                    break
                raise
        return b""

    def sendall(self, data: Any, flags: int = 0) -> None:
        end = self._end()
        with memoryview(data) as view, view.cast("B") as left:
            sent = 0
            while sent < len(left):
                try:
                    with self._at_once():
                        sent += super().send(left[sent:], flags)
                except _NOT_NOW:
                    self._wait(select.POLLOUT, end)

    def _end(self) -> float | None:
        return None if self._patience is None else time.monotonic() + self._patience

    def _wait(self, event: int, end: float | None) -> None:
        """Until the network is ready, or for a glance; TimeoutError after the socket's own timeout."""
        left = None if end is None else end - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError("timed out")
        descriptor = self.fileno()
        if descriptor < 0:
            return
        poller = select.poll()
        poller.register(descriptor, event)
        poller.poll(_GLANCE_MS if left is None else min(_GLANCE_MS, left * 1000))
