"""A session with one LUN that outlives what befalls it: it is taken up again, and nothing that was written is lost.

A lost session is followed by another. That one has the same initiator name and ISID, so the target ends everything of
the old one first (RFC 7143 section 6.3.5), and it is proven to be the same disk. Then all that was written since the
last flush is sent again, because a nas that crashed may have lost it, and what was on its way. So that this fits into
memory, a long write is flushed every 16 MiB; every 64 MiB where its source can be read again, and nothing is kept. The
disk is proven as well when the target says that it was changed; one that has grown goes on, with its new size.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from pyvmiscsi.errors import DeadlineError, IscsiError, LoginError, ProofError, ScsiError, SessionLostError
from pyvmiscsi.initiator.libiscsi import cdb, facts, sense
from pyvmiscsi.initiator.libiscsi.nouns import Task
from pyvmiscsi.initiator.libiscsi.session import Session
from pyvmiscsi.initiator.libiscsi.unflushed import Unflushed
from pyvmiscsi.names import LunAddress
from pyvmiscsi.units import Size
from pyvmiscsi.waiting import wait_for

IO_SECONDS = 60.0
"""How long one piece may take: longer than a nas needs to restart its iSCSI service or to take over a pool."""
MEND_SECONDS = 30.0
"""How long a target may take to come back after a session was lost."""
_MENDINGS = 10
"""How often in a row a session is taken up again before one command has ended."""


@dataclass(frozen=True, slots=True)
class _Flush(Task):
    """A SYNCHRONIZE CACHE, and how much of what was written it puts on stable storage."""

    mark: int = 0


class MendedSession:
    """A session with the LUN at `address`; `log_in` makes another within so many seconds. Safe to call from threads.

    LoginError, or ProofError when the LUN is no disk.
    """

    def __init__(self, log_in: Callable[[float], Session], address: LunAddress, end: float) -> None:
        self._log_in = log_in
        self._lun = address.lun.number
        self._name = str(address)
        self._mending = threading.Lock()
        self._unflushed = Unflushed()
        self._doubted: Session | None = None
        """One that could not flush: what was written through it may be lost, also if the next flush ends well."""
        self._synchronize = cdb.synchronize_cache()
        self._session = log_in(max(end - time.monotonic(), 1.0))
        try:
            self._session.settle(self._lun, deadline=max(end - time.monotonic(), 1.0))
            self.facts = facts.look(self._session, address)
            """What the LUN is; its size may grow."""
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Log out."""
        self._session.close()

    def tend(self, seconds: float) -> bool:
        """Answer the target's pings for up to `seconds`, or until something came; whether the session is alive."""
        return self._session.tend(seconds)

    @property
    def unflushed_from(self) -> int | None:
        """The first byte that was written and may not be on stable storage; None when all of it is."""
        sector = self._unflushed.first_sector()
        return None if sector is None else sector * self.facts.sector.bytes

    def run(self, tasks: Iterable[Task], depth: int) -> None:
        """Run tasks with `depth` of them in flight."""
        for _ in self.run_all(tasks, depth):
            pass

    def flush(self) -> None:
        """What was written is on stable storage."""
        self.run((self._flushing(),), 1)

    def run_all(self, tasks: Iterable[Task], depth: int) -> Iterator[Task]:
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
                if session is self._doubted:
                    raise SessionLostError(f"{self._name}: a flush failed, and what it was for is sent again")
                again = tuple(sent)
                for _ in self._sent(session, itertools.chain(again, taken()), depth):
                    fruitless = 0
                    if not self._noted(sent[0], session):
                        raise SessionLostError(f"{self._name}: the session was lost")
                    done = sent.popleft()
                    if not isinstance(done, _Flush):
                        yield done
                return
            except SessionLostError as lost:
                fruitless += 1
                if source_failed or fruitless > _MENDINGS:
                    raise
                self._mend(session, lost)
            except ScsiError as error:
                fruitless += 1
                if source_failed or fruitless > _MENDINGS:
                    raise
                if _is_change(error):
                    self._prove(session)
                elif sent and isinstance(sent[0], _Flush):
                    self._doubt_unless_renamed(session, sent, error)
                else:
                    raise

    @staticmethod
    def _sent(session: Session, tasks: Iterable[Task], depth: int) -> Iterator[Task]:
        return session.run_all(tasks, depth=depth, deadline=IO_SECONDS, attention=_stop_at_a_change)

    # flushing

    def _noted(self, done: Task, session: Session) -> bool:
        """Keep a write, or forget what a flush was for; False when it has to be sent again.

        That is so of a write that was answered just before another thread took up the session again, for it was not
        among what was sent again then; and of a flush that ended well after another did not.
        """
        if isinstance(done, _Flush):
            if session is self._doubted:
                return False
            self._unflushed.forget(done.mark)
        elif done.data:
            with self._mending:
                if self._session is not session:
                    return False
                self._unflushed.add(done)
        return True

    def _with_flushes(self, tasks: Iterable[Task]) -> Iterator[Task]:
        """The tasks, and a flush after every so many bytes that they write."""
        for task in tasks:
            yield task
            if task.data and self._unflushed.is_due(task):
                yield self._flushing()

    def _flushing(self) -> _Flush:
        return _Flush(self._lun, self._synchronize, mark=self._unflushed.mark())

    def _doubt_unless_renamed(self, session: Session, sent: deque[Task], error: ScsiError) -> None:
        """A LUN that knows no SYNCHRONIZE CACHE(10) is asked by (16); whatever else a flush fails with is raised.

        A target may have dropped what it could not write, and say of the next flush that it ended well: Linux does.
        """
        is_unknown = sense.is_unknown(error.key, error.asc, error.ascq)
        if not is_unknown or sent[0].cdb != cdb.synchronize_cache():
            self._doubted = session
            raise error
        self._synchronize = cdb.synchronize_cache16()
        for number, task in enumerate(sent):
            if isinstance(task, _Flush):
                sent[number] = replace(task, cdb=self._synchronize)

    # mending

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
        if serial != self.facts.serial:
            wrong = f"it is another disk, serial {serial}"
        elif capacity.sector != self.facts.sector.bytes:
            wrong = f"it has sectors of {capacity.sector} bytes now"
        elif size < self.facts.size:
            wrong = f"it has shrunk from {self.facts.size} to {size}"
        else:
            self.facts = replace(self.facts, size=size)
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


def _stop_at_a_change(attention: ScsiError) -> None:
    if _is_change(attention) or sense.is_preemption(attention.asc, attention.ascq):
        raise attention


def _is_change(error: ScsiError) -> bool:
    return error.key == sense.UNIT_ATTENTION and sense.is_change(error.asc, error.ascq)
