"""Chunks of any length become pieces of one length. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from pyvmiscsi.images.content import Piece, Zeros

_LONGEST_RUN = 16 * 1024 * 1024
"""So that whoever watches is told how far it is."""


def pieces(chunks: Iterable[bytes | bytearray], length: int) -> Iterator[Piece]:
    """The same bytes in pieces of `length`, the last as long as what is left; whole ones that are zero as `Zeros`.

    A run of zeros is one piece, up to `_LONGEST_RUN`, since each piece goes from thread to thread.
    """
    run = 0
    for piece in _cut(chunks, length):
        if len(piece) == length and is_zero(piece):
            run += length
            if run >= _LONGEST_RUN:
                yield Zeros(run)
                run = 0
            continue
        if run:
            yield Zeros(run)
            run = 0
        yield piece
    if run:
        yield Zeros(run)


def _cut(chunks: Iterable[bytes | bytearray], length: int) -> Iterator[bytes | bytearray]:
    """Pieces of `length`; each is copied once at most, and not at all when it is a chunk."""
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
