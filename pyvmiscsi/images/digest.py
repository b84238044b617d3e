"""SHA-256 beside other work: hashlib lets go of the interpreter, so a thread of its own costs next to nothing."""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
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
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sha256")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(cancel_futures=True)

    def add(self, piece: Piece) -> None:
        """The next piece; it must not be changed any more."""
        if isinstance(piece, Zeros):
            self._behind.append(self._thread.submit(self._add_zeros, piece.length))
        else:
            self._behind.append(self._thread.submit(self._sha256.update, piece))
        if len(self._behind) > _BEHIND:
            self._behind.popleft().result()

    def _add_zeros(self, length: int) -> None:
        for start in range(0, length, len(_SOME_ZEROS)):
            self._sha256.update(_SOME_ZEROS[: length - start])

    def hexdigest(self) -> str:
        """Of all pieces so far."""
        while self._behind:
            self._behind.popleft().result()
        return self._sha256.hexdigest()
