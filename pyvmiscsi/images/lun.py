"""A LUN as the content that is copied to another, or saved."""

from __future__ import annotations

from collections.abc import Iterator

from pyvmiscsi.images.blocks.content import Piece, Zeros
from pyvmiscsi.images.blocks.pieces import pieces
from pyvmiscsi.ports import BlockDevice, Span
from pyvmiscsi.units import GIB

_LOOK_AHEAD = GIB.bytes
"""How much of the LUN is asked at a time where it has data: the answer is kept, and there may be a span each sector."""


class LunContent:
    """All of a LUN, from its first sector to its last; what it has let go of is not read."""

    again = None

    def __init__(self, name: str, device: BlockDevice) -> None:
        self.name = name
        self.done = 0
        self._device = device

    @property
    def length(self) -> int:
        return self._device.size.bytes

    @property
    def total(self) -> int:
        return self.length

    def pieces(self, length: int) -> Iterator[Piece]:
        size = self.length
        for start in range(0, size, _LOOK_AHEAD):
            spans = tuple(self._device.allocation(min(_LOOK_AHEAD, size - start), start))
            for piece in self._within(spans, length):
                self.done += len(piece)
                yield piece

    def _within(self, spans: tuple[Span, ...], length: int) -> Iterator[Piece]:
        data = self._device.read_spans((span.offset, span.length) for span in spans if span.allocated)
        for span in spans:
            if span.allocated:
                yield from pieces(_taken(data, span.length), length)
            else:
                yield Zeros(span.length)


def _taken(data: Iterator[bytearray], length: int) -> Iterator[bytearray]:
    """The next `length` bytes, which end with a piece."""
    while length:
        piece = next(data)
        length -= len(piece)
        yield piece
