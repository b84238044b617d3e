"""The pauses of the real kernel between one sign of a login and the next (transcript b-states)."""

from __future__ import annotations

import threading

SECONDS = {
    "iscsid": 0.04,  # until iscsid(8) takes a waiting session: "Waiting for iscsid(8)"
    "login": 0.02,  # at least so long "Disconnected" before a login ends
    "probe": 0.04,  # "probe0", for every LUN
    "announce": 0.04,  # daN is listed before the console tells of it
    "node": 0.01,
    "label": 0.05,
}


class Delays:
    """The pauses, times `scale`; none lasts beyond `close`."""

    def __init__(self, scale: float) -> None:
        self._scale = scale
        self._closing = threading.Event()

    def pause(self, name: str) -> None:
        self._closing.wait(SECONDS[name] * self._scale)

    def close(self) -> None:
        self._closing.set()
