"""WebSocket frames as JSON Lines, which vcrpy cannot record.

The first line says where and when; then each call as the frame that was sent and the frame that answered it, with the
numbers of the calls counted anew. A replay finds the answer of a call by its method and parameters; each is given once,
in the order recorded. What was never recorded, and what was recorded and never asked, is an error.
"""

from __future__ import annotations

import json
import queue
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyvmiscsi.nas.truenas.websocket import Wire, WireLost
from tests.cassettes.redaction import Redactor


@dataclass
class Exchange:
    """A call and its answer, without the number that ties them together."""

    sent: dict[str, Any]
    received: dict[str, Any]
    played: bool = False


class FrameRecorder:
    """A wire that keeps what goes over another one."""

    def __init__(self, wire: Wire, redactor: Redactor, tape: list[Exchange]) -> None:
        self._wire = wire
        self._redactor = redactor
        self._tape = tape
        self._open: dict[int, dict[str, Any]] = {}

    def send(self, text: str) -> None:
        frame = json.loads(text)
        self._open[frame.pop("id")] = self._redactor.value(frame)
        self._wire.send(text)

    def receive(self) -> str:
        text = self._wire.receive()
        frame = json.loads(text)
        sent = self._open.pop(frame.pop("id", None), None)
        if sent is not None:
            self._tape.append(Exchange(sent, self._redactor.value(frame)))
        return text

    def close(self) -> None:
        self._wire.close()


class FramePlayer:
    """A wire to nowhere, which answers as it was answered when the tape was recorded."""

    def __init__(self, tape: list[Exchange]) -> None:
        self._tape = tape
        self._redactor = Redactor()
        self._incoming: queue.Queue[str | None] = queue.Queue()
        self._lock = threading.Lock()

    def send(self, text: str) -> None:
        frame = json.loads(text)
        number = frame.pop("id")
        asked = self._redactor.value(frame)
        with self._lock:
            exchange = next((one for one in self._tape if not one.played and one.sent == asked), None)
            if exchange is None:
                raise AssertionError(f"not in the cassette, or asked more often than recorded: {json.dumps(asked)}")
            exchange.played = True
        self._incoming.put(json.dumps({**exchange.received, "id": number}))

    def receive(self) -> str:
        text = self._incoming.get()
        if text is None:
            raise WireLost("the tape ended")
        return text

    def close(self) -> None:
        self._incoming.put(None)


def unplayed(tape: list[Exchange]) -> list[str]:
    """What was recorded and never asked."""
    return [json.dumps(one.sent) for one in tape if not one.played]


def save_frames(path: Path, header: dict[str, Any], tape: list[Exchange]) -> None:
    lines = [header]
    for number, exchange in enumerate(tape, start=1):
        lines += [{"sent": {**exchange.sent, "id": number}}, {"received": {**exchange.received, "id": number}}]
    path.write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in lines))


def load_frames(path: Path) -> tuple[dict[str, Any], list[Exchange]]:
    header, *lines = (json.loads(line) for line in path.read_text().splitlines())
    tape = []
    for sent, received in zip(lines[::2], lines[1::2], strict=True):
        if sent["sent"].pop("id") != received["received"].pop("id"):
            raise ValueError(f"{path}: an answer does not follow its call")
        tape.append(Exchange(sent["sent"], received["received"]))
    return header, tape
