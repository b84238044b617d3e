"""A LUN as the content that is copied to another, or saved."""

from __future__ import annotations

from collections.abc import Iterator

from pyvmiscsi.images.content import Piece
from pyvmiscsi.images.pieces import pieces
from pyvmiscsi.ports import BlockDevice


class LunContent:
    """All of a LUN, from its first sector to its last."""

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
        for piece in pieces(self._device.read_stream(self.length, 0), length):
            self.done += len(piece)
            yield piece
