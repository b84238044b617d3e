"""A TCP connection to a portal that can be looked at, and cut: a proxy on this machine."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from pyvmiscsi.names import LunAddress, Portal

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no seconds: close(2) then sends RST


class Wire:
    """Whoever connects to `portal` is passed on; what goes through in either direction is counted."""

    def __init__(self, listener: socket.socket, to: Portal) -> None:
        self.connections = 0
        """How many there were so far."""
        self.portal = Portal("127.0.0.1", listener.getsockname()[1])
        self._listener = listener
        self._to = to
        self._lock = threading.Lock()
        self._bytes = 0
        self._ends: list[socket.socket] = []

    def address(self, lun: LunAddress) -> LunAddress:
        """The same LUN, over this wire."""
        return replace(lun, portal=self.portal)

    def url(self, lun: LunAddress) -> str:
        """The same, as QEMU names it."""
        return f"iscsi://{self.portal}/{lun.target}/{lun.lun}"

    def count(self) -> int:
        """How many bytes went through since it was last asked."""
        with self._lock:
            count, self._bytes = self._bytes, 0
            return count

    def reset(self) -> None:
        """End every connection with a RST, on both sides."""
        with self._lock:
            ends, self._ends = self._ends, []
        for end in ends:
            with contextlib.suppress(OSError):  # the other side was quicker
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                end.shutdown(socket.SHUT_RD)  # wakes the thread that reads from it
        for end in ends:
            end.close()

    def serve(self) -> None:
        """Take connections until the listener is shut down."""
        with contextlib.suppress(OSError):
            while True:
                ours, _ = self._listener.accept()
                theirs = socket.create_connection((self._to.host, self._to.port))
                self.connections += 1
                with self._lock:
                    self._ends += (ours, theirs)
                for source, sink in ((ours, theirs), (theirs, ours)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        buffer = memoryview(bytearray(1 << 20))
        with contextlib.suppress(OSError):
            while count := source.recv_into(buffer):
                sink.sendall(buffer[:count])
                with self._lock:
                    self._bytes += count
            sink.shutdown(socket.SHUT_WR)


@contextmanager
def to(portal: Portal) -> Iterator[Wire]:
    """A wire to this portal, for the length of the block."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wire = Wire(listener, portal)
        thread = threading.Thread(target=wire.serve)
        thread.start()
        try:
            yield wire
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes accept(2)
            thread.join(10)
            wire.reset()
