"""Which certificate a NAS shows."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from pyvmiscsi.config import certificates
from pyvmiscsi.errors import NasUnreachableError
from tests.config import https


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[https.Server]:
    with https.running(tmp_path_factory.mktemp("https")) as running:
        yield running


def test_shows_a_certificate_that_nobody_vouches_for(server: https.Server) -> None:
    shown = certificates.shown_by(server.url)

    assert shown.fingerprint == server.fingerprint
    assert shown.spelled.replace(":", "").lower() == server.fingerprint
    assert shown.distrust == "self-signed certificate"


def test_says_when_the_authority_vouches_for_it(server: https.Server) -> None:
    shown = certificates.shown_by(server.url, ca_file=str(server.certificate))

    assert (shown.fingerprint, shown.distrust) == (server.fingerprint, None)


def test_says_when_nobody_answers() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: refused
        with pytest.raises(NasUnreachableError, match="no certificate to be seen"):
            certificates.shown_by(f"https://127.0.0.1:{unused.getsockname()[1]}")
