"""One thread reads a TLS connection while another writes: neither holds up the other, and nothing vanishes."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pyvmiscsi.lab.appliance.authority import make_certificates
from pyvmiscsi.nas.truenas.shared_tls import SharedTlsSocket


class Echo:
    """A TLS 1.3 server that sends back what it gets; it sends two session tickets first, as servers do."""

    def __init__(self, directory: Path) -> None:
        self._files = make_certificates(directory)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self._files.certificate, self._files.key)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection, self._context.wrap_socket(connection, server_side=True) as peer:
                while data := peer.recv(65536):
                    peer.sendall(data)

    def connect(self) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=self._files.ca)
        context.sslsocket_class = SharedTlsSocket
        return context.wrap_socket(socket.create_connection(self._listening.getsockname()), server_hostname="127.0.0.1")

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(10)


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[Echo]:
    server = Echo(tmp_path)
    yield server
    server.close()


def received(connection: ssl.SSLSocket, length: int) -> bytes:
    data = b""
    while len(data) < length and (more := connection.recv(65536)):
        data += more
    return data


def test_a_reader_that_waits_does_not_hold_up_a_writer(echo: Echo) -> None:
    with echo.connect() as connection, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(received, connection, 5)
        connection.sendall(b"hello")
        assert answer.result(60) == b"hello"


def test_nothing_vanishes_of_much_that_goes_both_ways(echo: Echo) -> None:
    data = bytes(range(256)) * 16384
    with echo.connect() as connection, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(received, connection, len(data))
        connection.sendall(data)
        assert answer.result(60) == data


def test_every_first_message_arrives_whatever_else_does(echo: Echo) -> None:
    for number in range(50):
        with echo.connect() as connection, ThreadPoolExecutor(1) as pool:
            answer = pool.submit(received, connection, 6)
            connection.sendall(b"%06d" % number)
            assert answer.result(60) == b"%06d" % number


def test_the_timeout_is_kept(echo: Echo) -> None:
    with echo.connect() as connection:
        connection.settimeout(0.05)
        with pytest.raises(TimeoutError):
            connection.recv(1)


def test_closing_ends_a_reader_that_waits(echo: Echo) -> None:
    connection = echo.connect()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(connection.recv, 1)
        connection.close()
        assert waiting.result(60) == b""
