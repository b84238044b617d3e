"""A wire between an initiator and a target, on which bits can be made to flip."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Iterator


class Relay:
    """Takes one connection and passes it on; `spoil` sees all that comes from the target, and may change it."""

    def __init__(self, to: tuple[str, int]) -> None:
        self._to = to
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.portal = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.spoil: Callable[[bytes], bytes] = lambda data: data

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            near, _ = self._listener.accept()
            with near, socket.create_connection(self._to) as far:
                while True:
                    for ready in select.select([near, far], [], [])[0]:
                        data = ready.recv(1 << 20)
                        if not data:
                            return
                        (near if ready is far else far).sendall(self.spoil(data) if ready is far else data)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextlib.contextmanager
def relayed(host: str, port: int) -> Iterator[Relay]:
    relay = Relay((host, port))
    thread = threading.Thread(target=relay.serve)
    thread.start()
    try:
        yield relay
    finally:
        relay.close()
        thread.join(10)


def flipped(data: bytes, at: int) -> bytes:
    """One bit of a byte, the other way round."""
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]
