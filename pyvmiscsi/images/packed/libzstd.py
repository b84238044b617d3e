"""What a .zst holds, unpacked by the system's libzstd straight into the pieces that are written.

Python's own module makes an object of every 128 KiB, joined out of parts, and of those the pieces are joined; each time
it waits for the interpreter. Where there is a libzstd, an import takes a tenth less time, of a sparse disk a fifth. Its
functions for streams are the same in every release since 1.0; the window it takes is 128 MiB at most, as Python's.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Iterable, Iterator
from typing import Self

from pyvmiscsi.errors import ImageError
from pyvmiscsi.images.blocks.pieces import is_zero, zeros
from pyvmiscsi.images.formats.kinds import Format

SONAME = "libzstd.so.1"


class _In(ctypes.Structure):
    """ZSTD_inBuffer. Like the other it keeps alive what it points to."""

    _fields_ = (("data", ctypes.c_char_p), ("size", ctypes.c_size_t), ("done", ctypes.c_size_t))


class _Out(ctypes.Structure):
    """ZSTD_outBuffer."""

    _fields_ = (("data", ctypes.POINTER(ctypes.c_char)), ("size", ctypes.c_size_t), ("done", ctypes.c_size_t))

    @classmethod
    def into(cls, buffer: bytearray) -> Self:
        return cls(ctypes.pointer(ctypes.c_char.from_buffer(buffer)), len(buffer), 0)

    @property
    def is_full(self) -> bool:
        return bool(self.done == self.size)


@functools.cache
def library() -> ctypes.CDLL | None:
    """libzstd, where there is one."""
    try:
        lib = ctypes.CDLL(SONAME)
    except OSError:
        return None
    lib.ZSTD_createDStream.argtypes, lib.ZSTD_createDStream.restype = (), ctypes.c_void_p
    lib.ZSTD_freeDStream.argtypes = lib.ZSTD_initDStream.argtypes = (ctypes.c_void_p,)
    lib.ZSTD_freeDStream.restype = lib.ZSTD_initDStream.restype = ctypes.c_size_t
    lib.ZSTD_decompressStream.argtypes = (ctypes.c_void_p, ctypes.POINTER(_Out), ctypes.POINTER(_In))
    lib.ZSTD_decompressStream.restype = ctypes.c_size_t
    lib.ZSTD_isError.argtypes = lib.ZSTD_getErrorName.argtypes = (ctypes.c_size_t,)
    lib.ZSTD_getErrorName.restype = ctypes.c_char_p
    return lib


def unpacked(lib: ctypes.CDLL, packed: Iterable[bytes], length: int, name: str) -> Iterator[bytes | bytearray]:
    """What the stream holds, in pieces of `length`, the last as long as what is left; several frames in a row are one.

    ImageError when it is damaged or cut short, or when something else follows it.
    """
    stream = lib.ZSTD_createDStream()
    if not stream:
        raise MemoryError("libzstd has no memory for a stream")
    try:
        lib.ZSTD_initDStream(stream)
        piece = bytearray(length)
        out = _Out.into(piece)
        missing = 0  # 0 once a frame is complete, and all of it is unpacked
        for data in packed:
            given = _In(data, len(data), 0)
            while given.done < given.size or (missing and out.is_full):
                if out.is_full:
                    if is_zero(piece):
                        yield zeros(length)
                    else:
                        yield piece
                        piece = bytearray(length)
                    out = _Out.into(piece)
                missing = lib.ZSTD_decompressStream(stream, out, given)
                if lib.ZSTD_isError(missing):
                    why = lib.ZSTD_getErrorName(missing).decode()
                    raise ImageError(f"image {name}: its {Format.ZSTD} is damaged: {why}")
        if missing:
            raise ImageError(f"image {name}: its {Format.ZSTD} is cut short")
        if out.done:
            yield piece[: out.done]
    finally:
        lib.ZSTD_freeDStream(stream)
