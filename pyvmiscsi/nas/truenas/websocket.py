"""A WebSocket to a TrueNAS: texts out, texts in."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import Protocol

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from pyvmiscsi.errors import NasUnreachableError
from pyvmiscsi.nas.truenas.endpoint import CONNECT_DEADLINE, USER_AGENT, Endpoint
from pyvmiscsi.nas.truenas.shared_tls import SharedTlsSocket

KEEP_ALIVE = 20.0
"""Seconds between pings: routers forget idle connections after a minute (nas-wire.md 1.8)."""

CLOSE_DEADLINE = 2.0
"""Seconds for a farewell that nobody needs."""

_LOG = logging.getLogger("pyvmiscsi.nas.websocket")
_LOG.setLevel(logging.INFO)  # the library's debug level writes whole messages, secrets included


class WireLost(ConnectionError):  # noqa: N818 - a turn of events between two modules of this adapter
    """The connection is gone."""


class Wire(Protocol):
    """Whatever carries the messages of one connection; WireLost when it cannot."""

    def send(self, text: str) -> None: ...

    def receive(self) -> str:
        """The next message, however long it takes to come."""

    def close(self) -> None: ...


class WebSocket:
    """A `Wire` to the pinned version of the API of a real appliance."""

    def __init__(self, endpoint: Endpoint, path: str) -> None:
        """Connect; NasUnreachableError, or NasAuthError when the certificate is not the one expected."""
        with ExitStack() as stack:
            self._connection = stack.enter_context(_open(endpoint, path))
            endpoint.check_peer(self._connection.socket)
            self._stack = stack.pop_all()

    def send(self, text: str) -> None:
        try:
            self._connection.send(text)
        except ConnectionClosed as closed:
            raise WireLost(str(closed)) from closed

    def receive(self) -> str:
        try:
            text = self._connection.recv()
        except ConnectionClosed as closed:
            raise WireLost(str(closed)) from closed
        return text if isinstance(text, str) else text.decode()

    def close(self) -> None:
        self._stack.close()


def _open(endpoint: Endpoint, path: str) -> ClientConnection:
    context = endpoint.context()
    if context is not None:
        context.sslsocket_class = SharedTlsSocket  # the library reads in a thread of its own
    try:
        return connect(
            endpoint.url("ws", path),
            ssl=context,
            compression=None,  # answers are short, and a nas is near
            proxy=None,  # a nas is near
            open_timeout=CONNECT_DEADLINE,
            close_timeout=CLOSE_DEADLINE,
            ping_interval=KEEP_ALIVE,
            ping_timeout=KEEP_ALIVE,
            user_agent_header=USER_AGENT,
            max_size=None,  # an answer may have 50 MB (nas-wire.md 1.8)
            logger=_LOG,
        )
    except InvalidStatus as error:
        status = error.response.status_code
        raise NasUnreachableError(
            f"nas {endpoint.name}: HTTP {status} instead of a WebSocket at {path}",
            hint="the nas redirects to https: write https:// in url" if 300 <= status < 400 else "",
        ) from error
    except (InvalidHandshake, OSError) as error:
        raise endpoint.unreachable(error) from error
