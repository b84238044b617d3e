"""An iSCSI target that answers whatever a test tells it: what no real one can be made to say (RFC 7143)."""

from __future__ import annotations

import socket
import struct
import threading
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

LOGIN, COMMAND, LOGOUT = 0x03, 0x01, 0x06
GOOD = (0x00, b"")


def sense(key: int, asc: int, ascq: int) -> tuple[int, bytes]:
    """CHECK CONDITION with fixed format sense data."""
    return 0x02, bytes([0x70, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, asc, ascq, 0, 0, 0, 0])


@dataclass
class Puppet:
    """Takes one connection. `login` is its status class and detail; `statuses` end the commands, then all are GOOD."""

    login: int = 0
    statuses: deque[tuple[int, bytes]] = field(default_factory=deque)
    cdbs: list[bytes] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.portal = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        line, _ = self._listener.accept()
        with line:
            self._numbers = [0, 0]  # StatSN, ExpCmdSN
            while header := line.recv(48, socket.MSG_WAITALL):
                length = int.from_bytes(header[5:8], "big")
                if length:
                    line.recv(length + -length % 4, socket.MSG_WAITALL)
                line.sendall(self._answer(header))
                if header[0] & 0x3F == LOGOUT:
                    return

    def _answer(self, asked: bytes) -> bytes:
        verb = asked[0] & 0x3F
        if not asked[0] & 0x40:  # not for immediate delivery: it counts
            self._numbers[1] = int.from_bytes(asked[24:28], "big") + 1
        if verb == LOGIN:
            self._numbers[1] = int.from_bytes(asked[24:28], "big")
            tail = struct.pack(">BB10x", self.login >> 8, self.login & 0xFF)
            return self._pdu(0x23, asked[1], b"\0\0", asked[8:14] + b"\0\1", asked[16:20], b"\0" * 4, tail)
        if verb == COMMAND:
            return self._end(asked)
        return self._pdu(0x20 | verb, 0x80, b"\0\0", b"\0" * 8, asked[16:20], b"\0" * 4, b"\0" * 12)

    def _end(self, asked: bytes) -> bytes:
        self.cdbs.append(asked[32:48])
        status, told = self.statuses.popleft() if self.statuses else GOOD
        wanted = int.from_bytes(asked[20:24], "big")
        if status == 0 and asked[1] & 0x40:  # a read: zeros, with the status in the same PDU
            tail = b"\0" * 12
            return self._pdu(0x25, 0x81, b"\0\0", b"\0" * 8, asked[16:20], b"\xff" * 4, tail, bytes(wanted))
        data = struct.pack(">H", len(told)) + told if told else b""
        return self._pdu(0x21, 0x80, bytes([0, status]), b"\0" * 8, asked[16:20], b"\0" * 4, b"\0" * 12, data)

    def _pdu(  # noqa: PLR0917 - a PDU has as many fields
        self, verb: int, flags: int, third: bytes, lun: bytes, task: bytes, transfer: bytes, tail: bytes,
        data: bytes = b"",
    ) -> bytes:  # fmt: skip
        status_number, expected = self._numbers
        self._numbers[0] += 1
        numbers = struct.pack(">III", status_number, expected, expected + 64)
        header = bytes([verb, flags]) + third + len(data).to_bytes(4, "big") + lun + task + transfer + numbers + tail
        assert len(header) == 48
        return header + data + b"\0" * (-len(data) % 4)
