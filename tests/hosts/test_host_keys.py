"""The key that a host shows before anybody trusts it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from pyvmiscsi.errors import HostUnreachableError
from pyvmiscsi.hosts import host_keys
from tests.hosts import sshd as server


def test_shows_the_key_without_logging_in(tmp_path: Path) -> None:
    with server.running(tmp_path) as sshd:
        key = host_keys.shown_by("127.0.0.1", sshd.port)

        assert (key.get_name(), key.fingerprint) == ("ssh-ed25519", sshd.fingerprint())

    log = (tmp_path / "sshd.log").read_text()
    assert "Accepted" not in log
    assert "Failed" not in log


def test_says_when_nobody_answers() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: refused
        port = unused.getsockname()[1]

        with pytest.raises(HostUnreachableError, match=f"127.0.0.1 port {port}: no host key to be seen"):
            host_keys.shown_by("127.0.0.1", port)
