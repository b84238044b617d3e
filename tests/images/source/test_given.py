"""An image from the web, or from a pipe, is the same as one in a file; whatever goes wrong is one clear error."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyvmiscsi.errors import DownloadError, ImageError, InputError, NotFoundError
from pyvmiscsi.images.formats.kinds import Format
from pyvmiscsi.images.image import open_image
from pyvmiscsi.images.source.given import CHUNK, opened, place_of
from tests.config import https
from tests.images.disks import spelt_out
from tests.images.packed_images import packed
from tests.images.web_server import Answer, serving

DISK = os.urandom(1 << 20)
ZIPPED = packed(Format.GZIP, DISK)


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    answers = {
        "/disk.raw": Answer(DISK),
        "/disk.gz": Answer(ZIPPED),
        "/encoded.gz": Answer(ZIPPED, headers={"Content-Encoding": "gzip"}),
        "/short.raw": Answer(DISK, headers={"Content-Length": str(2 * len(DISK))}),
        "/page": Answer(b"<!doctype html><p>Sign in</p>"),
        "/moved": Answer(status=302, headers={"Location": "/disk.raw"}),
        "/private": Answer(status=403),
    }
    with serving(answers) as address:
        yield address


def read(place: str) -> bytes:
    with open_image(place) as content:
        return spelt_out(content.pieces(4096))


@pytest.mark.parametrize("path", ["disk.raw", "disk.gz", "disk.raw?token=1", "moved", "encoded.gz"])
def test_an_image_from_the_web_is_that_disk(web: str, path: str) -> None:
    assert read(f"{web}/{path}") == DISK


def test_the_web_server_says_how_much_it_is(web: str) -> None:
    with open_image(f"{web}/disk.raw") as content:
        assert (content.name, content.length, content.total) == ("image disk.raw", len(DISK), len(DISK))
    with open_image(f"{web}/disk.gz") as content:
        assert (content.length, content.total) == (None, len(ZIPPED))


def test_a_download_that_breaks_off_is_refused(web: str) -> None:
    with pytest.raises(DownloadError, match="broke off"):
        read(f"{web}/short.raw")


def test_a_page_is_no_image(web: str) -> None:
    with pytest.raises(ImageError, match="web page"):
        read(f"{web}/page")


def test_what_the_server_does_not_have_is_not_found(web: str) -> None:
    with pytest.raises(NotFoundError, match="404"):
        read(f"{web}/none")
    with pytest.raises(DownloadError, match="403 Forbidden"):
        read(f"{web}/private")


def test_a_server_that_is_not_there_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(DownloadError, match=rf"127\.0\.0\.1:{port}/disk\.raw: .*refused"):
        read(f"http://127.0.0.1:{port}/disk.raw")


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    with https.running(tmp_path) as server, pytest.raises(DownloadError, match="certificate"):
        read(f"{server.url}/disk.raw")


def test_however_much_of_it_was_looked_at_it_comes_in_small_pieces(web: str) -> None:
    for looked in (0, 1, CHUNK, CHUNK + 4096):
        with opened(f"{web}/disk.raw") as image:
            assert image.head(looked) == DISK[:looked]
            chunks = list(image.chunks())
        assert b"".join(chunks) == DISK
        assert max(map(len, chunks)) <= max(CHUNK, looked)


@pytest.mark.parametrize("data", [DISK, ZIPPED], ids=["raw", "gz"])
def test_an_image_comes_through_a_pipe(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with piped(data) as pipe:
        monkeypatch.setattr("sys.stdin", pipe)
        assert read("-") == DISK


def test_a_terminal_is_no_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal())
    with pytest.raises(InputError, match="nothing is piped"):
        read("-")


def test_a_place_is_remembered_so_that_any_process_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert place_of("disk.raw") == f"{tmp_path}/disk.raw"
    assert place_of("-") == "-"
    assert place_of("https://example.org/disk.raw?a=b") == "https://example.org/disk.raw?a=b"


@pytest.mark.parametrize("text", ["ftp://example.org/disk.raw", "https://", "file:///disk.raw"])
def test_refuses_an_address_that_it_cannot_read(text: str) -> None:
    with pytest.raises(InputError, match="not an http or https address"):
        place_of(text)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(InputError, match="holds a user") as refused:
        place_of("https://me:hunter2@example.org/disk.raw")
    assert "hunter2" not in str(refused.value)


@contextlib.contextmanager
def piped(data: bytes) -> Iterator[io.TextIOWrapper]:
    """A pipe that somebody else writes `data` into, opened as standard input is."""
    reading, writing = os.pipe()

    def write() -> None:
        with io.FileIO(writing, "wb") as pipe, io.BufferedWriter(pipe) as out:
            out.write(data)

    writer = threading.Thread(target=write)
    writer.start()
    with io.TextIOWrapper(io.BufferedReader(io.FileIO(reading))) as opened:
        yield opened
    writer.join()
