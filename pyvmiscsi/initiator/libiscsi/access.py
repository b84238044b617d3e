"""LUNs as block devices of this process: `ports.BlockAccess` on libiscsi.

    with LibiscsiAccess().open(address, credential) as device:
        device.pwrite(data, 0)
        device.flush()

Large transfers go in pieces of 512 KiB, eight in flight: from 256 KiB to 2 MiB a piece, with 2 to 16 MiB in
flight, throughput is level, and one at a time is two to three times slower.
"""

from __future__ import annotations

import contextlib
import itertools
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from pyvmiscsi.errors import DeadlineError, InputError, IscsiError, LoginError, ProofError, ScsiError, SessionLostError
from pyvmiscsi.initiator.libiscsi import allocation, cdb, facts, sense, shapes
from pyvmiscsi.initiator.libiscsi.nouns import NO_DIGESTS, Buffer, Digests, Task
from pyvmiscsi.initiator.libiscsi.session import Session
from pyvmiscsi.initiator.libiscsi.shapes import LbaExtent
from pyvmiscsi.initiator.libiscsi.unflushed import Unflushed
from pyvmiscsi.model import Credential
from pyvmiscsi.names import LunAddress
from pyvmiscsi.ports import Span
from pyvmiscsi.units import Size
from pyvmiscsi.waiting import wait_for

B = TypeVar("B", bound=bytes | bytearray | memoryview)

PIECE = 512 * 1024
DEPTH = 8
LET_GO = 256 * 1024**2
"""How many bytes one WRITE SAME lets go of: tgtd counts them in 32 bits, and the answer has to come in time."""
LET_GO_UNIT = 1024**2
"""It lets go of whole units only: ZFS leaves a volume's blocks as they are where they are let go of in part."""
EDGE = 128 * 1024
"""How much is read again of where such a span begins and ends, to see whether it was done: a volume's largest block."""
IO_SECONDS = 60.0
"""How long one piece may take: longer than a nas needs to restart its iSCSI service or to take over a pool."""

_LBA_STATUS = 8 + 16 * 256  # bytes of one answer to GET LBA STATUS

MEND_SECONDS = 30.0
"""How long a target may take to come back after a session was lost."""
_MENDINGS = 10
"""How often in a row a session is taken up again before one command has ended."""


@dataclass(frozen=True, slots=True)
class _Flush(Task):
    """A SYNCHRONIZE CACHE, and how much of what was written it puts on stable storage."""

    mark: int = 0


class LibiscsiAccess:
    """Opens LUNs with the embedded initiator; `initiator` is the name it gives itself."""

    def __init__(self, initiator: str = "", *, digests: Digests = NO_DIGESTS) -> None:
        self._initiator = initiator
        self._digests = digests

    @contextlib.contextmanager
    def open(
        self, address: LunAddress, credential: Credential | None = None, *, deadline: float = 30.0
    ) -> Iterator[LibiscsiDevice]:
        """Log in for the length of the block; LoginError, or ProofError when the LUN is no disk."""
        end = time.monotonic() + deadline
        isid = secrets.randbits(40)

        def log_in(seconds: float) -> Session:
            return Session.login(
                address.portal,
                address.target,
                initiator=self._initiator,
                credential=credential,
                isid=isid,
                digests=self._digests,
                deadline=seconds,
            )

        device = LibiscsiDevice(log_in, address, end)
        try:
            yield device
        finally:
            device.close()


class LibiscsiDevice:
    """A LUN that is logged in: whole sectors at byte offsets. Safe to call from several threads.

    A lost session is taken up again. The new one has the same initiator name and ISID, so the target ends everything of
    the old one first (RFC 7143 section 6.3.5), and it is proven to be the same disk. Then all that was written since
    the last flush is sent again, because a nas that crashed may have lost it, and what was on its way. So that this
    fits into memory, a long write is flushed every 32 MiB. The disk is proven as well when the target says that it was
    changed; one that has grown goes on, with its new `size`.
    """

    def __init__(self, log_in: Callable[[float], Session], address: LunAddress, end: float) -> None:
        self._log_in = log_in
        self._lun = address.lun.number
        self._name = str(address)
        self._mending = threading.Lock()
        self._unflushed = Unflushed()
        self._session = log_in(max(end - time.monotonic(), 1.0))
        try:
            self._look(address, max(end - time.monotonic(), 1.0))
        except BaseException:
            self.close()
            raise

    def _look(self, address: LunAddress, deadline: float) -> None:
        self._session.settle(self._lun, deadline=deadline)
        found = facts.look(self._session, address)
        self._size, self._sector, self._serial = found.size, found.sector, found.serial
        sector = found.sector.bytes
        self._piece = min(PIECE, found.longest_transfer) // sector * sector
        self._lets_go = min(LET_GO, found.longest_let_go) // LET_GO_UNIT * LET_GO_UNIT
        self._tells_holes = found.reads_zeros
        self._is_narrow = found.is_narrow

    def close(self) -> None:
        """Log out."""
        self._session.close()

    @property
    def size(self) -> Size:
        return self._size

    @property
    def sector(self) -> Size:
        return self._sector

    @property
    def serial(self) -> str:
        return self._serial

    def pread(self, length: int, offset: int) -> bytes:
        """`length` bytes from `offset`."""
        data = bytearray(length)
        self.pread_into(data, offset)
        return bytes(data)

    def pread_into(self, buffer: bytearray | memoryview, offset: int) -> None:
        """Fill `buffer` from `offset` on: no copy, and no new memory for each call."""
        view = memoryview(buffer).cast("B")
        self._check(len(view), offset)
        self._run(Task(self._lun, self._read(at, len(part)), into=part) for at, part in self._pieces(view, offset))

    def pwrite(self, data: Buffer, offset: int) -> int:
        """Write `data` at `offset`; how many bytes that were. `flush` puts them on stable storage."""
        view = memoryview(bytes(data)).cast("B")  # kept until it is flushed: what is bytes already is not copied
        self._check(len(view), offset)
        self._run(Task(self._lun, self._write(at, len(part)), data=part) for at, part in self._pieces(view, offset))
        return len(view)

    def write_stream(self, pieces: Iterable[tuple[int, B]], *, depth: int = DEPTH) -> Iterator[B]:
        """Write pieces of offset and data, `depth` of them in flight; each comes back once it is written.

        For a source that goes on while the LUN writes: a piece is one command, at most `longest_piece` bytes. It is not
        copied, and must stay as it is until `flush` has ended: it may have to be sent again.
        """
        sent: deque[B] = deque()

        def tasks() -> Iterator[Task]:
            for offset, data in pieces:
                self._check(len(data), offset)
                sent.append(data)
                yield Task(self._lun, self._write(offset, len(data)), data=data)

        for _ in self._run_all(tasks(), depth):
            yield sent.popleft()

    def read_stream(self, length: int, offset: int, *, depth: int = DEPTH) -> Iterator[bytearray]:
        """`length` bytes from `offset` in pieces of `longest_piece`, `depth` of them asked for at a time."""
        return self.read_spans(((offset, length),), depth=depth)

    def read_spans(self, spans: Iterable[tuple[int, int]], *, depth: int = DEPTH) -> Iterator[bytearray]:
        """What these spans of offset and length have, in pieces of at most `longest_piece`, read ahead across them."""

        def tasks() -> Iterator[Task]:
            for offset, length in spans:
                self._check(length, offset)
                for at, count in self._spans(length, offset, self._piece):
                    yield Task(self._lun, self._read(at, count), into=bytearray(count))

        for task in self._run_all(tasks(), depth):
            if isinstance(task.into, bytearray):
                yield task.into

    def write_zeros(self, length: int, offset: int) -> None:
        """Make `length` bytes from `offset` read as zeros, by WRITE SAME(16) with UNMAP if that is as good."""
        self._check(length, offset)
        if self._lets_go and not self._let_go(length, offset):
            self._lets_go = 0
        if not self._lets_go:
            zeros = bytes(self._piece)
            spans = self._spans(length, offset, self._piece)
            self._run(Task(self._lun, self._write(at, count), data=zeros[:count]) for at, count in spans)

    def _let_go(self, length: int, offset: int) -> bool:
        """Have the LUN let go of it; whether it does that, and the edges of every span do read as zeros."""
        spans = tuple(self._spans(length, offset, self._lets_go))
        zeros = bytes(self._sector.bytes)
        edges = [
            Task(self._lun, self._read(at, edge), into=bytearray(edge))
            for start, count in spans
            for edge in (min(EDGE, count),)
            for at in (start, start + count - edge)
        ]
        try:
            self._run(Task(self._lun, self._write_same(at, count), data=zeros) for at, count in spans)
        except ScsiError as error:
            if error.key != sense.ILLEGAL_REQUEST:
                raise
            return False
        return not any(any(task.into or b"") for task in self._run_all(edges, DEPTH))

    @staticmethod
    def _spans(length: int, offset: int, longest: int) -> Iterator[tuple[int, int]]:
        end = offset + length
        return ((at, min(longest, end - at)) for at in range(offset, end, longest))

    def allocation(self, length: int, offset: int) -> Iterator[Span]:
        """Which of `length` bytes from `offset` have data; all of them on a LUN that does not tell (GET LBA STATUS).

        Nor is it believed of a LUN that does not promise zeros where it has let go of something (LBPRZ).
        """
        self._check(length, offset)
        if not length:
            return iter(())
        if not self._tells_holes:
            return iter((Span(offset, length, allocated=True),))
        sector = self._sector.bytes
        return allocation.spans(self._lba_extents, offset // sector, (offset + length) // sector, sector)

    def _lba_extents(self, sector: int) -> tuple[LbaExtent, ...]:
        answer = bytearray(_LBA_STATUS)
        try:
            self._run((Task(self._lun, cdb.lba_status(sector, len(answer)), into=answer),))
        except ScsiError as error:
            if error.key != sense.ILLEGAL_REQUEST:
                raise
            self._tells_holes = False
            return ()
        return shapes.lba_extents(bytes(answer))

    def tend(self, seconds: float = 0.0) -> bool:
        """Answer the target's pings for up to `seconds`, or until something came; whether the session is alive."""
        return self._session.tend(seconds)

    @property
    def longest_piece(self) -> int:
        """How many bytes one command may carry."""
        return self._piece

    def flush(self) -> None:
        """What was written is on stable storage (SYNCHRONIZE CACHE)."""
        self._run((self._flushing(),))

    @property
    def unflushed_from(self) -> int | None:
        """Where the first of what was written is that may not be on stable storage; None when all of it is."""
        sector = self._unflushed.first_sector()
        return None if sector is None else sector * self._sector.bytes

    def _run(self, tasks: Iterable[Task]) -> None:
        for _ in self._run_all(tasks, DEPTH):
            pass

    def _run_all(self, tasks: Iterable[Task], depth: int) -> Iterator[Task]:
        """Tasks with `depth` of them in flight, each handed back in order when it is done."""
        source, sent = self._with_flushes(tasks), deque[Task]()
        source_failed = False

        def taken() -> Iterator[Task]:
            nonlocal source_failed
            try:
                for task in source:
                    sent.append(task)
                    yield task
            except IscsiError:  # of another LUN that is read: no loss of ours, and going on would leave out the rest
                source_failed = True
                raise

        fruitless = 0
        while True:
            session = self._session
            try:
                again = tuple(sent)
                for _ in self._sent(session, itertools.chain(again, taken()), depth):
                    fruitless = 0
                    done = sent.popleft()
                    if isinstance(done, _Flush):
                        self._unflushed.forget(done.mark)
                        continue
                    if done.data:
                        self._unflushed.add(done)
                    yield done
                return
            except SessionLostError as lost:
                fruitless += 1
                if source_failed or fruitless > _MENDINGS:
                    raise
                self._mend(session, lost)
            except ScsiError as error:
                fruitless += 1
                if source_failed or fruitless > _MENDINGS or not _is_change(error):
                    raise
                self._prove(session)

    @staticmethod
    def _sent(session: Session, tasks: Iterable[Task], depth: int) -> Iterator[Task]:
        return session.run_all(tasks, depth=depth, deadline=IO_SECONDS, attention=_stop_at_a_change)

    def _with_flushes(self, tasks: Iterable[Task]) -> Iterator[Task]:
        """The tasks, and a flush after every so many bytes that they write."""
        for task in tasks:
            yield task
            if task.data and self._unflushed.is_due(len(task.data)):
                yield self._flushing()

    def _flushing(self) -> _Flush:
        return _Flush(self._lun, cdb.synchronize_cache(), mark=self._unflushed.mark())

    def _mend(self, lost: Session, why: SessionLostError) -> None:
        """Log in again and write again what may be lost, unless another thread did; `why` when that cannot be.

        Nobody gets the new session before that: what is written again must not come after what is newer. When it is
        lost on the way, the old one stays, and who meets it mends it.
        """
        with self._mending:
            if self._session is not lost:
                return
            lost.close(log_out=False)
            try:
                again = wait_for(self._log_in_again, what=f"login to {self._name}", deadline=MEND_SECONDS)
            except DeadlineError as late:
                raise why from late
            try:
                self._prove(again)
                for _ in self._sent(again, self._unflushed.tasks(), depth=1):  # in their order: some may overlap
                    pass
            except SessionLostError:
                again.close(log_out=False)
            except BaseException:
                again.close()
                raise
            else:
                self._session = again

    def _prove(self, session: Session) -> None:
        """See that it is the disk that was opened, which may have grown; else the session ends with ProofError."""
        serial, capacity = session.serial(self._lun), session.capacity(self._lun)
        size = Size(capacity.size)
        if serial != self._serial:
            wrong = f"it is another disk, serial {serial}"
        elif capacity.sector != self._sector.bytes:
            wrong = f"it has sectors of {capacity.sector} bytes now"
        elif size < self._size:
            wrong = f"it has shrunk from {self._size} to {size}"
        else:
            self._size = size
            return
        session.close()
        raise ProofError(f"{self._name}: {wrong}", hint="the nas changed the LUN while it was in use: see to it there")

    def _log_in_again(self) -> Session | None:
        """A session whose LUN is ready; None while the target is not there, or its LUN, as when a nas starts."""
        try:
            again = self._log_in(MEND_SECONDS)
        except LoginError as error:
            if error.permanent and error.reason != "Not found":
                raise
            return None
        try:
            again.settle(self._lun, deadline=MEND_SECONDS)
        except (ScsiError, SessionLostError):
            again.close(log_out=False)
            return None
        except BaseException:
            again.close(log_out=False)
            raise
        return again

    def _pieces(self, view: memoryview, offset: int) -> Iterator[tuple[int, memoryview]]:
        for start in range(0, len(view), self._piece):
            yield offset + start, view[start : start + self._piece]

    def _read(self, offset: int, length: int) -> bytes:
        make = cdb.read10 if self._is_narrow else cdb.read
        return make(offset // self._sector.bytes, length // self._sector.bytes)

    def _write(self, offset: int, length: int) -> bytes:
        make = cdb.write10 if self._is_narrow else cdb.write
        return make(offset // self._sector.bytes, length // self._sector.bytes)

    def _write_same(self, offset: int, length: int) -> bytes:
        return cdb.write_same(offset // self._sector.bytes, length // self._sector.bytes, unmap=True)

    def _check(self, length: int, offset: int) -> None:
        if length % self._sector.bytes or offset % self._sector.bytes:
            raise InputError(f"{self._name}: {length} bytes at {offset} are not whole sectors of {self._sector}")
        if offset < 0 or offset + length > self._size.bytes:
            raise InputError(f"{self._name}: {length} bytes at {offset} are beyond its end at {self._size.bytes}")


def _stop_at_a_change(attention: ScsiError) -> None:
    if _is_change(attention) or sense.is_preemption(attention.asc, attention.ascq):
        raise attention


def _is_change(error: ScsiError) -> bool:
    return error.key == sense.UNIT_ATTENTION and sense.is_change(error.asc, error.ascq)
