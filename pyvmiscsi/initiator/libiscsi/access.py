"""LUNs as block devices of this process: `ports.BlockAccess` on libiscsi.

    with LibiscsiAccess().open(address, credential) as device:
        device.pwrite(data, 0)
        device.flush()

Large transfers are written in pieces of 1 MiB, six in flight, and read in pieces of 512 KiB, eight in flight: see
docs/performance.md. One at a time is two to three times slower.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

from pyvmiscsi.errors import InputError, ScsiError
from pyvmiscsi.initiator.libiscsi import allocation, cdb, sense, shapes
from pyvmiscsi.initiator.libiscsi.mending import MendedSession
from pyvmiscsi.initiator.libiscsi.nouns import NO_DIGESTS, Buffer, Digests, Task
from pyvmiscsi.initiator.libiscsi.session import Session
from pyvmiscsi.initiator.libiscsi.shapes import LbaExtent
from pyvmiscsi.model import Credential
from pyvmiscsi.names import LunAddress
from pyvmiscsi.ports import Again, Span
from pyvmiscsi.units import Size

B = TypeVar("B", bound=bytes | bytearray | memoryview)

PIECE, DEPTH = 1024 * 1024, 6
READ_PIECE, READ_DEPTH = 512 * 1024, 8
LET_GO = 256 * 1024**2
"""How many bytes one WRITE SAME lets go of: tgtd counts them in 32 bits, and the answer has to come in time."""
LET_GO_UNIT = 1024**2
"""It lets go of whole units only: ZFS leaves a volume's blocks as they are where they are let go of in part."""
EDGE = 128 * 1024
"""How much is read again of where such a span begins and ends, to see whether it was done: a volume's largest block."""

_LBA_STATUS = 8 + 16 * 256  # bytes of one answer to GET LBA STATUS


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

    It outlives its sessions: see `mending`.
    """

    def __init__(self, log_in: Callable[[float], Session], address: LunAddress, end: float) -> None:
        self._lun = address.lun.number
        self._name = str(address)
        self._session = MendedSession(log_in, address, end)
        found = self._session.facts
        sector = found.sector.bytes
        self._piece = min(PIECE, found.longest_transfer) // sector * sector
        self._read_piece = min(READ_PIECE, self._piece) // sector * sector
        self._lets_go = min(LET_GO, found.longest_let_go) // LET_GO_UNIT * LET_GO_UNIT
        self._tells_holes = found.reads_zeros

    def close(self) -> None:
        """Log out."""
        self._session.close()

    @property
    def size(self) -> Size:
        return self._session.facts.size

    @property
    def sector(self) -> Size:
        return self._session.facts.sector

    @property
    def serial(self) -> str:
        return self._session.facts.serial

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

    def write_stream(
        self, pieces: Iterable[tuple[int, B]], *, again: Again | None = None, depth: int = DEPTH
    ) -> Iterator[B]:
        """Write pieces of offset and data, `depth` of them in flight; each comes back once it is written.

        For a source that goes on while the LUN writes: a piece is one command, at most `longest_piece` bytes. It is not
        copied, and may have to be sent again until `flush` has ended: then it is asked for by `again`, and without that
        it must stay as it is until then.
        """
        sent: deque[B] = deque()

        def tasks() -> Iterator[Task]:
            for offset, data in pieces:
                self._check(len(data), offset)
                sent.append(data)
                repeated = None if again is None else partial(again, offset, len(data))
                yield Task(self._lun, self._write(offset, len(data)), data=data, again=repeated)

        for _ in self._session.run_all(tasks(), depth):
            yield sent.popleft()

    def read_stream(self, length: int, offset: int, *, depth: int = READ_DEPTH) -> Iterator[bytearray]:
        """`length` bytes from `offset` in pieces of `READ_PIECE`, `depth` of them asked for at a time."""
        return self.read_spans(((offset, length),), depth=depth)

    def read_spans(self, spans: Iterable[tuple[int, int]], *, depth: int = READ_DEPTH) -> Iterator[bytearray]:
        """What these spans of offset and length have, in pieces of at most `longest_piece`, read ahead across them."""

        def tasks() -> Iterator[Task]:
            for offset, length in spans:
                self._check(length, offset)
                for at, count in self._spans(length, offset, self._read_piece):
                    yield Task(self._lun, self._read(at, count), into=bytearray(count))

        for task in self._session.run_all(tasks(), depth):
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
        zeros = bytes(self.sector.bytes)
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
        return not any(any(task.into or b"") for task in self._session.run_all(edges, DEPTH))

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
        sector = self.sector.bytes
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
        self._session.flush()

    @property
    def unflushed_from(self) -> int | None:
        """Where the first of what was written is that may not be on stable storage; None when all of it is."""
        return self._session.unflushed_from

    def _run(self, tasks: Iterable[Task]) -> None:
        self._session.run(tasks, DEPTH)

    def _pieces(self, view: memoryview, offset: int) -> Iterator[tuple[int, memoryview]]:
        for start in range(0, len(view), self._piece):
            yield offset + start, view[start : start + self._piece]

    def _read(self, offset: int, length: int) -> bytes:
        make = cdb.read10 if self._session.facts.is_narrow else cdb.read
        return make(offset // self.sector.bytes, length // self.sector.bytes)

    def _write(self, offset: int, length: int) -> bytes:
        make = cdb.write10 if self._session.facts.is_narrow else cdb.write
        return make(offset // self.sector.bytes, length // self.sector.bytes)

    def _write_same(self, offset: int, length: int) -> bytes:
        return cdb.write_same(offset // self.sector.bytes, length // self.sector.bytes, unmap=True)

    def _check(self, length: int, offset: int) -> None:
        if length % self.sector.bytes or offset % self.sector.bytes:
            raise InputError(f"{self._name}: {length} bytes at {offset} are not whole sectors of {self.sector}")
        if offset < 0 or offset + length > self.size.bytes:
            raise InputError(f"{self._name}: {length} bytes at {offset} are beyond its end at {self.size.bytes}")
