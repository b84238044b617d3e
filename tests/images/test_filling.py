"""What is on the LUN afterwards is the content, and zeros behind it, whatever was there and however it came."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.errors import ImageError, InterruptedOperation, LunFullError, ProofError
from pyvmiscsi.images import filling
from pyvmiscsi.images.blocks.content import Piece, Written, Zeros
from pyvmiscsi.images.blocks.pieces import pieces
from pyvmiscsi.images.filling import fill, read_back
from pyvmiscsi.images.lun import LunContent
from pyvmiscsi.units import Size
from tests.fakes.luns import PIECE, MemoryLun
from tests.images.digests import digest_of

SIZE = 16 * PIECE


@dataclass
class Chunks:
    """Content that comes in these chunks, and then perhaps an error."""

    chunks: Sequence[bytes | Zeros]
    error: Exception | None = None
    length: int | None = None
    name: str = "image test"
    done: int = 0
    again: None = None

    @property
    def total(self) -> int:
        return sum(map(len, self.chunks))

    def pieces(self, length: int) -> Iterator[Piece]:
        for chunk in self.chunks:
            for piece in (chunk,) if isinstance(chunk, Zeros) else pieces([chunk], length):
                self.done += len(piece)
                yield piece
        if self.error:
            raise self.error


def sectors(most: int) -> st.SearchStrategy[bytes]:
    """Whole sectors, many of them zero."""
    zero, other = st.just(bytes(512)), st.binary(min_size=512, max_size=512)
    return st.lists(zero | other, max_size=most).map(b"".join)


def dirty() -> MemoryLun:
    return MemoryLun(bytearray(os.urandom(SIZE)))


@given(data=sectors(SIZE // 512).filter(bool), cuts=st.lists(st.integers(0, SIZE // 512)), fresh=st.booleans())
def test_writes_the_content_and_leaves_zeros_behind_it(data: bytes, cuts: list[int], fresh: bool) -> None:
    ends = sorted({0, len(data), *(cut * 512 for cut in cuts if cut * 512 < len(data))})
    chunks = [data[start:end] for start, end in pairwise(ends)]
    known = [chunk if any(chunk) else Zeros(len(chunk)) for chunk in chunks]
    lun = MemoryLun(bytearray(SIZE)) if fresh else dirty()
    written = fill(lun, Chunks(known), fresh=fresh)
    assert lun.data == data.ljust(SIZE, b"\0")
    assert lun.flushed
    assert written == Written(len(data), digest_of(data))
    read_back(lun, written)


def test_zeros_are_not_written_to_a_fresh_lun() -> None:
    lun = MemoryLun(bytearray(SIZE))
    fill(lun, Chunks([bytes(PIECE), b"x" * PIECE, bytes(3 * PIECE), b"y" * 512]), fresh=True)
    assert lun.written == [PIECE, 5 * PIECE]


def test_a_larger_content_of_known_length_is_refused_before_anything_is_written() -> None:
    lun = dirty()
    before = bytes(lun.data)
    with pytest.raises(ImageError, match="it has 128K, and the disk 64K"):
        fill(lun, Chunks([b"x" * SIZE * 2], length=SIZE * 2), fresh=False)
    assert lun.data == before


def test_a_larger_content_of_unknown_length_is_refused_at_its_first_byte_too_many() -> None:
    lun = MemoryLun(bytearray(SIZE))
    with pytest.raises(ImageError, match="it has more, and the disk 64K"):
        fill(lun, Chunks([b"x" * (SIZE + 512)]), fresh=True)


def test_an_empty_content_is_refused() -> None:
    with pytest.raises(ImageError, match="empty"):
        fill(dirty(), Chunks([]), fresh=True)


def test_what_the_content_raises_ends_it() -> None:
    lun = MemoryLun(bytearray(SIZE))
    with pytest.raises(ImageError, match="damaged"):
        fill(lun, Chunks([b"x" * PIECE], error=ImageError("damaged")), fresh=True)
    assert not lun.flushed


def test_what_progress_raises_ends_it() -> None:
    def stop(done: int, _total: int | None) -> None:
        if done > PIECE:
            raise InterruptedOperation("stopped")

    lun = MemoryLun(bytearray(SIZE))
    with pytest.raises(InterruptedOperation):
        fill(lun, Chunks([b"x" * SIZE]), fresh=True, progress=stop)
    assert len(lun.written) < SIZE // PIECE


def test_progress_never_goes_back_and_reaches_the_end() -> None:
    told: list[tuple[int, int | None]] = []
    fill(MemoryLun(bytearray(SIZE)), Chunks([b"x" * SIZE]), fresh=True, progress=lambda *now: told.append(now))
    assert told == sorted(told)
    assert told[-1] == (SIZE, SIZE)


@pytest.mark.parametrize("at", [0, 3 * PIECE - 1, 3 * PIECE, SIZE - 1])
def test_reading_back_finds_a_changed_byte_anywhere(at: int) -> None:
    lun = MemoryLun(bytearray(SIZE))
    written = fill(lun, Chunks([b"x" * 3 * PIECE]), fresh=True)
    lun.data[at] ^= 1
    with pytest.raises(ProofError):
        read_back(lun, written)


@given(data=sectors(8).filter(bool))
def test_copies_a_lun_onto_a_larger_one(data: bytes) -> None:
    source, lun = MemoryLun(bytearray(data)), dirty()
    written = fill(lun, LunContent("tank/vm/web1/disk0@monday", source), fresh=False)
    assert lun.data == data.ljust(SIZE, b"\0")
    assert written.length == len(data)


class TendedLun(MemoryLun):
    """A LUN whose target pings while nothing is written, and that tells once it was tended three times."""

    def __init__(self) -> None:
        super().__init__(bytearray(SIZE))
        self.tended = 0
        self.is_tended = threading.Event()

    def tend(self, seconds: float = 0.0) -> bool:
        self.tended += 1
        if self.tended == 3:
            self.is_tended.set()
        return super().tend(seconds)


def test_while_a_slow_source_has_nothing_the_session_is_tended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the target drops it: it pings, and nobody answers."""
    monkeypatch.setattr(filling, "_TEND_SECONDS", 0.001)
    lun = TendedLun()

    class SlowContent(Chunks):
        def pieces(self, length: int) -> Iterator[Piece]:
            for piece in super().pieces(length):
                yield piece
                assert lun.is_tended.wait(30)

    fill(lun, SlowContent([b"x" * PIECE, b"y" * PIECE]), fresh=True)
    assert lun.data[: 2 * PIECE] == b"x" * PIECE + b"y" * PIECE


class FullLun(MemoryLun):
    """A thin one whose pool is full after some pieces; those before `flushed_to` are on stable storage."""

    def __init__(self, room: int, *, flushed_to: int | None = None) -> None:
        super().__init__(bytearray(SIZE))
        self._room = room
        self._flushed_to = flushed_to

    @property
    def unflushed_from(self) -> int | None:
        return self._flushed_to

    def pwrite(self, data: bytes | bytearray | memoryview, offset: int) -> int:
        if offset >= self._room:
            raise LunFullError("LUN 0: DATA PROTECT (space allocation failed)", status=2, key=7, hint="make room")
        return super().pwrite(data, offset)


@pytest.mark.parametrize(
    ("flushed_to", "stable"), [(None, 5 * PIECE), (3 * PIECE, 3 * PIECE), (0, 0), (9 * PIECE, 5 * PIECE)]
)
def test_an_error_of_the_lun_tells_how_much_of_the_content_is_safe(
    flushed_to: int | None, stable: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling, "MIB", Size(1))
    lun = FullLun(5 * PIECE, flushed_to=flushed_to)
    with pytest.raises(LunFullError) as caught:
        fill(lun, Chunks([b"x" * SIZE], length=SIZE), fresh=True)
    assert caught.value.message == "LUN 0: DATA PROTECT (space allocation failed)"
    assert caught.value.hint == (
        f"make room; {stable} MiB of {SIZE} MiB are on stable storage, and the volume is unfinished"
    )
