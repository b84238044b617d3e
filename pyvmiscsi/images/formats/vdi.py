"""What the header of a VirtualBox disk (VDI) says, and why some are refused. Pure.

Layout: block/vdi.c in QEMU's source; VirtualBox publishes none but its own source.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Self

from pyvmiscsi.errors import ImageError
from pyvmiscsi.units import SECTOR

MAGIC_AT, MAGIC = 64, b"\x7f\x10\xda\xbe"

_VERSION, _KIND, _SIZE, _LINKS = struct.Struct("<I"), struct.Struct("<I"), struct.Struct("<Q"), struct.Struct("16s16s")
_VERSION_AT, _KIND_AT, _SIZE_AT, _LINKS_AT = 68, 76, 368, 424
_END = _LINKS_AT + _LINKS.size
_ONE_ONE = 0x10001
_DYNAMIC, _FIXED = 1, 2


@dataclass(frozen=True, slots=True)
class VdiHeader:
    """A VDI that stands alone: `size` is that of its disk, in bytes."""

    size: int

    @classmethod
    def parse(cls, head: bytes, name: str) -> Self:
        """ImageError for one that needs its parent, or that nobody knows."""
        if len(head) < _END:
            raise ImageError(f"image {name}: its VDI is cut short")
        (version,) = _VERSION.unpack_from(head, _VERSION_AT)
        (kind,) = _KIND.unpack_from(head, _KIND_AT)
        (size,) = _SIZE.unpack_from(head, _SIZE_AT)
        if version != _ONE_ONE:
            raise ImageError(f"image {name}: VDI of version {version:#x}: {_ONE_ONE:#x} is known")
        if kind not in (_DYNAMIC, _FIXED) or any(map(any, _LINKS.unpack_from(head, _LINKS_AT))):
            raise ImageError(
                f"image {name}: it needs a parent, of which it is a difference",
                hint="qemu-img convert -O qcow2 makes one that stands alone",
            )
        if not size or size % SECTOR.bytes:
            raise ImageError(f"image {name}: it has a disk of {size} bytes, which are not whole sectors")
        return cls(size)

    @property
    def node(self) -> dict[str, Any]:
        """How QEMU is told of it."""
        return {"driver": "vdi"}
