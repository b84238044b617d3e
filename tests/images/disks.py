"""Disks put together from the pieces that they come in."""

from __future__ import annotations

from collections.abc import Iterable

from pyvmiscsi.images.blocks.content import Piece, Zeros


def spelt_out(pieces: Iterable[Piece]) -> bytes:
    """Every byte of the pieces, zeros as well."""
    return b"".join(bytes(piece.length) if isinstance(piece, Zeros) else piece for piece in pieces)
