"""Which host key a host may show: one that a known_hosts file names, or the one of a pinned fingerprint.

A key that is not expected is never accepted, and never remembered: the error shows its fingerprint and what to write.
"""

from __future__ import annotations

import logging
import socket

import paramiko
from paramiko.client import MissingHostKeyPolicy

from pyvmiscsi.errors import HostKeyError, HostUnreachableError
from pyvmiscsi.model import HostRecord

KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa")

LOG = "pyvmiscsi.hosts.ssh"
"""The logger that paramiko writes to. It would print tracebacks of lost connections where nobody set up logging."""
logging.getLogger(LOG).addHandler(logging.NullHandler())

_LOOK_SECONDS = 10.0


class Strict(MissingHostKeyPolicy):
    """Accepts the pinned key, if one is pinned, and nothing else. paramiko asks it about keys not in known_hosts."""

    def __init__(self, record: HostRecord) -> None:
        self._record = record

    def missing_host_key(self, _client: paramiko.SSHClient, _hostname: str, key: paramiko.PKey) -> None:
        pinned = self._record.host_key
        if pinned is None:
            raise unknown_key(self._record, key)
        if key.fingerprint != pinned:
            raise other_key(self._record, key, f"the site file pins {pinned}")


def unknown_key(record: HostRecord, key: paramiko.PKey) -> HostKeyError:
    return HostKeyError(
        f"host {record.name}: the key of {record.address} port {record.port} is not known: "
        f"{key.get_name()} {key.fingerprint}",
        hint=f"if the host itself says the same (ssh-keygen -l -f on its key), "
        f'write host_key = "{key.fingerprint}" in [hosts.{record.name}], or add the key to known_hosts',
    )


def other_key(record: HostRecord, key: paramiko.PKey, expected: str) -> HostKeyError:
    return HostKeyError(
        f"host {record.name}: {record.address} port {record.port} shows the key {key.get_name()} {key.fingerprint}, "
        f"but {expected}",
        hint="either the host was installed anew, or somebody stands between: find out before changing anything",
    )


def shown_by(address: str, port: int) -> paramiko.PKey:
    """The key that a host shows, for people to compare before they pin it; HostUnreachableError without an answer.

    Nothing is sent that belongs to us: the connection ends before anybody logs in.
    """
    where = f"{address} port {port}"
    try:
        with socket.create_connection((address, port), timeout=_LOOK_SECONDS) as connection:
            transport = paramiko.Transport(connection)
            transport.set_log_channel(LOG)
            try:
                transport.start_client(timeout=_LOOK_SECONDS)
                return transport.get_remote_server_key()
            finally:
                transport.close()
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise HostUnreachableError(f"{where}: no host key to be seen: {error}") from error
