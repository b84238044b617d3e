"""Chunks of any length become pieces of one length. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from pyvmiscsi.images.content import Piece, Zeros


def pieces(chunks: Iterable[bytes | bytearray], length: int) -> Iterator[Piece]:
    """The same bytes in pieces of `length`, the last as long as what is left; some of those that are zero as `Zeros`.

    Data is copied at most once, and zeros of a long chunk not at all: most of what comes out of a compressed disk.
    """
    zeros = _zeros(length)
    rest = bytearray()
    for chunk in chunks:
        at = 0
        if rest:
            at = min(length - len(rest), len(chunk))
            rest += memoryview(chunk)[:at]
            if len(rest) < length:
                continue
            yield rest
            rest = bytearray()
        while len(chunk) - at >= length:
            if chunk.startswith(zeros, at):
                yield Zeros(length)
            else:
                yield chunk if len(chunk) == length else chunk[at : at + length]
            at += length
        rest += memoryview(chunk)[at:]
    if rest:
        yield rest


def is_zero(piece: bytes | bytearray) -> bool:
    """Whether it is nothing but zeros: a comparison in C, which ends at the first byte that is none."""
    return piece == _zeros(len(piece))


@lru_cache(maxsize=4)
def _zeros(length: int) -> bytes:
    return bytes(length)
