"""What the beginning of a Hyper-V disk (VHDX) says, and why some are refused. Pure.

Layout: Microsoft's [MS-VHDX], sections 2.2 and 2.6.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from pyvmiscsi.errors import ImageError
from pyvmiscsi.units import SECTOR

HEAD = 8 * 1024 * 1024
"""How many first bytes are looked at: its description is 1 MiB of them, at 2 MiB in all that are known."""

_REGIONS_AT, _REGIONS, _REGION = 192 * 1024, struct.Struct("<4s4xI4x"), struct.Struct("<16sQ8x")
_METADATA = UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")
_ITEMS, _ITEM = struct.Struct("<8s2xH20x"), struct.Struct("<16sI12x")
_PARAMETERS, _PARAMETERS_FORM = UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b"), struct.Struct("<4xI")  # block size, flags
_SIZE, _SIZE_FORM = UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8"), struct.Struct("<Q")
_SECTOR, _SECTOR_FORM = UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f"), struct.Struct("<I")
_MOST = 2047
_HAS_PARENT = 1 << 1


@dataclass(frozen=True, slots=True)
class VhdxHeader:
    """A VHDX that stands alone: `size` is that of its disk, in bytes."""

    size: int

    @classmethod
    def parse(cls, head: bytes, name: str) -> Self:
        """ImageError for one that needs its parent, is damaged, or has sectors of 4096 bytes."""
        try:
            metadata = _offsets(head, _REGIONS_AT, _REGIONS, _REGION, b"regi")[_METADATA]
            items = _offsets(head, metadata, _ITEMS, _ITEM, b"metadata")
            (flags,) = _PARAMETERS_FORM.unpack_from(head, metadata + items[_PARAMETERS])
            (size,) = _SIZE_FORM.unpack_from(head, metadata + items[_SIZE])
            (sector,) = _SECTOR_FORM.unpack_from(head, metadata + items[_SECTOR])
        except (struct.error, LookupError, OverflowError) as error:
            raise ImageError(f"image {name}: its VHDX is damaged or cut short: its size is not to be found") from error
        for wrong, what in (
            (flags & _HAS_PARENT, "needs a parent, of which it is a difference"),
            (sector != SECTOR.bytes, f"has sectors of {sector} bytes, where {SECTOR.bytes} are needed"),
            (not size or size % SECTOR.bytes, f"has a disk of {size} bytes, which are not whole sectors"),
        ):
            if wrong:
                raise ImageError(
                    f"image {name}: it {what}", hint="qemu-img convert -O qcow2 makes one that stands alone"
                )
        return cls(size)

    @property
    def node(self) -> dict[str, Any]:
        """How QEMU is told of it. It knows no parents."""
        return {"driver": "vhdx"}


def _offsets(head: bytes, at: int, table: struct.Struct, entry: struct.Struct, magic: bytes) -> dict[UUID, int]:
    """A table's entries: what each is, and where; struct.error or LookupError when there is none."""
    found, count = table.unpack_from(head, at)
    if found != magic or count > _MOST:
        raise LookupError
    entries = (entry.unpack_from(head, at + table.size + number * entry.size) for number in range(count))
    return {UUID(bytes_le=which): offset for which, offset in entries}
