"""Addresses of appliances, and the certificates that prove them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pyvmiscsi.errors import ConfigError, NasUnreachableError
from pyvmiscsi.model import NasRecord
from pyvmiscsi.nas.connect import connect
from pyvmiscsi.nas.truenas.connect import connect_truenas
from pyvmiscsi.nas.truenas.endpoint import Endpoint
from pyvmiscsi.secrets import Secret

RECORD = NasRecord("nas1", "https://nas1.example.net", "root", api_key=Secret("1-key"))


def endpoint(url: str) -> Endpoint:
    return Endpoint.of(replace(RECORD, url=url))


@pytest.mark.parametrize(
    ("url", "websocket"),
    [
        ("https://nas1.example.net", "wss://nas1.example.net:443/api/v25.10.0"),
        ("https://nas1.example.net/", "wss://nas1.example.net:443/api/v25.10.0"),
        ("nas1.example.net", "wss://nas1.example.net:443/api/v25.10.0"),
        ("wss://10.0.0.10:8443", "wss://10.0.0.10:8443/api/v25.10.0"),
        ("https://[2001:db8::10]:8443", "wss://[2001:db8::10]:8443/api/v25.10.0"),
    ],
)
def test_an_address_is_a_host_and_a_port(url: str, websocket: str) -> None:
    assert endpoint(url).url("ws", "/api/v25.10.0") == websocket


@pytest.mark.parametrize("url", ["ftp://nas1", "https://", "https://nas1/ui/sessions", "https://nas1:99999", ""])
def test_refuses_what_is_no_address_of_a_nas(url: str) -> None:
    with pytest.raises(ConfigError, match="nas1"):
        endpoint(url)


@pytest.mark.parametrize("url", ["http://nas1", "ws://nas1", "http://127.0.0.1:8080"])
def test_a_key_never_goes_over_plain_http_and_nothing_is_sent(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise AssertionError("something was sent")

    monkeypatch.setattr(socket, "create_connection", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)

    with pytest.raises(ConfigError, match="plain http") as caught:
        connect(replace(RECORD, url=url), warn=lambda _: None)

    assert "1-key" not in str(caught.value)
    assert caught.value.exit_status == 78


@pytest.mark.parametrize(
    "fingerprint", ["ab" * 32, ":".join(["AB"] * 32), "SHA256:" + "AB" * 32, " ".join(["ab"] * 32)]
)
def test_a_fingerprint_may_be_spelled_as_tools_print_it(fingerprint: str) -> None:
    assert Endpoint.of(replace(RECORD, fingerprint=fingerprint)).fingerprint == "ab" * 32


@pytest.mark.parametrize("fingerprint", ["ab" * 20, "xy" * 32])
def test_refuses_what_is_no_fingerprint(fingerprint: str) -> None:
    with pytest.raises(ConfigError, match="fingerprint"):
        Endpoint.of(replace(RECORD, fingerprint=fingerprint))


def test_a_ca_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "ca.pem")

    with pytest.raises(ConfigError, match=r"ca\.pem"):
        Endpoint.of(replace(RECORD, ca_file=missing)).context()


def test_nobody_at_the_address_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    with pytest.raises(NasUnreachableError, match=f"127.0.0.1:{port}: Connection refused"):
        connect(replace(RECORD, url=f"https://127.0.0.1:{port}"), warn=lambda _: None)


def test_a_nas_that_hangs_is_told_of_without_the_library_s_own_words() -> None:
    error = endpoint("https://nas1").unreachable(TimeoutError("_ssl.c:989: The handshake operation timed out"))

    assert isinstance(error, NasUnreachableError)
    assert error.message.endswith(": nas1:443 gives no answer")


def test_a_password_in_the_address_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigError, match="holds a user") as caught:
        endpoint("https://root:pass-word@nas1")

    assert "pass-word" not in str(caught.value)


class OneAnswer(BaseHTTPRequestHandler):
    """A web server that gives every GET the answer of its server."""

    server: WebServer

    def do_GET(self) -> None:
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class WebServer(HTTPServer):
    status = 200
    body = b""


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer(("127.0.0.1", 0), OneAnswer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def over_http(web: WebServer) -> NasRecord:
    return NasRecord("nas1", f"http://127.0.0.1:{web.server_port}", "root", password=Secret("word"))


@pytest.mark.parametrize(("status", "hint"), [(301, "https://"), (307, "https://"), (502, "starting")])
def test_a_web_server_without_its_api_is_told(web: WebServer, status: int, hint: str) -> None:
    web.status = status

    with pytest.raises(NasUnreachableError, match=f"HTTP {status}") as caught:
        connect(over_http(web), warn=lambda _: None)

    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("status", "body"), [(404, b"404: Not Found"), (200, b"<html>the web interface</html>"), (200, b'{"a": 1}')]
)
def test_an_appliance_without_versions_is_taken_for_one_before_json_rpc(
    web: WebServer, status: int, body: bytes
) -> None:
    web.status, web.body = status, body
    nas = connect_truenas(over_http(web), lambda _: None)
    nas.close()

    assert (nas.rpc.dialect, nas.rpc.series) == ("rest2", (24, 10))
