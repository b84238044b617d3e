"""The lock of a start, and the operations on the nas that it must not meet."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from pyvmiscsi.bhyve.supervision.run_lock import RunLock
from pyvmiscsi.errors import BusyError
from pyvmiscsi.names import DatasetPath
from pyvmiscsi.plan.intent import Intent, intent_marks
from pyvmiscsi.plan.journal import DatasetAnchor
from pyvmiscsi.steps.lock import LockJournal
from tests.fakes.nas import FakeNas

WEB1 = DatasetPath("tank/vm/web1")
START = Intent("0a1b", "start", "web1", {}, "root@control[1]", "2026-11-22T10:00:00Z")
ROLLBACK = Intent("2c3d", "rollback", "web1", {}, "root@other[1]", "2026-11-22T10:00:00Z")


@dataclass
class Taken(RunLock):
    """A lock that nobody else wants."""

    holders: list[str] = field(default_factory=list)

    def take(self, operation: str, *, by: str = "", since: str = "", medium: str = "") -> None:  # noqa: ARG002 - the lock's
        self.holders.append(operation)

    def release(self, operation: str) -> None:
        self.holders.remove(operation)


def test_a_start_takes_its_lock() -> None:
    nas, lock = FakeNas(), Taken()
    nas.create_dataset(WEB1, {})
    LockJournal(lock, START, DatasetAnchor(nas, WEB1)).open(START)
    assert lock.holders == [START.id]


def test_a_start_gives_its_lock_back_when_an_operation_began_before_it_was_taken() -> None:
    nas, lock = FakeNas(), Taken()
    nas.create_dataset(WEB1, intent_marks(WEB1, ROLLBACK))
    with pytest.raises(BusyError, match="rollback begun"):
        LockJournal(lock, START, DatasetAnchor(nas, WEB1)).open(START)
    assert lock.holders == []
