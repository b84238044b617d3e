"""A disk that qemu-nbd serves on a local socket: read or written from end to end, many requests at once."""

from __future__ import annotations

import itertools
import socket
from collections import deque
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from pyvmiscsi.errors import ImageError
from pyvmiscsi.images.qemu import nbd_text as text

DEPTH = 16
SILENCE_SECONDS = 60.0
_LONGEST_REPLY = 64 * 1024
"""Of those that hold no data."""


class Served:
    """The export of a server; `name` is what it is called in messages. For one thread at a time.

    ImageError from every method when the server says that something went wrong, or says nothing any more.
    """

    def __init__(self, connected: socket.socket, name: str) -> None:
        self._socket = connected
        self._socket.settimeout(SILENCE_SECONDS)
        self._name = name
        self._cookies = itertools.count(1)
        self._reading: dict[int, tuple[int, memoryview]] = {}
        self._ended: set[int] = set()
        self._how = 0
        self.size = self._negotiate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def ask(self, offset: int, into: memoryview) -> int:
        """Ask for the bytes from `offset` that fill `into`, which is zero and stays as it is where the disk is.

        Answers the command, for `finish`. At most `DEPTH` of them may be unfinished.
        """
        cookie = next(self._cookies)
        self._reading[cookie] = (offset, into)
        self._send(text.request(text.READ, cookie, offset, len(into), self._how))
        return cookie

    def finish(self, command: int) -> None:
        """Wait until all of what the command asked for is there."""
        self._finish(command)
        del self._reading[command]

    def write_all(self, pieces: Iterable[tuple[int, bytes | bytearray]]) -> None:
        """Write pieces of offset and data, then have the server put them into its file and let go of it."""
        asked: deque[int] = deque()
        for offset, data in pieces:
            if len(asked) == DEPTH:
                self._finish(asked.popleft())
            asked.append(next(self._cookies))
            self._send(text.request(text.WRITE, asked[-1], offset, len(data)), data)
        asked.append(next(self._cookies))
        for cookie in asked:
            if cookie == asked[-1]:
                self._send(text.request(text.FLUSH, cookie))
            self._finish(cookie)
        self._send(text.request(text.DISCONNECT, next(self._cookies)))

    # negotiation

    def _negotiate(self) -> int:
        """Agree on structured replies; how many bytes the export has."""
        *magics, _ = text.HELLO.unpack(self._take(text.HELLO.size))
        if tuple(magics) != text.HELLO_MAGICS:
            raise ImageError(f"{self._name}: what answers is no NBD server")
        self._send(text.CLIENT_FLAGS, text.option(text.STRUCTURED_REPLIES), text.go())
        self._answer()
        size: int | None = None
        while (answer := self._answer()) is not None:
            if len(answer) == text.INFO_EXPORT.size and answer[:2] == b"\0\0":
                _, size, flags = text.INFO_EXPORT.unpack(answer)
                # Compressed clusters would come one by one, each in a reply of its own and after the one before.
                self._how = text.IN_ONE_PIECE if flags & text.CAN_IN_ONE_PIECE else 0
        if size is None:
            raise ImageError(f"{self._name}: the NBD server does not say how large it is")
        return size

    def _answer(self) -> bytes | None:
        """What an answer to an option says; None when the option is agreed."""
        magic, option, kind, length = text.OPTION_REPLY.unpack(self._take(text.OPTION_REPLY.size))
        if length > _LONGEST_REPLY:
            raise self._not_nbd()
        body = bytes(self._take(length))
        if magic != text.OPTION_REPLY_MAGIC or kind & text.IS_ERROR:
            raise ImageError(f"{self._name}: the NBD server refuses option {option}: {body.decode(errors='replace')}")
        return None if kind == text.ACKNOWLEDGED else body

    # replies

    def _finish(self, cookie: int) -> None:
        """Take replies until this command has ended."""
        while cookie not in self._ended:
            self._reply()
        self._ended.remove(cookie)

    def _reply(self) -> None:
        (magic,) = text.MAGIC.unpack(self._take(text.MAGIC.size))
        if magic == text.SIMPLE_MAGIC:
            number, cookie = text.SIMPLE_REST.unpack(self._take(text.SIMPLE_REST.size))
            if number:
                raise ImageError(f"{self._name}: error {number}")
            self._ended.add(cookie)
            return
        flags, kind, cookie, length = text.STRUCTURED_REST.unpack(self._take(text.STRUCTURED_REST.size))
        least = text.DATA_HEAD.size if kind == text.DATA else text.ERROR_HEAD.size if kind & text.ERROR else 0
        if magic != text.STRUCTURED_MAGIC or length < least or (kind != text.DATA and length > _LONGEST_REPLY):
            raise self._not_nbd()
        if kind == text.DATA:
            (offset,) = text.DATA_HEAD.unpack(self._take(text.DATA_HEAD.size))
            self._take_into(self._place(cookie, offset, length - text.DATA_HEAD.size))
        elif kind & text.ERROR:
            raise ImageError(f"{self._name}: {text.error_text(bytes(self._take(length)))}")
        else:  # a hole, which the buffer is already, or nothing
            self._take(length)
        if flags & text.LAST:
            self._ended.add(cookie)

    def _place(self, cookie: int, offset: int, length: int) -> memoryview:
        """Where data of a read belongs."""
        at, view = self._reading.get(cookie, (0, memoryview(b"")))
        start = offset - at
        if length < 0 or start < 0 or start + length > len(view):
            raise ImageError(f"{self._name}: qemu-nbd sends what nobody asked for")
        return view[start : start + length]

    # the socket

    def _send(self, *parts: bytes | bytearray) -> None:
        try:
            for part in parts:
                self._socket.sendall(part)
        except OSError as error:
            raise self._lost(error) from error

    def _take(self, length: int) -> bytearray:
        taken = bytearray(length)
        self._take_into(memoryview(taken))
        return taken

    def _take_into(self, view: memoryview) -> None:
        while view:
            try:
                count = self._socket.recv_into(view)
            except OSError as error:
                raise self._lost(error) from error
            if not count:
                raise self._lost(None)
            view = view[count:]

    def _not_nbd(self) -> ImageError:
        return ImageError(f"{self._name}: a reply that NBD does not have")

    def _lost(self, error: OSError | None) -> ImageError:
        return ImageError(f"{self._name}: qemu-nbd is gone{f': {error}' if error else ''}")
