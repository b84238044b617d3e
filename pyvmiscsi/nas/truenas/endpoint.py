"""Where a TrueNAS is, and how it proves that it is the one meant."""

from __future__ import annotations

import hashlib
import http.client
import socket
import ssl
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import urlsplit

from pyvmiscsi import __version__
from pyvmiscsi.errors import ConfigError, NasAuthError, NasError, NasUnreachableError
from pyvmiscsi.model import NasRecord

_TLS = {"https": True, "wss": True, "http": False, "ws": False}

USER_AGENT = f"pyvmiscsi/{__version__}"
"""Who we are, in the appliance's log."""

CONNECT_DEADLINE = 10.0
"""Seconds for a TCP connection and its TLS handshake."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The appliance's address. With TLS its certificate is one that the system trusts, or that `ca_file` signed, or
    the very one of `fingerprint` (SHA-256, lower-case hexadecimal), or any at all when `verify` is False.
    """

    name: str
    host: str
    port: int
    tls: bool
    ca_file: str | None = None
    fingerprint: str | None = None
    verify: bool = True

    @classmethod
    def of(cls, record: NasRecord) -> Self:
        """The endpoint of a record; ConfigError for a url that is none, or an API key that would travel in clear.

        A TrueNAS revokes a key that comes over plain http (nas-wire.md 1.3), so none is ever sent.
        """
        parts = urlsplit(record.url if "//" in record.url else f"https://{record.url}")
        if "@" in parts.netloc:
            raise ConfigError(f"nas {record.name}: url: it holds a user", hint="write user and api_key beside it")
        if parts.scheme not in _TLS or not parts.hostname or parts.path.strip("/"):
            raise ConfigError(
                f"nas {record.name}: url {record.url!r}: not the address of a nas", hint="write https://host"
            )
        tls = _TLS[parts.scheme]
        if record.api_key is not None and not tls:
            raise ConfigError(
                f"nas {record.name}: url {record.url!r}: an API key is never sent over plain http",
                hint="write https:// in url; a TrueNAS revokes every key that reaches it in clear",
            )
        try:
            port = parts.port or (443 if tls else 80)
        except ValueError as error:
            raise ConfigError(f"nas {record.name}: url {record.url!r}: the port is not a port") from error
        fingerprint = _hexadecimal(record.name, record.fingerprint) if record.fingerprint else None
        return cls(record.name, parts.hostname, port, tls, record.ca_file, fingerprint, record.verify)

    def url(self, scheme: str, path: str) -> str:
        """`scheme` is `http` or `ws`; TLS adds its letter."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}{'s' if self.tls else ''}://{host}:{self.port}{path}"

    def context(self) -> ssl.SSLContext | None:
        """What the TLS handshake verifies; `check_peer` does the rest. None without TLS."""
        if not self.tls:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            raise ConfigError(f"nas {self.name}: ca_file {self.ca_file}: {error.strerror or error}") from error
        if self.fingerprint or not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def check_peer(self, connection: socket.socket) -> None:
        """NasAuthError when a certificate is pinned and the other end of this connection has another."""
        self._check(certificate_of(connection))

    def check_now(self) -> None:
        """NasAuthError when the nas does not show the pinned certificate."""
        self._check(self.certificate())

    def _check(self, certificate: bytes) -> None:
        if self.fingerprint and certificate and fingerprint_of(certificate) != self.fingerprint:
            raise NasAuthError(
                f"nas {self.name}: its certificate is not the pinned one, but SHA-256 {fingerprint_of(certificate)}",
                hint="if the nas has a new certificate, write this fingerprint into the site file",
            )

    def certificate(self) -> bytes:
        """The certificate (DER) that the nas shows now; empty without TLS."""
        connection = self._connection()
        try:
            connection.connect()
            return certificate_of(connection.sock)
        except OSError as error:
            raise self.unreachable(error) from error
        finally:
            connection.close()

    def pinned(self) -> Self:
        """This endpoint, holding on to the certificate that the nas shows now."""
        return replace(self, fingerprint=fingerprint_of(self.certificate()))

    def get(self, path: str) -> tuple[int, bytes]:
        """The status and body of a GET without credentials."""
        connection = self._connection()
        try:
            if self.fingerprint:
                connection.connect()
                self.check_peer(connection.sock)
            connection.request("GET", path, headers={"Accept": "application/json", "User-Agent": USER_AGENT})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise self.unreachable(error) from error
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if not self.tls:
            return http.client.HTTPConnection(self.host, self.port, timeout=CONNECT_DEADLINE)
        return http.client.HTTPSConnection(self.host, self.port, timeout=CONNECT_DEADLINE, context=self.context())

    def unreachable(self, error: Exception) -> NasError:
        """What it means that no connection came about."""
        if isinstance(error, ssl.SSLCertVerificationError):
            return NasAuthError(
                f"nas {self.name}: its certificate is not trusted: {error.verify_message}",
                hint="name its CA with ca_file, or pin it with fingerprint (pyvmiscsi init shows it)",
            )
        if isinstance(error, TimeoutError):
            return NasUnreachableError(f"nas {self.name}: {self.host}:{self.port} gives no answer")
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
        return NasUnreachableError(f"nas {self.name}: no connection to {self.host}:{self.port}: {why}")


def certificate_of(connection: socket.socket) -> bytes:
    """The certificate (DER) of the other end; empty without TLS."""
    return (connection.getpeercert(binary_form=True) or b"") if isinstance(connection, ssl.SSLSocket) else b""


def fingerprint_of(certificate: bytes) -> str:
    """The SHA-256 of a certificate (DER), in lower-case hexadecimal."""
    return hashlib.sha256(certificate).hexdigest()


def _hexadecimal(name: str, fingerprint: str) -> str:
    digits = fingerprint.lower().removeprefix("sha256:").replace(":", "").replace(" ", "")
    if len(digits) != 64 or set(digits) - set("0123456789abcdef"):
        raise ConfigError(f"nas {name}: fingerprint: not the 64 hexadecimal digits of a SHA-256")
    return digits
