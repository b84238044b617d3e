"""What a compressed stream holds, a bounded amount at a time, so that no input makes memory grow. Pure."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Protocol

from pyvmiscsi.errors import ImageError
from pyvmiscsi.images.formats.kinds import Format, Kind

LARGEST = 128 * 1024
"""How much one step may unpack: enough to be quick, and little enough to be still in the cache of who looks at it."""


class Unpacker(Protocol):
    """One frame (gzip member, xz stream, zstd frame) being unpacked, as `lzma.LZMADecompressor` does it."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def unpacked(chunks: Iterator[bytes], kind: Kind, name: str) -> Iterator[bytes]:
    """What the stream holds, in chunks of at most `LARGEST` bytes; several frames in a row are one.

    ImageError when it is damaged or cut short, or when something else follows it.
    """
    start, broken = _unpackers(kind)
    frame: Unpacker | None = None
    for chunk in chunks:
        data = chunk
        while data or (frame is not None and not frame.needs_input):
            if frame is None:
                data = data.lstrip(b"\0") if kind is not Format.ZSTD else data  # padding, as gzip(1) and xz(1) take it
                if not data:
                    break
                frame = start()
            try:
                out = frame.decompress(data, LARGEST)
            except broken as error:
                raise ImageError(f"image {name}: its {kind} is damaged: {error}") from error
            data = b""
            if frame.eof:
                data, frame = frame.unused_data, None
            if out:
                yield out
    if frame is not None:
        raise ImageError(f"image {name}: its {kind} is cut short")


class _GzipMember:
    """`zlib.decompressobj` with the shape that lzma and zstd have. It checks the member's length and CRC."""

    def __init__(self, deflate: ModuleType) -> None:
        self._member = deflate.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return bool(self._member.eof)

    @property
    def needs_input(self) -> bool:
        return not self.eof and not self._member.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return bytes(self._member.unused_data)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return bytes(self._member.decompress(self._member.unconsumed_tail + data, max_length))


def deflate_library() -> ModuleType:
    """ISA-L, which unpacks twice as fast, where it is installed; else zlib."""
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib
    return isal_zlib


def _unpackers(kind: Kind) -> tuple[Callable[[], Unpacker], type[Exception]]:
    """How a frame is begun, and what a damaged one raises."""
    if kind is Format.GZIP:
        deflate = deflate_library()
        return lambda: _GzipMember(deflate), deflate.error
    if kind is Format.XZ:
        import lzma

        from pyvmiscsi.images.packed.xz import MEMORY

        return lambda: lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=MEMORY), lzma.LZMAError
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd.ZstdDecompressor, zstd.ZstdError
