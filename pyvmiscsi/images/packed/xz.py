"""What the end of an .xz file tells: how large its content is, and where its blocks are, which can be unpacked at once.

`xz -T` writes blocks that know nothing of each other. Each is unpacked by liblzma as a
small stream of its own, which it then checks as it does any other. Layout: tukaani.org/xz/xz-file-format.txt, sections
2.1, 4 and 5.
"""

from __future__ import annotations

import lzma
import struct
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

from pyvmiscsi.errors import ImageError

HEADER = FOOTER = 12
LARGEST_INDEX = 1024 * 1024
MEMORY = 256 * 1024 * 1024
"""What unpacking may take: `xz -9` needs 65 MiB, and a file of a few bytes may ask for 4 GiB."""

_AT_ONCE = 72 * 1024 * 1024
"""How much may lie there unpacked, and as much packed: three blocks of `xz -6`."""
_STEP = 1024 * 1024
_MAGIC, _END = b"\xfd7zXZ\0", b"YZ"
_FOOTER = struct.Struct("<II2s2s")  # checksum, size of the index in words, flags, magic


@dataclass(frozen=True, slots=True)
class Block:
    """How long a block is, without what fills up its last word, and how much is in it."""

    packed: int
    unpacked: int

    @property
    def padded(self) -> int:
        return (self.packed + 3) & ~3


@dataclass(frozen=True, slots=True)
class XzIndex:
    """The blocks of a file that is one stream; `flags` are its own."""

    flags: bytes
    blocks: tuple[Block, ...]

    @classmethod
    def size_in(cls, footer: bytes) -> int | None:
        """How many bytes before the footer the index has; None for what is none, or is too large to look at."""
        if len(footer) != FOOTER or footer[-2:] != _END or footer[:4] != _checksum(footer[4:10]):
            return None
        size = (int(_FOOTER.unpack(footer)[1]) + 1) * 4
        return size if size <= LARGEST_INDEX else None

    @classmethod
    def parse(cls, index: bytes, footer: bytes, file_size: int) -> Self | None:
        """The index before this footer; None unless it is one, and speaks of the whole file."""
        if index[-4:] != _checksum(index[:-4]) or index[:1] != b"\0":
            return None
        try:
            count, at = _number(index, 1)
            blocks = []
            for _ in range(count):
                packed, at = _number(index, at)
                unpacked, at = _number(index, at)
                blocks.append(Block(packed, unpacked))
        except ValueError:
            return None
        whole = HEADER + sum(block.padded for block in blocks) + len(index) + FOOTER
        return cls(footer[8:10], tuple(blocks)) if whole == file_size else None

    @property
    def length(self) -> int:
        """How many bytes are in the file."""
        return sum(block.unpacked for block in self.blocks)

    def workers(self, processors: int) -> int:
        """How many blocks are unpacked at once: bounded by the memory that takes, and 1 where that is no gain."""
        largest = max((max(block.packed, block.unpacked) for block in self.blocks), default=1)
        return max(1, min(processors, len(self.blocks), _AT_ONCE // max(largest, 1) - 1))


def unpacked_at_once(chunks: Iterable[bytes], index: XzIndex, workers: int, name: str) -> Iterator[bytes]:
    """What is in a file, several of its blocks being unpacked at a time; ImageError when one is damaged.

    At most `workers` + 1 blocks are kept.
    """
    ahead: deque[Future[list[bytes]]] = deque()
    source = _Cut(chunks, name)
    source.take(HEADER)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="xz")
    try:
        for block in index.blocks:
            ahead.append(pool.submit(_unpacked, source.take(block.padded), block, index.flags, name))
            if len(ahead) > workers:
                yield from ahead.popleft().result()
        while ahead:
            yield from ahead.popleft().result()
        source.rest()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _unpacked(data: bytes, block: Block, flags: bytes, name: str) -> list[bytes]:
    """What is in a block: a stream is made around it, whose index liblzma compares with what it finds."""
    index = b"\0" + _as_number(1) + _as_number(block.packed) + _as_number(block.unpacked)
    index = index.ljust((len(index) + 3) & ~3, b"\0")
    size_and_flags = (
        struct.pack("<I", len(index) // 4) + flags
    )  # the checksum makes one word more, which is not counted
    end = index + _checksum(index) + _checksum(size_and_flags) + size_and_flags + _END
    unpacker = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=MEMORY)
    found, length = [], 0
    try:
        for part in (_MAGIC + flags + _checksum(flags), data, end):
            rest = part
            while rest or not (unpacker.needs_input or unpacker.eof):
                found.append(unpacker.decompress(rest, _STEP))
                length, rest = length + len(found[-1]), b""
                if length > block.unpacked:
                    raise lzma.LZMAError("a block has more in it than the index says")
    except (lzma.LZMAError, EOFError) as error:
        raise ImageError(f"image {name}: its raw.xz is damaged: {error}") from error
    if not unpacker.eof:
        raise ImageError(f"image {name}: its raw.xz is damaged: a block has no end")
    return found


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number of up to nine bytes of seven bits, and where what follows it begins; ValueError for another."""
    number = 0
    for place in range(9):
        if at + place >= len(data):
            break
        byte = data[at + place]
        number |= (byte & 0x7F) << (7 * place)
        if not byte & 0x80:
            return number, at + place + 1
    raise ValueError


def _as_number(number: int) -> bytes:
    data = bytearray()
    while number > 0x7F:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*data, number))


def _checksum(data: bytes) -> bytes:
    return struct.pack("<I", zlib.crc32(data))


class _Cut:
    """Chunks of any length, taken in lengths as they are asked for."""

    def __init__(self, chunks: Iterable[bytes], name: str) -> None:
        self._chunks = iter(chunks)
        self._name = name
        self._kept = bytearray()

    def take(self, length: int) -> bytes:
        while len(self._kept) < length:
            chunk = next(self._chunks, b"")
            if not chunk:
                raise ImageError(f"image {self._name}: its raw.xz is cut short")
            self._kept += chunk
        taken = bytes(memoryview(self._kept)[:length])
        del self._kept[:length]
        return taken

    def rest(self) -> None:
        """Read what is left, so that whoever reads the file sees it to its end."""
        for _ in self._chunks:
            pass
