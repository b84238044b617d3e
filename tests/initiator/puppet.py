"""An iSCSI target that answers whatever a test tells it: what no real one can be made to say (RFC 7143)."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

NOP_OUT, COMMAND, LOGIN, LOGOUT = 0x00, 0x01, 0x03, 0x06
NOBODY = b"\xff" * 4  # the tag of what answers nothing
GOOD = (0x00, b"")

Answer = tuple[int, bytes]
"""A SCSI status and sense data."""


def sense(key: int, asc: int, ascq: int) -> Answer:
    """CHECK CONDITION with fixed format sense data."""
    return 0x02, bytes([0x70, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, asc, ascq, 0, 0, 0, 0])


@dataclass
class Disk:
    """A small disk for a puppet: it knows the commands that an initiator needs, and takes 8 sectors at once."""

    data: bytearray = field(default_factory=lambda: bytearray(32 * 1024))
    serial: str = "S0"
    sector: int = 512

    def answer(self, cdb: bytes, sent: bytes) -> bytes | Answer:
        """What comes back: data, or how it ended."""
        verb, last = cdb[0], len(self.data) // self.sector - 1
        if verb in (0x88, 0x8A):
            return self._move(int.from_bytes(cdb[2:10], "big"), int.from_bytes(cdb[10:14], "big"), sent)
        if verb in (0x28, 0x2A):
            return self._move(int.from_bytes(cdb[2:6], "big"), int.from_bytes(cdb[7:9], "big"), sent)
        if verb == 0x12:
            return self._inquiry(cdb[2]) if cdb[1] & 1 else bytes(8).ljust(36, b" ")
        if verb in (0x9E, 0x25):
            return struct.pack(">QI20x" if verb == 0x9E else ">II", last, self.sector)
        return GOOD if verb in (0x00, 0x35, 0x91) else sense(5, 0x20, 0)

    def _move(self, first: int, count: int, sent: bytes) -> bytes | Answer:
        place = slice(first * self.sector, (first + count) * self.sector)
        if place.stop > len(self.data):
            return sense(5, 0x21, 0)
        if sent:
            self.data[place] = sent
            return GOOD
        return bytes(self.data[place])

    def _inquiry(self, page: int) -> bytes | Answer:
        if page == 0x80:
            return struct.pack(">BBH", 0, page, len(self.serial)) + self.serial.encode()
        if page == 0xB0:
            return struct.pack(">BBH4xI52x", 0, page, 60, 8)
        return sense(5, 0x24, 0)


@dataclass
class Puppet:
    """Takes connections, one after the other.

    `login` is its status class and detail, `login_text` what it says with it; `statuses` end the commands, then all
    are GOOD, and reads bring zeros. With a `disk` that answers; `refuse` may end a command before, knowing its CDB.
    After the login it asks with each of `pings` whether the initiator lives; what came back is in `pongs`.
    """

    login: int = 0
    login_text: str = ""
    statuses: deque[Answer] = field(default_factory=deque)
    disk: Disk | None = None
    refuse: Callable[[bytes], Answer | None] = lambda _cdb: None
    address: str = "127.0.0.1"
    pings: tuple[bytes, ...] = ()
    pongs: list[bytes] = field(default_factory=list)
    isids: list[bytes] = field(default_factory=list)
    cdbs: list[bytes] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """The text of each login request."""

    def __enter__(self) -> Self:
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        self._listener = socket.create_server((self.address, 0), family=family)
        host = f"[{self.address}]" if ":" in self.address else self.address
        self.portal = f"{host}:{self._listener.getsockname()[1]}"
        self._line: socket.socket | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # which ends a waiting accept
        self._listener.close()
        self._thread.join(60)
        assert not self._thread.is_alive()

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        assert self._line is not None
        self._line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._ended.clear()
        self._line.shutdown(socket.SHUT_RD)  # its reader goes, and closes it
        assert self._ended.wait(60)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # the listener was closed
            while True:
                self._line, _ = self._listener.accept()
                with self._line, contextlib.suppress(OSError):
                    self._talk(self._line)
                self._ended.set()

    def _talk(self, line: socket.socket) -> None:
        self._numbers = [0, 0]  # StatSN, ExpCmdSN
        while header := line.recv(48, socket.MSG_WAITALL):
            length = int.from_bytes(header[5:8], "big")
            data = line.recv(length + -length % 4, socket.MSG_WAITALL)[:length] if length else b""
            line.sendall(self._answer(header, data))
            if header[0] & 0x3F == LOGIN and header[1] & 0x83 == 0x83:  # on to the full feature phase
                line.sendall(b"".join(map(self._ping, self.pings)))
            if header[0] & 0x3F == LOGOUT:
                return

    def _answer(self, asked: bytes, data: bytes) -> bytes:
        verb = asked[0] & 0x3F
        if not asked[0] & 0x40:  # not for immediate delivery: it counts
            self._numbers[1] = int.from_bytes(asked[24:28], "big") + 1
        if verb == NOP_OUT:
            self.pongs.append(asked[20:24])
            return b""
        if verb == LOGIN:
            self.isids.append(asked[8:14])
            self.asked.append(data.decode().replace("\0", "\n"))
            self._numbers[1] = int.from_bytes(asked[24:28], "big")
            tail = struct.pack(">BB10x", self.login >> 8, self.login & 0xFF)
            text = f"{self.login_text}\0".encode() if self.login_text else b""
            return self._pdu(0x23, asked[1], b"\0\0", asked[8:14] + b"\0\1", asked[16:20], b"\0" * 4, tail, text)
        if verb == COMMAND:
            return self._end(asked, data)
        return self._pdu(0x20 | verb, 0x80, b"\0\0", b"\0" * 8, asked[16:20], b"\0" * 4, b"\0" * 12)

    def _ping(self, tag: bytes) -> bytes:
        asked = self._pdu(0x20, 0x80, b"\0\0", b"\0" * 8, NOBODY, tag, b"\0" * 12)
        self._numbers[0] -= 1  # with this initiator task tag it does not count
        return asked

    def _end(self, asked: bytes, data: bytes) -> bytes:
        cdb = asked[32:48]
        self.cdbs.append(cdb)
        wanted = int.from_bytes(asked[20:24], "big")
        ended = self.refuse(cdb) or (self.statuses.popleft() if self.statuses else None)
        if ended is None and self.disk is not None:
            told = self.disk.answer(cdb, data)
            ended = GOOD if isinstance(told, bytes) else told
        else:
            told = bytes(wanted)
        status, why = ended or GOOD
        if status == 0 and asked[1] & 0x40:  # a read: its data, with the status in the same PDU
            told = told[:wanted] if isinstance(told, bytes) else b""
            short = wanted - len(told)
            tail = struct.pack(">III", 0, 0, short)
            flags = 0x81 | (0x02 if short else 0)
            return self._pdu(0x25, flags, b"\0\0", b"\0" * 8, asked[16:20], b"\xff" * 4, tail, told)
        said = struct.pack(">H", len(why)) + why if why else b""
        return self._pdu(0x21, 0x80, bytes([0, status]), b"\0" * 8, asked[16:20], b"\0" * 4, b"\0" * 12, said)

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
