"""One verified SSH connection to a host, made when first needed and made again after it was lost."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import paramiko

from pyvmiscsi.errors import HostAuthError, HostError, HostKeyError, HostUnreachableError
from pyvmiscsi.hosts import host_keys
from pyvmiscsi.model import HostRecord
from pyvmiscsi.waiting import wait_for

CONNECT_SECONDS = 15.0
OPEN_SECONDS = 10.0
"""For a session on a connection that stands; without an answer in this time the connection is dead."""
KEEPALIVE_SECONDS = 15

_CONNECT_ERRORS: tuple[tuple[type[Exception], type[HostError], str], ...] = (
    # the first row that fits wins, so subclasses come first
    (paramiko.PasswordRequiredException, HostAuthError, "the key file is locked by a passphrase"),
    (paramiko.AuthenticationException, HostAuthError, "the host refused our key"),
    (FileNotFoundError, HostAuthError, "no such key file"),
    (PermissionError, HostAuthError, "the key file is not for us to read"),
    (socket.gaierror, HostUnreachableError, "no such host name"),
    (TimeoutError, HostUnreachableError, "no answer"),
    (EOFError, HostUnreachableError, "the host closed the connection"),
    (paramiko.SSHException, HostUnreachableError, "no SSH connection"),
    (OSError, HostUnreachableError, "no connection"),
)
_HINTS: dict[type[HostError], str] = {
    HostAuthError: "give a key_file in the site file, or load the key into ssh-agent",
    HostUnreachableError: "is it up, and is sshd listening there?",
}


class Connection:
    """The way to one host's sshd. Safe to use from several threads; nothing is sent before the first channel."""

    def __init__(self, record: HostRecord) -> None:
        self._record = record
        self._client: paramiko.SSHClient | None = None
        self._connecting = threading.Lock()

    @contextlib.contextmanager
    def channel(self) -> Iterator[paramiko.Channel]:
        """A new channel. Opening one runs nothing, so a dead connection is replaced, and a busy sshd asked again."""
        what = f"host {self._record.name}: a session of sshd"
        channel = wait_for(self._try_channel, what=what, deadline=CONNECT_SECONDS, hint="sshd_config: MaxSessions")
        with channel:
            yield channel

    def _try_channel(self) -> paramiko.Channel | None:
        """A new channel; None when sshd has as many as it takes."""
        for is_last in (False, True):
            transport = self._transport()
            begun = time.monotonic()
            try:
                return transport.open_session(timeout=OPEN_SECONDS)
            except (paramiko.SSHException, OSError, EOFError) as error:
                # by the clock: which exception this is depends on what other threads meet on the same connection
                if transport.is_active() and time.monotonic() - begun < OPEN_SECONDS:
                    return None
                self._forget(transport)
                if is_last:
                    raise HostUnreachableError(f"host {self._record.name}: sshd opens no session: {error}") from error
        return None

    def _forget(self, transport: paramiko.Transport) -> None:
        """Close this connection, unless another thread has made a new one meanwhile."""
        with self._connecting:
            if self._client is not None and self._client.get_transport() is transport:
                self._client.close()
                self._client = None

    def _transport(self) -> paramiko.Transport:
        with self._connecting:
            transport = self._client.get_transport() if self._client else None
            if transport is None or not transport.is_active():
                if self._client:
                    self._client.close()
                self._client = self._connect()
                transport = self._client.get_transport()
            if transport is None:
                raise HostUnreachableError(f"host {self._record.name}: the host closed the connection")
            return transport

    def _connect(self) -> paramiko.SSHClient:
        if self._record.host_key is None:
            return self._connect_with(())
        # a pin does not tell the type of its key, and a host has several: ask for one type after the other
        refusal: HostKeyError | None = None
        for wanted in host_keys.KEY_TYPES:
            try:
                return self._connect_with(tuple(other for other in host_keys.KEY_TYPES if other != wanted))
            except HostKeyError as error:
                refusal = refusal or error
            except HostUnreachableError as error:
                if not isinstance(error.__cause__, paramiko.ssh_exception.IncompatiblePeer):
                    raise
        raise refusal or HostKeyError(f"host {self._record.name}: sshd has no host key of a type we know")

    def _connect_with(self, refused_key_types: Sequence[str]) -> paramiko.SSHClient:
        record = self._record
        client = paramiko.SSHClient()
        client.set_log_channel(host_keys.LOG)
        client.set_missing_host_key_policy(host_keys.Strict(record))
        try:
            if record.host_key is None:
                _load_known_hosts(client, record)
            client.connect(
                record.address or "",
                record.port,
                record.user,
                key_filename=str(Path(record.key_file).expanduser()) if record.key_file else None,
                allow_agent=record.key_file is None,
                look_for_keys=record.key_file is None,
                timeout=CONNECT_SECONDS,
                banner_timeout=CONNECT_SECONDS,
                auth_timeout=CONNECT_SECONDS,
                disabled_algorithms={"keys": _algorithms(refused_key_types)},
            )
            transport = client.get_transport()
            if transport is not None:
                transport.set_keepalive(KEEPALIVE_SECONDS)
                if isinstance(transport.sock, socket.socket):
                    # a command is a few small messages: held back to go together, they would cost 40 ms each time
                    transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except paramiko.BadHostKeyException as error:
            client.close()
            known = f"known_hosts names {error.expected_key.fingerprint}"
            raise host_keys.other_key(record, error.key, known) from error
        except tuple(row[0] for row in _CONNECT_ERRORS) as error:
            client.close()
            raise self._ours(error) from error
        except BaseException:
            client.close()
            raise
        return client

    def _ours(self, error: Exception) -> HostError:
        ours, said = next((row[1], row[2]) for row in _CONNECT_ERRORS if isinstance(error, row[0]))
        record = self._record
        return ours(
            f"host {record.name}: {record.user}@{record.address} port {record.port}: {said}: {_why(error)}",
            hint=_HINTS[ours],
        )

    def close(self) -> None:
        with self._connecting:
            if self._client is not None:
                self._client.close()
                self._client = None


def _load_known_hosts(client: paramiko.SSHClient, record: HostRecord) -> None:
    if record.known_hosts is None:
        for usual in ("/etc/ssh/ssh_known_hosts", "~/.ssh/known_hosts"):
            path = Path(usual).expanduser()
            if path.exists():
                client.load_system_host_keys(str(path))
        return
    path = Path(record.known_hosts).expanduser()
    try:
        client.load_system_host_keys(str(path))
    except OSError as error:
        raise HostKeyError(f"host {record.name}: known_hosts file {path}: {error.strerror}") from error


def _algorithms(key_types: Sequence[str]) -> list[str]:
    """The names under which SSH negotiates keys of these types: RSA has three (RFC 8332)."""
    return [
        name
        for key_type in key_types
        for name in (("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa") if key_type == "rsa" else (key_type,))
    ]


def _why(error: Exception) -> str:
    """What it says, without numbers: `No such file or directory: /root/.ssh/id`."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.strerror}: {error.filename}"
    return str(error)
