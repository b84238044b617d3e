"""iscsi(4): the table of sessions, and iscsid(8) as far as the kernel knows it."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable

from pyvmiscsi.lab.hypervisor.kernel.conf import Conf, Row
from pyvmiscsi.lab.hypervisor.kernel.session import Session

_CLOSING = 5.0  # seconds, at most, until it is noticed here that the iscsid before has ended


class Initiator:
    """All sessions of the host, the oldest first."""

    def __init__(self, make: Callable[[int, Conf], Session]) -> None:
        self._make = make
        self._lock = threading.Condition()
        self._sessions: list[Session] = []
        self._last = 0
        self._daemon = False
        self._children = 0
        self._most_children = 30

    def add(self, conf: Conf) -> Session:
        """ISCSISADD: EINVAL without a portal, EBUSY for the same two strings again."""
        if not conf.portal or (not conf.target and not conf.discovery):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        with self._lock:
            if any(session.conf.key() == conf.cut().key() for session in self._sessions):
                raise OSError(errno.EBUSY, "Device busy")
            self._last += 1
            session = self._make(self._last, conf)
            self._sessions.append(session)
        session.start()
        return session

    def remove(self, matches: Callable[[Session], bool]) -> None:
        """ISCSISREMOVE: every session that matches; ESRCH when none does."""
        with self._lock:
            found = [session for session in self._sessions if matches(session)]
            self._sessions = [session for session in self._sessions if session not in found]
            self._lock.notify_all()
        if not found:
            raise OSError(errno.ESRCH, os.strerror(errno.ESRCH))
        for session in found:
            session.remove()

    def modify(self, number: int, change: Callable[[Conf], Conf]) -> None:
        """ISCSISMODIFY: ESRCH for an unknown number, EBUSY when it would be a second one of its kind."""
        with self._lock:
            session = next((found for found in self._sessions if found.number == number), None)
            if session is None:
                raise OSError(errno.ESRCH, os.strerror(errno.ESRCH))
            conf = change(session.conf).cut()
            others = (found for found in self._sessions if found is not session)
            if any(found.conf.key() == conf.key() for found in others):
                raise OSError(errno.EBUSY, "Device busy")
            self._lock.notify_all()
        session.modify(conf)

    def rows(self) -> list[Row]:
        """ISCSISLIST."""
        with self._lock:
            sessions = list(self._sessions)
        return [session.row() for session in sessions]

    def sessions(self) -> list[Session]:
        with self._lock:
            return list(self._sessions)

    # iscsid

    def daemon_started(self, most_children: int) -> bool:
        """iscsid has opened /dev/iscsi; False when another one has."""
        with self._lock:
            self._lock.wait_for(lambda: not self._daemon, _CLOSING)
            if self._daemon:
                return False
            self._daemon, self._most_children = True, most_children
            self._lock.notify_all()
            return True

    def daemon_ended(self) -> None:
        with self._lock:
            self._daemon = False
            self._lock.notify_all()

    def slot(self, session: Session, seconds: float) -> bool:
        """Wait until iscsid takes the session up; it has so many children at a time."""
        end = time.monotonic() + seconds
        conf = session.conf
        with self._lock:
            while not self._daemon or self._children >= self._most_children:
                left = end - time.monotonic()
                if left <= 0 or session.removed or session.conf is not conf:
                    return False
                self._lock.wait(min(left, 0.5))
            self._children += 1
            return True

    def slot_free(self) -> None:
        with self._lock:
            self._children -= 1
            self._lock.notify_all()
