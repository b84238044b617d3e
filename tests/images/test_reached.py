"""A copy that was cut short is gone on with, and what is on the LUN in the end is the source, whatever happened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyvmiscsi.errors import InputError, LunFullError
from pyvmiscsi.images import filling
from pyvmiscsi.images.blocks.content import Piece, Zeros
from pyvmiscsi.images.filling import fill
from pyvmiscsi.images.reached import AnotherSourceError, Reached, split_at
from pyvmiscsi.ports import Again, Span
from pyvmiscsi.units import MIB, SECTOR, Size
from tests.images.digests import digest_of

B = TypeVar("B", bound=bytes | bytearray | memoryview)

PIECE = MIB.bytes // 4
SIZE = 20 * PIECE


class Killed(BaseException):
    """The process is gone: it tells nobody anything any more."""


@dataclass
class CachingLun:
    """A LUN that has what was flushed, and of the rest what happens to be written; killed after so many pieces."""

    data: bytearray = field(default_factory=lambda: bytearray(SIZE))
    pieces_left: int = 10**6
    flush_every: int = 3
    keeps: Sequence[bool] = (True,)
    """Which of the pieces that were not flushed outlive the end."""
    written: list[int] = field(default_factory=list)
    longest_piece: int = PIECE
    sector: Size = SECTOR
    serial: str = "S0"
    _unflushed: list[tuple[int, bytes]] = field(default_factory=list)
    _stable: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self._stable = bytearray(self.data)

    @property
    def size(self) -> Size:
        return Size(len(self.data))

    @property
    def unflushed_from(self) -> int | None:
        return min((offset for offset, _ in self._unflushed), default=None)

    def end(self) -> bytearray:
        """What is there when all is over."""
        for number, (offset, data) in enumerate(self._unflushed):
            if self.keeps[number % len(self.keeps)]:
                self._stable[offset : offset + len(data)] = data
        return self._stable

    def pread(self, length: int, offset: int) -> bytes:
        return bytes(self.data[offset : offset + length])

    def pwrite(self, data: bytes | bytearray | memoryview, offset: int) -> int:
        if not self.pieces_left:
            raise Killed
        self.pieces_left -= 1
        self._put(bytes(data), offset)
        self.written.append(offset)
        if len(self.written) % self.flush_every == 0:
            self.flush()
        return len(data)

    def write_stream(
        self,
        pieces: Iterable[tuple[int, B]],
        *,
        again: Again | None = None,
    ) -> Iterator[B]:
        assert again is None
        for offset, data in pieces:
            self.pwrite(data, offset)
            yield data

    def write_zeros(self, length: int, offset: int) -> None:
        self._put(bytes(length), offset)

    def _put(self, data: bytes, offset: int) -> None:
        self.data[offset : offset + len(data)] = data
        self._unflushed.append((offset, data))

    def flush(self) -> None:
        self._stable, self._unflushed = bytearray(self.data), []

    def tend(self, seconds: float = 0.0) -> bool:
        return seconds >= 0

    def read_stream(self, length: int, offset: int) -> Iterator[bytearray]:
        raise NotImplementedError

    def read_spans(self, spans: Iterable[tuple[int, int]]) -> Iterator[bytearray]:
        raise NotImplementedError

    def allocation(self, length: int, offset: int) -> Iterator[Span]:
        raise NotImplementedError


@dataclass
class Source:
    """Content in these pieces."""

    runs: Sequence[bytes | Zeros]
    length: int | None = None
    done: int = 0
    name: str = "image test"
    again: None = None

    @property
    def total(self) -> int:
        return len(self.bytes)

    @property
    def bytes(self) -> bytes:
        return b"".join(bytes(len(run)) if isinstance(run, Zeros) else run for run in self.runs)

    def pieces(self, length: int) -> Iterator[Piece]:
        assert length == PIECE
        yield from self.runs


def data(byte: int, length: int = PIECE) -> bytes:
    return bytes([byte]) * length


runs = st.one_of(
    st.tuples(st.integers(0, 3), st.sampled_from((512, PIECE - 512, PIECE))).map(lambda drawn: data(*drawn)),
    st.sampled_from((512, PIECE, 3 * PIECE)).map(Zeros),
)
sources = st.lists(runs, min_size=1, max_size=20).map(Source).filter(lambda one: len(one.bytes) <= SIZE)


@pytest.fixture(autouse=True)
def _told_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "TOLD_SECONDS", 0.0)
    monkeypatch.setattr(filling, "MILESTONE_EVERY", MIB.bytes)


@dataclass(frozen=True)
class Cut:
    """When a run is killed, and what of it is left."""

    source: Source
    pieces: int
    flush_every: int
    keeps: list[bool]


cuts = st.builds(Cut, sources, st.integers(0, 20), st.integers(1, 5), st.lists(st.booleans(), min_size=1, max_size=5))


@settings(max_examples=25)
@given(first=sources, cuts_short=st.lists(cuts, min_size=1, max_size=3), same=st.booleans())
def test_killed_at_any_moment_it_ends_with_the_source_on_the_lun(
    first: Source, cuts_short: list[Cut], same: bool
) -> None:
    """The source may be another one each time, or the same."""
    lun, reached, fresh = bytearray(SIZE), Reached(0, ""), True
    for cut in (*cuts_short, Cut(first, 10**6, 3, [True])):
        source = Source(first.runs if same else cut.source.runs)
        for after in (reached if reached.length else None, None):
            device = CachingLun(lun, cut.pieces, cut.flush_every, cut.keeps)
            told: list[Reached] = []
            alive = [True]

            def tell(milestone: Reached, told: list[Reached] = told, alive: list[bool] = alive) -> None:
                told.extend([milestone] * alive[0])

            try:
                fill(device, source, fresh=fresh, milestone=tell, after=after)
            except Killed:
                pass
            except AnotherSourceError:
                reached, lun, fresh = Reached(0, ""), device.end(), False
                continue
            fresh, lun = False, device.end()
            reached = told[-1] if told else after or Reached(0, "")
            assert lun[: reached.length] == source.bytes[: reached.length]
            break
    assert lun == first.bytes.ljust(SIZE, b"\0")


def test_what_is_there_is_read_again_and_not_written() -> None:
    source = Source([data(at) for at in range(1, 13)])
    told: list[Reached] = []
    lun = CachingLun(pieces_left=10)
    with pytest.raises(Killed):
        fill(lun, source, fresh=True, milestone=told.append)
    assert told[-1] == Reached(2 * MIB.bytes, digest_of(source.bytes[: 2 * MIB.bytes]))

    again = CachingLun(lun.end())
    written = fill(again, source, fresh=False, after=told[-1])
    assert again.written == [at * PIECE for at in range(8, 12)]
    assert written.digest == digest_of(source.bytes)


def test_what_is_not_on_stable_storage_is_not_told() -> None:
    told: list[Reached] = []
    lun = CachingLun(pieces_left=15, flush_every=6)
    with pytest.raises(Killed):
        fill(lun, Source([data(1)] * 20), fresh=True, milestone=told.append)
    assert [one.length for one in told] == [MIB.bytes, 3 * MIB.bytes]


def test_it_is_told_seldom_and_once_more_at_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "TOLD_SECONDS", 3600.0)

    class Full(CachingLun):
        def pwrite(self, data: bytes | bytearray | memoryview, offset: int) -> int:
            if offset >= 12 * PIECE:
                raise LunFullError("full", status=2, key=7)
            return super().pwrite(data, offset)

    told: list[Reached] = []
    with pytest.raises(LunFullError, match="3 MiB are on stable storage"):
        fill(Full(), Source([data(1)] * 20), fresh=True, milestone=told.append)
    assert [one.length for one in told] == [3 * MIB.bytes]


@pytest.mark.parametrize("other", [[data(1), data(3)] * 3, [data(1)], [Zeros(SIZE)]])
def test_nothing_of_another_source_is_written(other: list[bytes | Zeros]) -> None:
    before = data(1, SIZE)
    lun = CachingLun(bytearray(before))
    reached = Reached(MIB.bytes, digest_of(before[: MIB.bytes]))
    with pytest.raises(AnotherSourceError, match="image test: its first 1 MiB are not those that were copied before"):
        fill(lun, Source(other), fresh=True, after=reached)
    assert lun.data == before


def test_a_source_that_may_have_changed_unseen_is_not_gone_on_with() -> None:
    with pytest.raises(InputError, match="digest"):
        fill(CachingLun(), Source([data(1)]), fresh=True, hashed=False, after=Reached(MIB.bytes, ""))


@given(lengths=st.lists(st.integers(1, 9), max_size=6), place=st.integers(0, 40))
def test_pieces_are_cut_at_one_place_and_nowhere_else(lengths: list[int], place: int) -> None:
    pieces: list[Piece] = [Zeros(count) if count % 2 else bytes(range(count)) for count in lengths]
    cut = list(split_at(pieces, place))
    assert Source([bytes(piece) if isinstance(piece, bytearray) else piece for piece in cut]).bytes == (
        Source([piece for piece in pieces if not isinstance(piece, bytearray)]).bytes
    )
    ends = {0, *accumulate(lengths)}
    assert {0, *accumulate(map(len, cut))} == ends | ({place} if 0 < place < sum(lengths) else set())
