"""Blocks of 512 bytes that say whose they are: the guest, the disk, their own place, and when they were written."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self
from uuid import UUID

BLOCK = 512
_WORDS = struct.Struct(">8s16sHQQ")
_MAGIC = b"PVSTAMP1"
_DIGEST = hashlib.sha256().digest_size
_FILLING = BLOCK - _WORDS.size - _DIGEST


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who wrote a block (a guest's uuid and the number of its disk), where it belongs, and in which generation."""

    guest: UUID
    disk: int
    block: int
    generation: int

    def as_bytes(self) -> bytes:
        """The block: what it says, filled up with bytes of its own, and a checksum of all before it."""
        words = _WORDS.pack(_MAGIC, self.guest.bytes, self.disk, self.block, self.generation)
        filling = hashlib.shake_128(words).digest(_FILLING)
        return words + filling + hashlib.sha256(words + filling).digest()

    @classmethod
    def read(cls, block: bytes) -> Self | None:
        """What a block says; None for one of zeros. ValueError for anything that is not a whole stamp."""
        if not any(block):
            return None
        if len(block) != BLOCK or hashlib.sha256(block[:-_DIGEST]).digest() != block[-_DIGEST:]:
            raise ValueError(f"damaged: {block[:48].hex()}…")
        magic, guest, disk, number, generation = _WORDS.unpack_from(block)
        if magic != _MAGIC:
            raise ValueError(f"no stamp: {block[:48].hex()}…")
        return cls(UUID(bytes=guest), disk, number, generation)

    def __str__(self) -> str:
        return f"guest {self.guest} disk{self.disk} block {self.block} generation {self.generation}"


@dataclass(frozen=True, slots=True)
class Content:
    """What a disk must hold, whole: stamped blocks, and zeros between them."""

    data: bytes

    @classmethod
    def blank(cls, size: int) -> Self:
        return cls(bytes(size))

    @property
    def blocks(self) -> int:
        return len(self.data) // BLOCK

    def grown(self, size: int) -> Content:
        """What was added reads as zeros."""
        return Content(self.data.ljust(size, b"\0"))

    def stamped(self, stamps: Iterable[Stamp]) -> Content:
        changed = bytearray(self.data)
        for stamp in stamps:
            changed[stamp.block * BLOCK : (stamp.block + 1) * BLOCK] = stamp.as_bytes()
        return Content(bytes(changed))

    def mismatches(self, found: bytes) -> list[str]:
        """Every block that is not as it must be, in words; empty when all are."""
        if found == self.data:
            return []
        if len(found) != len(self.data):
            return [f"{len(found)} bytes, not {len(self.data)}"]
        places = (at for at in range(self.blocks) if _block(found, at) != _block(self.data, at))
        return [f"block {at}: {_told(_block(found, at))}, not {_told(_block(self.data, at))}" for at in places]


def _block(data: bytes, at: int) -> bytes:
    return data[at * BLOCK : (at + 1) * BLOCK]


def _told(block: bytes) -> str:
    try:
        stamp = Stamp.read(block)
    except ValueError as error:
        return str(error)
    return "zeros" if stamp is None else str(stamp)
