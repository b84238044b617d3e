"""The digest of a disk, taken by whatever thread has the bytes in its processor's cache.

A SHA-256 has to go over every byte, also over zeros that nobody reads or writes: of a large sparse disk it would take
longer than all the rest. So a disk's digest is the SHA-256 of the SHA-256s of its MiBs, in which a MiB of zeros is a
constant. Where the disk is a file, standard tools take it, too:

    split -b 1M --filter='openssl dgst -sha256 -binary' disk.raw | sha256sum
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from pyvmiscsi.images.blocks.content import Piece, Zeros
from pyvmiscsi.images.blocks.pieces import is_zero

_PART = 1024 * 1024
_SOME_ZEROS = memoryview(bytes(_PART))
_ZERO_PART = hashlib.sha256(_SOME_ZEROS).digest()
_MANY_ZEROS = 4096


class DiskHash:
    """The SHA-256 of the SHA-256s of a disk's MiBs, the last as long as what is left: `sha256/1M:` and 64 digits.

    Whoever adds a piece hashes it: in the thread that has just read it, it is still in the processor's cache.
    """

    def __init__(self) -> None:
        self.length = 0
        """How many bytes of disk there were."""
        self._whole = hashlib.sha256()
        self._part = hashlib.sha256()
        self._room = _PART
        """How much is missing of the part that is being taken."""
        self._zeros = 0
        """How many zeros it begins with that are not in its hash yet: all of it may be zero."""

    def add(self, piece: Piece) -> None:
        """The next piece."""
        self.length += len(piece)
        if isinstance(piece, Zeros):
            self._add_zeros(piece.length)
            return
        with memoryview(piece) as view:
            at = 0
            while at < len(view):
                with view[at : at + self._room] as taken:
                    self._part.update(_SOME_ZEROS[: self._zeros])
                    self._part.update(taken)
                    self._zeros = 0
                    at += len(taken)
                    self._close_part(len(taken))

    def hexdigest(self) -> str:
        """Of all pieces so far, which are then the whole disk."""
        whole, part = self._whole.copy(), self._part.copy()
        if self._room < _PART:
            part.update(_SOME_ZEROS[: self._zeros])
            whole.update(part.digest())
        return f"sha256/1M:{whole.hexdigest()}"

    def of_whole_parts(self) -> tuple[int, str]:
        """How many bytes there are in whole MiBs so far, and the digest of those."""
        return self.length - (_PART - self._room), f"sha256/1M:{self._whole.hexdigest()}"

    def _add_zeros(self, rest: int) -> None:
        while rest:
            if self._room == _PART and rest >= _PART:
                count = min(rest // _PART, _MANY_ZEROS)
                self._whole.update(_ZERO_PART * count)
                rest -= count * _PART
                continue
            taken = min(rest, self._room)
            rest -= taken
            if self._room == _PART or self._zeros:
                self._zeros += taken
            else:
                self._part.update(_SOME_ZEROS[:taken])
            self._close_part(taken)

    def _close_part(self, taken: int) -> None:
        """So much more of the part was taken; when that is all of it, the next one begins."""
        self._room -= taken
        if not self._room:
            self._whole.update(_ZERO_PART if self._zeros else self._part.digest())
            self._part, self._room, self._zeros = hashlib.sha256(), _PART, 0


def hashed_by(digest: DiskHash | None, pieces: Iterator[Piece]) -> Iterator[Piece]:
    """The pieces, those that are zero as `Zeros`; the digest, if there is one, is of all that were handed out."""
    for piece in pieces:
        known = Zeros(len(piece)) if not isinstance(piece, Zeros) and is_zero(piece) else piece
        if digest is not None:
            digest.add(known)
        yield known
