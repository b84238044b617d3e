"""A lost session is taken up again, and nothing is lost: neither what was on its way nor what a crash forgets."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.errors import ImageError, ProofError, ScsiError, SessionLostError
from pyvmiscsi.initiator.libiscsi import unflushed
from pyvmiscsi.initiator.libiscsi.access import LibiscsiDevice
from pyvmiscsi.initiator.libiscsi.nouns import LibraryFaultError, Task
from pyvmiscsi.initiator.libiscsi.session import Session
from pyvmiscsi.initiator.libiscsi.shapes import BlockLimits, Capacity, Inquiry, Provisioning
from pyvmiscsi.names import Iqn, Lun, LunAddress, Portal

ADDRESS = LunAddress(Portal("10.0.0.10"), Iqn("iqn.2026-01.org.example:disk"), Lun(0))
SYNCHRONIZE_CACHE = 0x35
PIECES = [(at * 512, bytes([at]) * 512) for at in range(20)]


@dataclass
class Target:
    """What sessions write, and after how many commands each of them is lost, and how."""

    losses: list[tuple[int, SessionLostError]]
    written: dict[int, bytes] = field(default_factory=dict)
    stable: dict[int, bytes] = field(default_factory=dict)
    """What is left after a crash: what was written when it was last told to flush."""
    crashes: bool = False
    """Whether a session is lost because the target crashed."""
    logins: int = 0
    serial: str = "S0"
    bad_flushes: int = 0
    """How many flushes fail, and with each what was to be flushed is lost: Linux drops pages that it cannot write."""
    meanwhile: list[Callable[[], None]] = field(default_factory=list)
    """What happens elsewhere once a command has ended, and before anybody knows."""

    def log_in(self, _deadline: float) -> Session:
        self.logins += 1
        if self.crashes:
            self.written = dict(self.stable)
        return cast(Session, LossySession(self, self.losses.pop(0) if self.losses else (10**6, SessionLostError(""))))


@dataclass
class LossySession:
    """A session that ends with an error after some commands; those in flight with it had their effect, or not."""

    target: Target
    loss: tuple[int, SessionLostError]
    ended: int = 0
    done: list[Task] = field(default_factory=list)
    failed: list[Task] = field(default_factory=list)
    closed: bool = False

    def run_all(
        self, tasks: Iterable[Task], *, depth: int, deadline: float, attention: Callable[[ScsiError], None]
    ) -> Iterator[Task]:
        assert deadline > 0
        assert attention is not None
        flight: list[Task] = []
        try:
            for task in tasks:
                flight.append(task)
                if len(flight) == depth:
                    yield self._end(flight)
            while flight:
                yield self._end(flight)
        finally:
            if not self.closed:
                self._execute(flight)  # it has an end that nobody hears of

    def _end(self, flight: list[Task]) -> Task:
        """The first of them has ended, unless the session is lost before."""
        if self.closed:
            raise SessionLostError("closed")
        if self.ended == self.loss[0]:
            self._write(flight[len(flight) // 2])  # commands end in any order
            self.closed = True
            raise self.loss[1]
        self.ended += 1
        self._execute(flight)
        self.done = [task for task in self.done if task is not flight[0]]
        if self.target.meanwhile:
            self.target.meanwhile.pop()()
        if any(flight[0] is task for task in self.failed):
            raise ScsiError("a bad block", status=2, key=3)
        return flight.pop(0)

    def _execute(self, flight: list[Task]) -> None:
        """A target may do what is in flight in any order (SAM-5 8.6)."""
        for task in reversed(flight):
            if all(task is not other for other in self.done):
                self._write(task)
                self.done.append(task)

    def _write(self, task: Task) -> None:
        if task.cdb[0] == SYNCHRONIZE_CACHE:
            if self.target.bad_flushes:
                self.target.bad_flushes -= 1
                self.target.written = dict(self.target.stable)
                self.failed.append(task)
                return
            self.target.stable = dict(self.target.written)
            return
        self.target.written[int.from_bytes(task.cdb[2:10], "big") * 512] = bytes(task.data)

    def settle(self, _lun: int, *, deadline: float) -> None:
        assert deadline > 0

    def close(self, *, log_out: bool = True) -> None:
        assert log_out is not None
        self.closed = True

    def inquiry(self, _lun: int) -> Inquiry:
        return Inquiry(0, 0, 6, "TrueNAS", "iSCSI Disk", "0123")

    def capacity(self, _lun: int) -> Capacity:
        return Capacity(100, 512, 512, 0, thin=True, reads_zeros=True)

    def serial(self, _lun: int) -> str:
        return self.target.serial

    def block_limits(self, _lun: int) -> BlockLimits:
        return BlockLimits(0, 1, 0, 0, 0, 0)  # one sector a command

    def provisioning(self, _lun: int) -> Provisioning:
        return Provisioning(unmap=True, write_same_unmap=True, reads_zeros=True, thin=True)


def device_on(target: Target) -> LibiscsiDevice:
    return LibiscsiDevice(target.log_in, ADDRESS, time.monotonic() + 30)


LOSSES = (LibraryFaultError("cmdsn < expcmdsn"), SessionLostError("the target closed the connection"))


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("after", [[0], [1], [7], [3, 0, 5], [0, 0, 0]])
def test_every_piece_is_written_and_handed_back_once_in_order(after: list[int], loss: SessionLostError) -> None:
    target = Target([(count, loss) for count in after])
    returned = list(device_on(target).write_stream(PIECES, depth=4))
    assert returned == [data for _, data in PIECES]
    assert target.written == dict(PIECES)
    assert target.logins == 1 + len(after)


@given(
    after=st.lists(st.integers(0, 30), max_size=6),
    flush_every=st.integers(1, 12),
    places=st.lists(st.integers(0, 12), min_size=1, max_size=30),
)
def test_what_a_crash_forgets_is_written_again_in_its_order(
    after: list[int], flush_every: int, places: list[int]
) -> None:
    """Some places are written more than once: what was written last is there in the end."""
    pieces = [(place * 512, bytes([number]) * 512) for number, place in enumerate(places)]
    target = Target([(count, LOSSES[1]) for count in after], crashes=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unflushed, "FLUSH_EVERY", flush_every * 512)
        device = device_on(target)
        for piece in pieces:
            list(device.write_stream([piece]))
        device.flush()
    assert target.stable == dict(pieces)


@given(after=st.lists(st.integers(0, 30), max_size=6), flush_every=st.integers(1, 12))
def test_a_long_stream_outlives_crashes(after: list[int], flush_every: int) -> None:
    target = Target([(count, LOSSES[1]) for count in after], crashes=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unflushed, "FLUSH_EVERY", flush_every * 512)
        device = device_on(target)
        assert list(device.write_stream(PIECES, depth=4)) == [data for _, data in PIECES]
        device.flush()
    assert target.stable == dict(PIECES)


@given(
    bad=st.integers(1, 3),
    before=st.integers(1, 10),
    flush_every=st.integers(9, 30),
    after=st.lists(st.integers(0, 30), max_size=4),
)
def test_what_a_failed_flush_lost_is_written_again_before_the_next(
    bad: int, before: int, flush_every: int, after: list[int]
) -> None:
    """Not two flushes at once: it is eight commands that are in flight."""
    target = Target([(count, LOSSES[1]) for count in after], bad_flushes=bad)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unflushed, "FLUSH_EVERY", flush_every * 512)
        device, failed = device_on(target), 0
        for at in (0, before):
            rest = PIECES[at : before if at == 0 else None]
            while rest:
                try:
                    list(device.write_stream(rest))
                    rest = []
                except ScsiError:
                    failed += 1
        while device.unflushed_from is not None:
            try:
                device.flush()
            except ScsiError:
                failed += 1
    assert target.stable == dict(PIECES)
    assert failed <= bad, "one may fail unheard, with its session"


def test_what_was_answered_just_before_another_thread_mends_is_written_again() -> None:
    target = Target([], crashes=True)
    device = device_on(target)

    def crash() -> None:
        cast(LossySession, device._session._session).closed = True
        other = threading.Thread(target=device.flush)
        other.start()
        other.join()

    target.meanwhile.append(crash)
    device.pwrite(b"x" * 512, 0)
    device.flush()
    assert (target.logins, target.stable) == (2, {0: b"x" * 512})


def nothing() -> None:
    """Happens elsewhere."""


def flush_elsewhere(device: LibiscsiDevice, *, patience: float = 10.0) -> Callable[[], None]:
    """Another thread flushes, and does so again when it fails; it is waited for that long."""

    def flush() -> None:
        while True:
            try:
                return device.flush()
            except ScsiError:
                continue

    def act() -> None:
        other = threading.Thread(target=flush)
        other.start()
        other.join(patience)

    return act


def test_of_two_flushes_at_once_one_does_not_forget_what_the_other_could_not_write() -> None:
    """The target tells of it only once: the second ends well, and nothing is there."""
    target = Target([], bad_flushes=1)
    device = device_on(target)
    device.pwrite(b"x" * 512, 0)
    target.meanwhile.append(flush_elsewhere(device, patience=0.2))
    with pytest.raises(ScsiError, match="a bad block"):
        device.flush()
    device.flush()
    assert target.stable == {0: b"x" * 512}


@pytest.mark.parametrize("elsewhere", [True, False], ids=["by another thread", "by whoever takes the pieces"])
def test_a_flush_beside_that_of_a_stream_has_ended_well_only_if_both_have(
    elsewhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unflushed, "FLUSH_EVERY", 2 * 512)
    target = Target([], bad_flushes=1)
    device = device_on(target)
    stream = device.write_stream(PIECES[:2], depth=2)
    if elsewhere:
        target.meanwhile += [flush_elsewhere(device), nothing, nothing]
    else:
        next(stream), next(stream)
        device.flush()
        assert target.stable == dict(PIECES[:2])
    with pytest.raises(ScsiError, match="a bad block") if elsewhere else contextlib.nullcontext():
        list(stream)
    device.flush()
    assert target.stable == dict(PIECES[:2])


@pytest.mark.parametrize("ends", ["by an error", "by whoever takes the pieces"])
def test_a_flush_that_nobody_heard_the_end_of_counts_as_failed(ends: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unflushed, "FLUSH_EVERY", 2 * 512)
    target = Target([], bad_flushes=1)
    device = device_on(target)

    def source() -> Iterator[tuple[int, bytes]]:
        yield from PIECES[:2]
        if ends == "by an error":
            raise ImageError("cut short")

    stream = device.write_stream(source(), depth=2)
    next(stream), next(stream)
    if ends == "by an error":
        with pytest.raises(ImageError):
            next(stream)
    else:
        cast(Generator[bytes, None, None], stream).close()
    assert target.bad_flushes == 0
    device.flush()
    assert target.stable == dict(PIECES[:2])


@given(
    bad=st.integers(0, 3),
    flush_every=st.integers(1, 12),
    moments=st.lists(st.booleans(), max_size=40),
    after=st.lists(st.integers(0, 30), max_size=3),
)
def test_whenever_another_flushes_nothing_is_lost(
    bad: int, flush_every: int, moments: list[bool], after: list[int]
) -> None:
    target = Target([(count, LOSSES[1]) for count in after], bad_flushes=bad)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unflushed, "FLUSH_EVERY", flush_every * 512)
        device, written = device_on(target), dict[int, bytes]()

        def flush_and_see() -> None:
            if device._session._mending.locked():
                return  # whoever flushes waits until that is done
            before = dict(written)
            later, target.meanwhile = target.meanwhile, []
            flush_elsewhere(device)()
            target.meanwhile = later
            assert target.stable.items() >= before.items()

        target.meanwhile = [flush_and_see if moment else nothing for moment in moments]
        for piece in PIECES:
            with contextlib.suppress(ScsiError):
                list(device.write_stream([piece], depth=1))
                written[piece[0]] = piece[1]
        target.meanwhile = []
        flush_elsewhere(device)()
    assert target.stable.items() >= written.items()


@given(after=st.lists(st.integers(0, 30), max_size=6), flush_every=st.integers(1, 12), depth=st.integers(1, 6))
def test_a_buffer_is_free_once_it_came_back_when_its_bytes_can_be_had_again(
    after: list[int], flush_every: int, depth: int
) -> None:
    target = Target([(count, LOSSES[1]) for count in after], crashes=True)
    disk = dict(PIECES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unflushed, "FLUSH_EVERY", flush_every * 512)
        device = device_on(target)
        buffers = ((offset, bytearray(data)) for offset, data in PIECES)
        for buffer in device.write_stream(buffers, again=lambda offset, _length: disk[offset], depth=depth):
            buffer[:] = b"\xff" * len(buffer)
        device.flush()
    assert target.stable == disk


def test_a_source_that_does_not_give_again_what_was_lost_ends_the_stream() -> None:
    """Nothing else is written in its place."""

    def again(offset: int, length: int) -> bytes:
        raise ImageError(f"{length} bytes at {offset} have changed")

    target = Target([(5, LOSSES[1])], crashes=True)
    with pytest.raises(ImageError, match="512 bytes at 0 have changed"):
        list(device_on(target).write_stream(PIECES, again=again, depth=4))
    assert target.written == {}


def test_what_can_be_had_again_is_not_kept() -> None:
    device = device_on(Target([]))
    list(device.write_stream(PIECES, again=lambda _offset, _length: b"again", depth=4))
    assert {bytes(task.data) for task in device._session._unflushed.tasks()} == {b"again"}


def test_what_is_kept_to_be_written_again_is_bounded() -> None:
    target = Target([])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unflushed, "FLUSH_EVERY", 4 * 512)
        device = device_on(target)
        kept = [len(tuple(device._session._unflushed.tasks())) for _ in device.write_stream(PIECES, depth=4)]
    assert max(kept) <= 2 * 4


def test_what_the_caller_changes_later_is_not_written() -> None:
    target = Target([(1, LOSSES[1])], crashes=True)
    device = device_on(target)
    buffer = bytearray(b"x" * 512)
    device.pwrite(buffer, 0)
    buffer[:] = b"y" * 512
    device.flush()
    assert (target.logins, target.stable) == (2, {0: b"x" * 512})


@pytest.mark.parametrize("after", [[0], [3, 0, 5]])
def test_reading_goes_on_after_any_loss(after: list[int]) -> None:
    target = Target([(count, SessionLostError("the target closed the connection")) for count in after])
    pieces = list(device_on(target).read_stream(20 * 512, 0))
    assert [len(piece) for piece in pieces] == [512] * 20
    assert target.logins == 1 + len(after)


def test_another_disk_in_its_place_is_refused() -> None:
    target = Target([(0, LibraryFaultError("cmdsn < expcmdsn"))])
    device = device_on(target)
    target.serial = "S1"
    with pytest.raises(ProofError, match="another disk, serial S1"):
        list(device.write_stream(PIECES, depth=4))
    assert 0 not in target.written


@pytest.mark.parametrize("error", [LOSSES[1], ScsiError("its LUN has grown", status=2, key=6, asc=0x2A, ascq=0x09)])
def test_what_the_source_of_a_stream_fails_with_is_no_loss_of_this_session(error: Exception) -> None:
    """It may be another LUN: what was read of it so far would pass for all of it."""

    def source() -> Iterator[tuple[int, bytes]]:
        yield from PIECES[:2]
        raise error

    target = Target([])
    with pytest.raises(type(error)) as raised:
        list(device_on(target).write_stream(source(), depth=4))
    assert raised.value is error
    assert target.logins == 1


def test_gives_up_when_nothing_gets_through_any_more() -> None:
    target = Target([(0, LibraryFaultError("cmdsn < expcmdsn"))] * 100)
    with pytest.raises(LibraryFaultError):
        list(device_on(target).write_stream(PIECES, depth=4))
    assert target.logins < 20
