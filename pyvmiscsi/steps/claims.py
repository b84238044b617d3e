"""Facts about who else is about to use a guest's disks."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar

from pyvmiscsi.bhyve.supervision.run_lock import RunLock
from pyvmiscsi.errors import BusyError, ConflictError, PyvmiscsiError
from pyvmiscsi.names import GuestName
from pyvmiscsi.plan.intent import read_intents
from pyvmiscsi.plan.journal import Anchor
from pyvmiscsi.steps.sessions import AllDetached, DiskAttached


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
            return intent.in_the_way_of(f"guest {self.guest}")
        return None


@dataclass(frozen=True, slots=True)
class AttachedAlone:
    """A login that is taken back only from those to whom the session is nothing: not from a start on the same host.

    Such a start finds the session and goes on with it. So while a logout is under way none can begin there.
    """

    disk: DiskAttached
    lock: RunLock
    """The guest's, as this host takes it."""
    operation: str | None = None
    """The start that logs in; None for a login by hand."""
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return self.disk.title

    def holds(self) -> bool:
        return self.disk.holds()

    def make(self) -> None:
        self.disk.make()

    def undo(self) -> None:
        with self.lock.barred() as starter:
            if starter is None or (self.operation is not None and starter.operation == self.operation):
                self.disk.undo()


@dataclass(frozen=True, slots=True)
class DetachedByHand:
    """A host logged out, while none of these guests can be started there, and none is."""

    logout: AllDetached
    locks: tuple[RunLock, ...]
    """Of the guests whose disks these may be, as this host takes them."""
    force: bool
    """Dead sessions go, whoever has the lock."""
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return self.logout.title

    def holds(self) -> bool:
        return self.logout.holds()

    def make(self) -> None:
        with ExitStack() as bars:
            starters = [bars.enter_context(lock.barred()) for lock in self.locks]
            if any(starters) and not (self.force and self.logout.are_dead()):
                raise BusyError(
                    f"{self.logout.host}: the guest was started there just now", hint="pyvmiscsi vm stop ends it"
                )
            self.logout.make()

    def undo(self) -> None:
        """Whoever needs one of the sessions logs in again."""
