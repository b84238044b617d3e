"""A disk's bytes as a compressed stream. The counterpart of `unpacking`. Pure."""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Iterable, Iterator
from typing import Protocol

from pyvmiscsi.images.blocks.content import Piece, Zeros
from pyvmiscsi.images.formats.kinds import Format

_MOST_THREADS = 8
_SOME_ZEROS = bytes(1024 * 1024)


class Packer(Protocol):
    """One frame being packed, as `lzma.LZMACompressor` does it."""

    def compress(self, data: bytes | bytearray, /) -> bytes: ...

    def flush(self) -> bytes: ...


def packed(pieces: Iterable[Piece], kind: Format) -> Iterator[bytes]:
    """The pieces as one frame, with a checksum of what is in it; raw and qcow2 are not packed."""
    packer = _packer(kind)
    for piece in pieces:
        for data in _spelt_out(piece) if isinstance(piece, Zeros) else (piece,):
            yield packer.compress(data)
    yield packer.flush()


def _spelt_out(zeros: Zeros) -> Iterator[bytes]:
    for start in range(0, zeros.length, len(_SOME_ZEROS)):
        yield _SOME_ZEROS[: zeros.length - start]


def _packer(kind: Format) -> Packer:
    if kind is Format.GZIP:
        return zlib.compressobj(wbits=31)
    if kind is Format.XZ:
        import lzma

        return lzma.LZMACompressor(check=lzma.CHECK_CRC64)
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    workers = zstd.CompressionParameter.nb_workers
    threads = min(os.cpu_count() or 1, _MOST_THREADS, workers.bounds()[1])  # a library without threads says 0
    options: dict[int, int] = {zstd.CompressionParameter.checksum_flag: 1, workers: threads}
    return zstd.ZstdCompressor(options=options)
