"""Chunks of any length become pieces of one length. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache


def pieces(chunks: Iterable[bytes | bytearray], length: int) -> Iterator[bytes | bytearray]:
    """The same bytes in pieces of `length`, the last as long as what is left."""
    rest = bytearray()
    for chunk in chunks:
        if not rest and len(chunk) == length:
            yield chunk
            continue
        rest += chunk
        whole = len(rest) // length * length
        with memoryview(rest) as view:
            for start in range(0, whole, length):
                yield bytes(view[start : start + length])
        del rest[:whole]
    if rest:
        yield bytes(rest)


def is_zero(piece: bytes | bytearray) -> bool:
    """Whether it is nothing but zeros: a comparison in C, which ends at the first byte that is none."""
    return piece == _zeros(len(piece))


@lru_cache(maxsize=4)
def _zeros(length: int) -> bytes:
    return bytes(length)
