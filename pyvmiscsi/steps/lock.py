"""The journal of a start: vm-bhyve's `run.lock`, taken before any login.

What a start wants can be read from the guest's own records, so the lock holds an operation's id, who began it and when
and, of an installation, the medium that it is from.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyvmiscsi.bhyve.supervision.run_lock import RunLock
from pyvmiscsi.errors import PyvmiscsiError
from pyvmiscsi.plan.intent import Intent, read_intents
from pyvmiscsi.plan.journal import Anchor, refuse_others


@dataclass(frozen=True, slots=True)
class LockJournal:
    """The lock belongs to the operation until the supervisor, which knows its id, releases it.

    Once it is taken, the guest's anchor is looked at: a rollback that began meanwhile writes its intent first and looks
    for the lock second, so that never both go on.
    """

    lock: RunLock
    intent: Intent
    anchor: Anchor

    def pending(self) -> tuple[Intent, ...]:
        holder = self.lock.find_holder()
        return (self.intent,) if holder is not None and holder.operation == self.intent.id else ()

    def open(self, intent: Intent) -> None:
        medium = str(intent.request.get("iso") or "")
        self.lock.take(intent.id, by=intent.by, since=intent.since, medium=medium)
        try:
            others = read_intents(self.anchor.path, self.anchor.marks() or {})
            if others:
                refuse_others(intent, others)
        except PyvmiscsiError:
            self.lock.release(intent.id)
            raise

    def close(self, intent: Intent) -> None:
        """The guest runs: its supervisor releases the lock. Nobody is to begin its installation once more."""
        if intent.request.get("iso"):
            self.lock.forget_medium(intent.id)

    def withdraw(self, intent: Intent) -> None:
        self.lock.release(intent.id)

    def has_ended(self, intent: Intent) -> bool:  # noqa: ARG002 - the same for all
        """Never: a supervisor that failed has released the lock, and what is left is still to be taken back."""
        return False


@dataclass(frozen=True, slots=True)
class NoJournal:
    """For plans whose every step can be taken again by anybody: there is nothing to remember."""

    def pending(self) -> tuple[Intent, ...]:
        return ()

    def open(self, intent: Intent) -> None:
        """Nothing to remember."""

    def close(self, intent: Intent) -> None:
        """Nothing to forget."""

    def withdraw(self, intent: Intent) -> None:
        """Nothing to forget."""

    def has_ended(self, intent: Intent) -> bool:  # noqa: ARG002 - nobody knows of any
        return False
