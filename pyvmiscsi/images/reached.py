"""How far a copy has come, so that another can go on from there.

Nothing but its bytes tells whether a source is the same as before: neither its name nor its size and time. So whoever
goes on reads it from its beginning once more, writes nothing until where the first copy had come, and goes on only if
that much of it still has the same digest. That is sound for whatever can be read again, packed or not, and costs no
more than reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from pyvmiscsi.errors import ImageError, InputError
from pyvmiscsi.images.blocks.content import Piece, Zeros
from pyvmiscsi.units import SECTOR


@dataclass(frozen=True, slots=True)
class Reached:
    """The first `length` bytes of a disk are on stable storage; `digest` is their `DiskHash`."""

    length: int
    digest: str

    def __post_init__(self) -> None:
        if self.length < 0 or self.length % SECTOR.bytes:
            raise InputError(f"a copy that has come to byte {self.length}: not whole sectors")


class AnotherSourceError(ImageError):
    """The source is not the one that was copied so far; nothing of it was written."""


Milestone = Callable[[Reached], None]
"""Told now and then how far a copy has come. It must not wait: nobody tends the session meanwhile."""


def unmarked(_reached: Reached) -> None:
    """Nobody keeps it."""


def split_at(pieces: Iterable[Piece], place: int) -> Iterator[Piece]:
    """The same pieces, of which none lies on both sides of this byte. Pure."""
    at = 0
    for piece in pieces:
        before = place - at
        at += len(piece)
        if not 0 < before < len(piece):
            yield piece
        elif isinstance(piece, Zeros):
            yield Zeros(before)
            yield Zeros(len(piece) - before)
        else:
            yield piece[:before]
            yield piece[before:]
