"""The bytes of a disk from its beginning to its end, and who is told how far it is: what all transfers share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from pyvmiscsi.ports import Again


@dataclass(frozen=True, slots=True)
class Zeros:
    """So many zeros, which nobody had to read."""

    length: int

    def __len__(self) -> int:
        return self.length


Piece: TypeAlias = bytes | bytearray | Zeros
"""Some bytes of a disk; `len` tells how many."""


class Content(Protocol):
    """The bytes of a disk; they can be read once."""

    @property
    def name(self) -> str:
        """What it is called in messages: `image debian.raw`."""

    @property
    def length(self) -> int | None:
        """How many bytes the disk has, where that is known before they are read."""

    @property
    def done(self) -> int:
        """How far reading is, in bytes of what is read: of the file, when that is compressed."""

    @property
    def total(self) -> int | None:
        """How far it will go, where that is known."""

    @property
    def again(self) -> Again | None:
        """Gives bytes of the disk once more, or ImageError when they have changed; None where they come only once."""

    def pieces(self, length: int) -> Iterator[Piece]:
        """Everything in order, in whole sectors: data in pieces of at most `length` bytes, zeros in runs of any length.

        Data may be zero as well: `Zeros` are what the source knows to be zero without reading it. Runs in a thread of
        its own. Raises ImageError, DownloadError or IscsiError.
        """


@dataclass(frozen=True, slots=True)
class Written:
    """What a transfer wrote: how many bytes of disk, and their `digest.DiskHash`, if one was taken."""

    length: int
    digest: str | None
