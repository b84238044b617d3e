"""What the header of a qcow2 file says, and why some are refused before any tool has opened them. Pure.

A qcow2 may name other files to be read as its own: a backing file, an external data file. Whoever opens one that
somebody else made would hand out the files of his own machine; even to ask `qemu-img info` about it has been a hole
(CVE-2024-4467). So the header is read here. Its layout: docs/interop/qcow2.txt in QEMU's source.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Self

from pyvmiscsi.errors import ImageError
from pyvmiscsi.units import SECTOR

_COMMON = struct.Struct(">4sIQIIQI")  # magic, version, backing file: offset, length; cluster bits, size, encryption
_FEATURES = struct.Struct(">Q")
_FEATURES_AT = 72
_CORRUPT, _EXTERNAL_DATA = 1 << 1, 1 << 2

QCOW2_NODE: dict[str, Any] = {"driver": "qcow2", "backing": None}
"""How QEMU is told of one: no backing file is ever opened."""


@dataclass(frozen=True, slots=True)
class Qcow2Header:
    """A qcow2 file that stands alone: `size` is that of its disk, in bytes."""

    size: int

    @classmethod
    def parse(cls, head: bytes, name: str) -> Self:
        """ImageError for a file that needs another file or a password, or that says it is corrupt."""
        if len(head) < _FEATURES_AT:
            raise ImageError(f"image {name}: its qcow2 is cut short")
        _, version, backing, _, _, size, encryption = _COMMON.unpack_from(head)
        if version not in (2, 3):
            raise ImageError(f"image {name}: qcow2 of version {version}: 2 and 3 are known")
        features = _FEATURES.unpack_from(head.ljust(_FEATURES_AT + 8, b"\0"), _FEATURES_AT)[0] if version == 3 else 0
        for wrong, what, hint in (
            (backing, "needs a backing file", "qemu-img convert -O qcow2 makes one that stands alone"),
            (features & _EXTERNAL_DATA, "keeps its data in another file", "qemu-img convert makes one that has it"),
            (encryption, "is encrypted", "qemu-img convert makes one that is not"),
            (features & _CORRUPT, "is marked corrupt", "see qemu-img check"),
            (not size, "has a disk of no bytes", ""),
            (size % SECTOR.bytes, f"has a disk of {size} bytes, which are not whole sectors", ""),
        ):
            if wrong:
                raise ImageError(f"image {name}: it {what}", hint=hint)
        return cls(size)

    @property
    def node(self) -> dict[str, Any]:
        return QCOW2_NODE
