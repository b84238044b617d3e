"""SHA-256 beside other work: hashlib lets go of the interpreter, so a thread of its own costs next to nothing.

A SHA-256 has to go over every byte, also over zeros that nobody reads or writes. For a large sparse disk that takes
longer than all the rest: whoever does not need it takes `NoDigest`.
"""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Self

from pyvmiscsi.images.content import Piece, Zeros

_BEHIND = 16
"""How many pieces are kept until they are hashed."""
_SOME_ZEROS = memoryview(bytes(1024 * 1024))


class Digest:
    """A SHA-256 taken by a thread of its own, a bounded number of pieces behind."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._behind: deque[Future[None]] = deque()
        self._left = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sha256")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left = True
        self._thread.shutdown(cancel_futures=True)

    def add(self, piece: Piece) -> None:
        """The next piece, once there is room for it; it must not be changed any more."""
        self._behind.append(self._thread.submit(self._take, piece))
        if len(self._behind) > _BEHIND:
            self._behind.popleft().result()

    def has_room(self, seconds: float) -> bool:
        """Whether another piece can be added without waiting for it; waits at most so long."""
        return self._is_within(_BEHIND - 1, seconds)

    def is_done(self, seconds: float) -> bool:
        """Whether all pieces so far are in it; waits at most so long."""
        return self._is_within(0, seconds)

    def hexdigest(self) -> str | None:
        """Of all pieces so far."""
        while self._behind:
            self._behind.popleft().result()
        return self._sha256.hexdigest()

    def _is_within(self, count: int, seconds: float) -> bool:
        if len(self._behind) > count:
            wait((self._behind[-count - 1],), timeout=seconds)
        while self._behind and self._behind[0].done():
            self._behind.popleft().result()
        return len(self._behind) <= count

    def _take(self, piece: Piece) -> None:
        if not isinstance(piece, Zeros):
            self._sha256.update(piece)
            return
        for start in range(0, piece.length, len(_SOME_ZEROS)):
            if self._left:
                return
            self._sha256.update(_SOME_ZEROS[: piece.length - start])


class NoDigest(Digest):
    """Takes no digest."""

    def add(self, piece: Piece) -> None:
        """Pass over it."""

    def hexdigest(self) -> None:
        """None."""
