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
from dataclasses import dataclass, field, replace

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
_FLUSHES = 3
"""How often a flush is repeated because of another, whose end nobody heard yet, before the session is given up."""


@dataclass(frozen=True, slots=True)
class _Flush(Task):
    """A SYNCHRONIZE CACHE, and how much of what was written it puts on stable storage; no two are the same."""

    mark: int = 0
    number: int = field(default_factory=itertools.count().__next__)


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
        self._flushing = threading.Lock()
        self._flushes: set[_Flush] = set()
        """Those that the session has been given, and that nobody heard the end of yet."""
        self._flushed = 0
        """How much of what was written those put on stable storage that ended well, if the others do so, too."""
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
        """What was written is on stable storage.

        While another flush is under way, of a stream, it is not known whether that one fails for both. When it stays
        so, because nobody goes on with that stream, another session makes an end of it.
        """
        with self._flushing:
            mark = self._unflushed.mark()
            for attempt in range(_MENDINGS):
                if attempt >= _FLUSHES:
                    self._doubt(self._session)
                self.run((self._flush(),), 1)
                if self._unflushed.is_forgotten(mark):
                    return
            raise SessionLostError(f"{self._name}: others flush all the time, and none of them hears the end of it")

    def run_all(self, tasks: Iterable[Task], depth: int) -> Iterator[Task]:
        """Tasks with `depth` of them in flight, each handed back in order when it is done."""
        source, sent = self._with_flushes(tasks), deque[Task]()
        source_failed = False

        def taken() -> Iterator[Task]:
            nonlocal source_failed
            try:
                for task in source:
                    sent.append(task)
                    self._begin(task)
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
                self._begin(*again)
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
                elif not self._renamed(sent, error):
                    raise
            finally:
                self._give_up(sent, session)

    @staticmethod
    def _sent(session: Session, tasks: Iterable[Task], depth: int) -> Iterator[Task]:
        return session.run_all(tasks, depth=depth, deadline=IO_SECONDS, attention=_stop_at_a_change)

    # flushing

    def _begin(self, *tasks: Task) -> None:
        """Before they are sent. Without a lock: the session's own is held here, and whoever mends waits for that."""
        for task in tasks:
            if isinstance(task, _Flush):
                self._flushes.add(task)

    def _noted(self, done: Task, session: Session) -> bool:
        """Keep a write, or forget what a flush was for; False when it has to be sent again.

        That is so of what was answered just before another thread took up the session again: a write was not among what
        was sent again then. And of a flush that ended well after another did not. While another may still fail, nothing
        is forgotten: a target may tell but one of the two that it could not write what was for both.
        """
        with self._mending:
            if self._session is not session or session is self._doubted:
                return False
            if isinstance(done, _Flush):
                self._flushes.discard(done)
                self._flushed = max(self._flushed, done.mark)
                if not self._flushes:
                    self._unflushed.forget(self._flushed)
            elif done.data:
                self._unflushed.add(done)
        return True

    def _give_up(self, sent: Iterable[Task], session: Session) -> None:
        """A flush that nobody will hear the end of may have failed."""
        unheard = self._flushes.intersection(task for task in sent if isinstance(task, _Flush))
        if unheard:
            self._doubt(session)
            self._flushes.difference_update(unheard)

    def _doubt(self, session: Session) -> None:
        with self._mending:
            if self._session is session:
                self._doubted = session

    def _with_flushes(self, tasks: Iterable[Task]) -> Iterator[Task]:
        """The tasks, and a flush after every so many bytes that they write."""
        for task in tasks:
            yield task
            if task.data and self._unflushed.is_due(task):
                yield self._flush()

    def _flush(self) -> _Flush:
        return _Flush(self._lun, self._synchronize, mark=self._unflushed.mark())

    def _renamed(self, sent: deque[Task], error: ScsiError) -> bool:
        """Whether it is a flush of a LUN that knows no SYNCHRONIZE CACHE(10): from now on it is asked by (16)."""
        is_unknown = sense.is_unknown(error.key, error.asc, error.ascq)
        if not sent or not isinstance(sent[0], _Flush) or not is_unknown or sent[0].cdb != cdb.synchronize_cache():
            return False
        self._synchronize = cdb.synchronize_cache16()
        for number, task in enumerate(sent):
            if isinstance(task, _Flush):
                self._flushes.discard(task)
                sent[number] = replace(task, cdb=self._synchronize)
        return True

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
                self._flushes.clear()

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
