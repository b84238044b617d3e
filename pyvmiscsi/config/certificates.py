"""Which certificate a NAS shows, for people to compare before they pin it."""

from __future__ import annotations

import hashlib
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from pyvmiscsi.errors import NasUnreachableError

_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Shown:
    """A certificate's SHA-256 in hexadecimal, and why this machine does not trust it; None when it does."""

    fingerprint: str
    distrust: str | None

    @property
    def spelled(self) -> str:
        """`AA:BB:…`, as openssl and browsers print it."""
        digits = self.fingerprint.upper()
        return ":".join(digits[start : start + 2] for start in range(0, len(digits), 2))


def shown_by(url: str, *, ca_file: str | None = None) -> Shown:
    """The certificate shown at an https url; NasUnreachableError when nobody answers with one. Nothing is sent."""
    parts = urlsplit(url)
    where = (parts.hostname or "", parts.port or 443)
    try:
        try:
            return Shown(_shake_hands(where, ssl.create_default_context(cafile=ca_file)), None)
        except ssl.SSLCertVerificationError as error:
            unchecked = ssl.create_default_context()
            unchecked.check_hostname = False
            unchecked.verify_mode = ssl.CERT_NONE  # only to see the certificate: nothing is sent
            return Shown(_shake_hands(where, unchecked), error.verify_message)
    except OSError as error:
        raise NasUnreachableError(f"{url}: no certificate to be seen: {error}") from error


def _shake_hands(where: tuple[str, int], context: ssl.SSLContext) -> str:
    with (
        socket.create_connection(where, timeout=_SECONDS) as connection,
        context.wrap_socket(connection, server_hostname=where[0]) as tls,
    ):
        return hashlib.sha256(tls.getpeercert(binary_form=True) or b"").hexdigest()
