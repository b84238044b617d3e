"""Facts about who else is about to use a guest's disks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pyvmiscsi.bhyve.run_lock import RunLock
from pyvmiscsi.errors import BusyError, ConflictError, PyvmiscsiError
from pyvmiscsi.names import GuestName
from pyvmiscsi.plan.intent import read_intents
from pyvmiscsi.plan.journal import Anchor


@dataclass(frozen=True, slots=True)
class NothingBegun:
    """No host has the guest's lock, and no operation on it is unfinished.

    For what took neither itself, and so looks only once its own claim can be seen by others. The lock is looked at
    through every host that answers: one may have an old picture of a shared directory, the one that took it has not.
    """

    guest: GuestName
    anchor: Anchor
    """Asked afresh each time: what one look remembers is no use to the next."""
    locks: tuple[RunLock, ...]
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"nothing begun with {self.guest}"

    def holds(self) -> bool:
        return self._obstacle() is None

    def make(self) -> None:
        obstacle = self._obstacle()
        if obstacle is not None:
            raise obstacle

    def undo(self) -> None:
        """Nothing was done."""

    def _obstacle(self) -> PyvmiscsiError | None:
        for lock in self.locks:
            holder = lock.find_holder()
            if holder is not None:
                return BusyError(
                    f"guest {self.guest}: {holder.host} has it (run.lock)", hint=f"pyvmiscsi vm stop {self.guest}"
                )
        marks = self.anchor.marks()
        if marks is None:
            return ConflictError(f"guest {self.guest}: was renamed, parked or destroyed just now", hint="look again")
        for intent in read_intents(self.anchor.path, marks):
            return BusyError(
                f"guest {self.guest}: {intent.verb} begun {intent.since} by {intent.by} is unfinished",
                hint=f"pyvmiscsi ops resume {intent.id}, or ops rewind {intent.id}",
            )
        return None
