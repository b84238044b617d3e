"""TCP ports for programs that cannot be asked which one they got."""

from __future__ import annotations

import random
import socket

_LOWEST, _HIGHEST = 15000, 31999
"""Below Linux's ephemeral ports (32768 and up, ip(7)), so that no outgoing connection takes one in between."""


_DRAW = random.SystemRandom()
"""Processes that were seeded alike would all draw the same port."""


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens now."""
    for _ in range(100):
        port = _DRAW.randint(_LOWEST, _HIGHEST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no free port")
