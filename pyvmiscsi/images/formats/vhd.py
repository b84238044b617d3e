"""What the header or the footer of a Virtual PC disk (VHD) says, and why some are refused. Pure.

A fixed VHD is a raw disk with one more sector behind it; a dynamic one begins with a copy of that. Their geometry may
say less than their size: virtual machines of old saw only what cylinders, heads and sectors make, and the size is what
counts here. Layout: Microsoft's Virtual Hard Disk Image Format Specification 1.0.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Self

from pyvmiscsi.errors import ImageError
from pyvmiscsi.units import SECTOR

FOOTER = 512
MAGIC = b"conectix"

_SIZE = struct.Struct(">Q")
_SIZE_AT = 48
_KIND = struct.Struct(">II")  # kind of disk, checksum
_KIND_AT = 60
_FIXED, _DYNAMIC, _DIFFERENCING = 2, 3, 4


@dataclass(frozen=True, slots=True)
class VhdHeader:
    """A VHD that stands alone: `size` is that of its disk, in bytes."""

    size: int

    @classmethod
    def dynamic(cls, head: bytes, name: str) -> Self:
        """What a dynamic one begins with; ImageError for one that needs its parent, or is damaged."""
        return cls._parsed(head, name, _DYNAMIC)

    @classmethod
    def fixed(cls, footer: bytes, name: str) -> Self:
        """What a fixed one ends with; ImageError for any other."""
        return cls._parsed(footer, name, _FIXED)

    @classmethod
    def _parsed(cls, footer: bytes, name: str, wanted: int) -> Self:
        if len(footer) < FOOTER:
            raise ImageError(f"image {name}: its VHD is cut short")
        kind, checksum = _KIND.unpack_from(footer, _KIND_AT)
        if footer[: len(MAGIC)] != MAGIC or checksum != checksum_of(footer[:FOOTER]):
            raise ImageError(f"image {name}: its VHD is damaged: the checksum of its footer is another")
        if kind == _DIFFERENCING:
            raise ImageError(
                f"image {name}: it needs a parent, of which it is a difference",
                hint="qemu-img convert -O qcow2 makes one that stands alone",
            )
        (size,) = _SIZE.unpack_from(footer, _SIZE_AT)
        if kind != wanted or not size or size % SECTOR.bytes:
            raise ImageError(f"image {name}: a VHD of kind {kind} and {size} bytes, which is no disk")
        return cls(size)

    @property
    def node(self) -> dict[str, Any]:
        """How QEMU is told of it: by its size, whoever made it."""
        return {"driver": "vpc", "force_size_calc": "current_size"}


def is_footer(last: bytes) -> bool:
    """Whether a file's last `FOOTER` bytes end a VHD."""
    return len(last) == FOOTER and last.startswith(MAGIC) and _KIND.unpack_from(last, _KIND_AT)[1] == checksum_of(last)


def another_size(name: str, length: int) -> ImageError:
    """The error for a fixed VHD that has `length` bytes before its footer, which says another thing."""
    return ImageError(f"image {name}: its VHD has {length} bytes, and says another: it was cut short")


def checksum_of(footer: bytes) -> int:
    """The complement of the sum of all bytes but those of the checksum itself."""
    at = _KIND_AT + 4
    return ~(sum(footer[:at]) + sum(footer[at + 4 :])) & 0xFFFFFFFF
