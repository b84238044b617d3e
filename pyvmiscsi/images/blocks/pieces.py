"""Chunks of any length become pieces of one length. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from pyvmiscsi.images.blocks.content import Piece, Zeros

_LONGEST_RUN = 16 * 1024 * 1024
"""So that whoever watches is told how far it is."""


def pieces(chunks: Iterable[bytes | bytearray], length: int) -> Iterator[Piece]:
    """The same bytes in pieces of `length`, the last as long as what is left; those that are zero as `Zeros`.

    A run of zeros is one piece, up to about `_LONGEST_RUN`, since each piece goes from thread to thread. Chunks of
    zeros are looked at while they are in the processor's cache, and never copied.
    """
    run = 0
    begun = _Begun(length)
    for chunk in chunks:
        at = 0
        if begun.is_zero and is_zero(chunk):
            zeros = begun.held + len(chunk)
            run += zeros - zeros % length
            begun.hold_zeros(zeros % length)
            at = len(chunk)
        while at < len(chunk):
            at += begun.take(chunk, at)
            if begun.held == length:
                piece = begun.whole()
                if is_zero(piece):
                    run += length
                    continue
                if run:
                    yield Zeros(run)
                    run = 0
                yield piece
        if run >= _LONGEST_RUN:
            yield Zeros(run)
            run = 0
    if begun.is_zero:
        run += begun.held
    if run:
        yield Zeros(run)
    if not begun.is_zero:
        yield begun.whole()


class _Begun:
    """What there is of the next piece: zeros, and then parts of chunks."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._zeros = 0
        self._parts: list[bytes | bytearray | memoryview] = []
        self.held = 0

    @property
    def is_zero(self) -> bool:
        """Whether nothing but zeros was taken, as far as anybody has looked."""
        return not self._parts

    def hold_zeros(self, count: int) -> None:
        """So many, and nothing else."""
        self._zeros = self.held = count

    def take(self, chunk: bytes | bytearray, at: int) -> int:
        """As much of the chunk from there on as there is room for; how much that is."""
        count = min(self._length - self.held, len(chunk) - at)
        self._parts.append(chunk if count == len(chunk) else memoryview(chunk)[at : at + count])
        self.held += count
        return count

    def whole(self) -> bytes | bytearray:
        """All of it; the next piece has nothing yet. A chunk that is the piece is not copied."""
        first, zeros = self._parts[0], self._zeros
        if len(self._parts) == 1 and not zeros and not isinstance(first, memoryview):
            piece = first
        else:
            piece = b"".join((bytes(zeros), *self._parts))
        self._parts, self._zeros, self.held = [], 0, 0
        return piece


def is_zero(piece: bytes | bytearray) -> bool:
    """Whether it is nothing but zeros: a comparison in C, which ends at the first byte that is none."""
    return piece == zeros(len(piece))


@lru_cache(maxsize=4)
def zeros(length: int) -> bytes:
    """So many zeros: one object, so that comparing it with itself is no work."""
    return bytes(length)
