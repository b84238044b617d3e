"""Whatever an NBD server says that is no data is one clear error."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.errors import ImageError
from pyvmiscsi.images.qemu import nbd_text as text
from pyvmiscsi.images.qemu.nbd import Served

HELLO = text.HELLO.pack(*text.HELLO_MAGICS, 3)
SIZE = 1 << 20


def answer(option: int, kind: int, data: bytes = b"") -> bytes:
    return text.OPTION_REPLY.pack(text.OPTION_REPLY_MAGIC, option, kind, len(data)) + data


AGREED = (
    HELLO
    + answer(text.STRUCTURED_REPLIES, text.ACKNOWLEDGED)
    + answer(text.GO, text.EXPORT_INFO, text.INFO_EXPORT.pack(0, SIZE, 1))
    + answer(text.GO, text.ACKNOWLEDGED)
)


def chunk(cookie: int, kind: int, body: bytes, *, last: bool = True) -> bytes:
    head = text.STRUCTURED_REST.pack(text.LAST if last else 0, kind, cookie, len(body))
    return text.MAGIC.pack(text.STRUCTURED_MAGIC) + head + body


@contextmanager
def server(greeting: bytes, reply: Callable[[int, int, int], bytes]) -> Iterator[socket.socket]:
    """A server that greets, and answers each read (cookie, offset, length), until it has nothing to say any more."""
    ours, its = socket.socketpair()

    def serve() -> None:
        with its, its.makefile("rb") as requests, contextlib.suppress(ConnectionError):  # the client leaves on errors
            its.sendall(greeting)
            requests.read(len(text.CLIENT_FLAGS + text.option(text.STRUCTURED_REPLIES) + text.go()))
            while asked := requests.read(text.REQUEST.size):
                _, _, _, cookie, offset, length = text.REQUEST.unpack(asked)
                said = reply(cookie, offset, length)
                if not said:
                    return
                its.sendall(said)

    thread = threading.Thread(target=serve)
    thread.start()
    with ours:
        yield ours
    thread.join(10)
    assert not thread.is_alive()


def read(greeting: bytes, reply: Callable[[int, int, int], bytes]) -> bytes:
    with server(greeting, reply) as connection, Served(connection, "image disk") as export:
        buffer, commands = bytearray(SIZE), []
        for start in range(0, SIZE, SIZE // 4):
            commands.append(export.ask(start, memoryview(buffer)[start : start + SIZE // 4]))
        for command in commands:
            export.finish(command)
        return bytes(buffer)


def test_data_and_holes_are_put_in_their_places() -> None:
    def reply(cookie: int, offset: int, length: int) -> bytes:
        half = length // 2
        return (
            chunk(cookie, text.DATA, text.DATA_HEAD.pack(offset + half) + b"x" * half, last=False)
            + chunk(cookie, text.HOLE, text.HOLE_BODY.pack(offset, half), last=False)
            + chunk(cookie, text.NOTHING, b"")
        )

    assert read(AGREED, reply) == (bytes(SIZE // 8) + b"x" * (SIZE // 8)) * 4


@pytest.mark.parametrize("known", [True, False])
def test_a_read_is_answered_in_one_piece_where_the_server_knows_how(known: bool) -> None:
    ours, its = socket.socketpair()
    with its, ours:
        flags = text.CAN_IN_ONE_PIECE if known else 0
        its.sendall(AGREED.replace(text.INFO_EXPORT.pack(0, SIZE, 1), text.INFO_EXPORT.pack(0, SIZE, 1 | flags)))
        with Served(ours, "image disk") as export:
            export.ask(0, memoryview(bytearray(4096)))
        with its.makefile("rb") as sent:
            asked = text.REQUEST.unpack(sent.read()[-text.REQUEST.size :])
    assert asked[1:3] == (text.IN_ONE_PIECE if known else 0, text.READ)


@pytest.mark.parametrize(
    ("body", "said"),
    [(text.ERROR_HEAD.pack(5, 8) + b"it broke", "it broke"), (text.ERROR_HEAD.pack(5, 0), "error 5")],
    ids=["in words", "by number"],
)
def test_says_what_the_server_says(body: bytes, said: str) -> None:
    with pytest.raises(ImageError, match=f"image disk: {said}"):
        read(AGREED, lambda cookie, _offset, _length: chunk(cookie, text.ERROR | 1, body))


def test_a_server_that_goes_is_an_error() -> None:
    with pytest.raises(ImageError, match="image disk: qemu-nbd is gone"):
        read(AGREED, lambda _cookie, _offset, _length: b"")


def test_a_simple_error_is_an_error() -> None:
    with pytest.raises(ImageError, match="error 5"):
        read(AGREED, lambda cookie, *_: text.MAGIC.pack(text.SIMPLE_MAGIC) + text.SIMPLE_REST.pack(5, cookie))


@pytest.mark.parametrize(
    ("greeting", "said"),
    [
        (b"HTTP/1.1 400 Bad Request", "no NBD server"),
        (HELLO + answer(text.STRUCTURED_REPLIES, text.IS_ERROR | 1, b"not here"), "refuses option 8: not here"),
        (AGREED[: len(HELLO) + 20] + answer(text.GO, text.ACKNOWLEDGED), "does not say how large"),
        (HELLO + struct.pack(">QIII", 1, 8, 1, 0), "refuses option 8"),
    ],
    ids=["a web server", "a refusal", "no size", "no NBD"],
)
def test_another_greeting_is_an_error(greeting: bytes, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        read(greeting, lambda *_: b"")


def test_data_for_nobody_is_an_error() -> None:
    with pytest.raises(ImageError, match="nobody asked for"):
        read(AGREED, lambda cookie, *_: chunk(cookie + 1000, text.DATA, text.DATA_HEAD.pack(0) + b"x"))
    with pytest.raises(ImageError, match="nobody asked for"):
        read(AGREED, lambda cookie, *_: chunk(cookie, text.DATA, text.DATA_HEAD.pack(SIZE) + b"x"))


def test_a_reply_without_end_is_an_error() -> None:
    def endless(cookie: int, *_: int) -> bytes:
        return text.MAGIC.pack(text.STRUCTURED_MAGIC) + text.STRUCTURED_REST.pack(0, text.HOLE, cookie, 1 << 31)

    with pytest.raises(ImageError, match="a reply that NBD does not have"):
        read(AGREED, endless)


replies = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.builds(
            lambda cookie, kind, body, last: chunk(cookie, kind, body, last=last),
            st.integers(1, 5),
            st.sampled_from([text.NOTHING, text.DATA, text.HOLE, text.ERROR | 1, 7]),
            st.binary(max_size=30) | st.builds(text.DATA_HEAD.pack, st.integers(0, 2 * SIZE)),
            st.booleans(),
        ),
    ),
    max_size=6,
).map(b"".join)


@given(greeting=st.just(AGREED) | st.binary(max_size=120) | st.binary(max_size=40).map(HELLO.__add__), said=replies)
def test_any_bytes_are_a_disk_or_one_error(greeting: bytes, said: bytes) -> None:
    ours, its = socket.socketpair()
    with its, ours, contextlib.suppress(ImageError):
        its.sendall(greeting + said)
        its.shutdown(socket.SHUT_WR)
        with Served(ours, "image disk") as export:
            for offset in range(0, 4 * 4096, 4096):
                export.finish(export.ask(offset, memoryview(bytearray(4096))))
