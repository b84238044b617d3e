"""The digest of a disk, taken in the plainest way."""

from __future__ import annotations

import hashlib

MIB = 1 << 20


def digest_of(disk: bytes) -> str:
    parts = b"".join(hashlib.sha256(disk[at : at + MIB]).digest() for at in range(0, len(disk), MIB))
    return f"sha256/1M:{hashlib.sha256(parts).hexdigest()}"
