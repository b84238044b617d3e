"""How large the content of a .zst file is, from the headers of its frames and blocks: nothing is unpacked. Pure.

RFC 8878 sections 3.1.1 and 3.1.2. zstd(1) writes a frame's size into its header when it packs a file, not when it packs
a pipe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

_MAGIC, _SKIPPABLE = 0xFD2FB528, 0x184D2A50
_LONGEST_HEADER = 18
_HEAD = 3
_RAW, _RLE, _COMPRESSED = range(3)
_SIZE_FIELDS, _DICTIONARY_FIELDS = (0, 2, 4, 8), (0, 1, 2, 4)
_MOST_BLOCKS = 1 << 20
"""128 GiB of disk, and a second's work."""

ReadAt = Callable[[int, int], bytes]
"""At most so many bytes, from an offset on."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """What a frame's header says; `length` is how long the header is."""

    length: int
    size: int | None
    has_checksum: bool

    @classmethod
    def parse(cls, head: bytes) -> Self | None:
        """None for what is no frame, or is cut short."""
        if len(head) < 6 or int.from_bytes(head[:4], "little") != _MAGIC:
            return None
        described = head[4]
        is_single, width = bool(described & 0x20), _SIZE_FIELDS[described >> 6]
        if is_single and not width:
            width = 1
        at = 5 + (not is_single) + _DICTIONARY_FIELDS[described & 3]
        if len(head) < at + width:
            return None
        size = int.from_bytes(head[at : at + width], "little") + (256 if width == 2 else 0)
        return cls(at + width, size if width else None, bool(described & 4))


def content_size(read_at: ReadAt, file_size: int) -> int | None:
    """Bytes in all of a file's frames; None where one does not tell, and where they are not the whole of the file.

    `read_at` is asked for a few bytes of each block, one after the other.
    """
    total, at, blocks = 0, 0, _MOST_BLOCKS
    while at < file_size:
        head = read_at(at, _LONGEST_HEADER)
        if len(head) >= 8 and int.from_bytes(head[:4], "little") & ~0xF == _SKIPPABLE:
            at += 8 + int.from_bytes(head[4:8], "little")
            continue
        frame = _Frame.parse(head)
        if frame is None or frame.size is None:
            return None
        total += frame.size
        at += frame.length
        is_last = False
        while not is_last:
            block = int.from_bytes(read_at(at, _HEAD), "little")
            is_last, kind, size = bool(block & 1), block >> 1 & 3, block >> 3
            blocks -= 1
            if kind > _COMPRESSED or at + _HEAD > file_size or not blocks:
                return None
            at += _HEAD + (1 if kind == _RLE else size)
        at += 4 * frame.has_checksum
    return total if at == file_size else None
