"""QEMU's monitor protocol (docs/interop/qmp-spec) over a socket that is read when there is something to read."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any


class Qmp:
    """One monitor of a QEMU that waits for `cont` (`-S`): from here on no event is missed.

    Commands are sent at once; `receive` yields what has arrived since, answers and events alike.
    """

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._unread = b""
        self.send("qmp_capabilities")
        self.send("cont")

    def fileno(self) -> int:
        return self._link.fileno()

    def send(self, command: str, **arguments: Any) -> None:
        """Ask for something; a monitor that has gone is noticed by who waits for QEMU itself."""
        order = {"execute": command, "arguments": arguments, "id": command}
        try:
            self._link.sendall(json.dumps(order).encode() + b"\n")
        except OSError:
            return

    def receive(self) -> Iterator[dict[str, Any]]:
        """The messages that are complete. Raises EOFError when QEMU has closed its end."""
        try:
            piece = self._link.recv(65536)
        except ConnectionError:
            piece = b""
        if not piece:
            raise EOFError
        *lines, self._unread = (self._unread + piece).split(b"\n")
        for line in lines:
            if line.strip():
                yield json.loads(line)

    def close(self) -> None:
        self._link.close()
