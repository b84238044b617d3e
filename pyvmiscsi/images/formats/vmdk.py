"""What the beginning of a VMware disk says, and why some are refused before any tool has opened them. Pure.

One file may hold all of it (monolithicSparse, streamOptimized), or be a description that names other files, also inside
of a file that looks as if it held everything: those files would be read whatever they are. Layout: VMware's Virtual
Disk Format 5.0, and block/vmdk.c in QEMU's source.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Any, Self

from pyvmiscsi.errors import ImageError
from pyvmiscsi.units import SECTOR

HEAD = 128 * 1024
"""How many first bytes are looked at: the description is 10 KiB, behind the first sector."""

_HEADER = struct.Struct("<4sIIQQQQ")  # magic, version, flags, capacity, grain, description: at, size; all in sectors
_WHOLE = ("monolithicSparse", "streamOptimized")
_SETTING = re.compile(r'^\s*(\w+)\s*=\s*"?([^"\r\n]*)"?\s*$', re.MULTILINE)
_EXTENT = re.compile(r"^\s*(?:RW|RDONLY|NOACCESS)\s+\d+\s+(\w+)", re.MULTILINE)
_CONVERT = "qemu-img convert -O qcow2 makes one that stands alone"


@dataclass(frozen=True, slots=True)
class VmdkHeader:
    """A VMware disk that stands alone in its file: `size` is that of its disk, in bytes."""

    size: int

    @classmethod
    def parse(cls, head: bytes, name: str) -> Self:
        """ImageError for a file that needs another file, or whose description is not where it should be."""
        if len(head) < _HEADER.size:
            raise ImageError(f"image {name}: its VMDK is cut short")
        _, version, _, capacity, _, at, length = _HEADER.unpack_from(head)
        if version not in (1, 2, 3):
            raise ImageError(f"image {name}: VMDK of version {version}: 1, 2 and 3 are known")
        if not capacity or not at:
            raise ImageError(f"image {name}: it is one of several files of a VMware disk", hint=_CONVERT)
        start, end = at * SECTOR.bytes, (at + length) * SECTOR.bytes
        if not length or end > len(head):
            raise ImageError(f"image {name}: its VMDK has no description where one should be, or is cut short")
        _refuse_other_files(head[start:end].rstrip(b"\0").decode("latin-1"), name)
        return cls(capacity * SECTOR.bytes)

    @property
    def node(self) -> dict[str, Any]:
        """How QEMU is told of it: no parent is ever opened."""
        return {"driver": "vmdk", "backing": None}


def _refuse_other_files(description: str, name: str) -> None:
    settings = {key.lower(): value.strip() for key, value in _SETTING.findall(description)}
    if settings.get("parentcid", "ffffffff").lower() != "ffffffff" or "parentfilenamehint" in settings:
        raise ImageError(f"image {name}: it needs a parent, of which it is a snapshot", hint=_CONVERT)
    kind = settings.get("createtype", "")
    if kind not in _WHOLE or _EXTENT.findall(description) != ["SPARSE"]:
        raise ImageError(
            f"image {name}: it keeps its data in other files ({kind or 'it does not say how'})", hint=_CONVERT
        )
