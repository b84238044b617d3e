"""Facts about a running guest's machine: that it runs anew, on the disks and sessions that it has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from pyvmiscsi.bhyve.hypervisor import Hypervisor
from pyvmiscsi.bhyve.hypervisor_text import GuestOnHost
from pyvmiscsi.errors import DeadlineError, GuestError, InterruptedOperation, SessionLostError
from pyvmiscsi.names import GuestName, Iqn
from pyvmiscsi.plan.step import Watch, never
from pyvmiscsi.ports import Initiator
from pyvmiscsi.waiting import wait_for

_AT_ONCE = 60.0
"""Seconds for a guest that was reset to run again: its loader and its prestart program may take some."""
_STILL_WANTED = "it comes back when it powers off, unless it is stopped before"


@dataclass(frozen=True, slots=True)
class NextRun:
    """A run of the guest's bhyve after the one that was seen `before`, for whoever keeps it starts it again."""

    hypervisor: Hypervisor
    guest: GuestName
    before: GuestOnHost

    def has_begun(self) -> bool:
        """Whether it has; GuestError when its supervisor has given it up instead."""
        found = self.hypervisor.guest(self.guest)
        status = found.status
        if self.before.is_supervised and not found.is_supervised and status is not None and status.is_final:
            raise GuestError(f"guest {self.guest}: it did not come back: {status.reason}", hint="vm start starts it")
        return found.has_vm and found.process not in (None, self.before.process)

    def wait(self, deadline: float, interrupted: Callable[[], bool] = never) -> None:
        """Return once it has begun; DeadlineError when that takes longer, InterruptedOperation when nobody waits."""

        def look() -> bool:
            if interrupted():
                raise InterruptedOperation(f"guest {self.guest}: nobody waits for it any more", hint=_STILL_WANTED)
            return self.has_begun()

        wait_for(look, what=f"guest {self.guest} running again", deadline=deadline)


@dataclass(frozen=True, slots=True)
class GuestRestarted:
    """It has powered off when its button was pressed, and runs again."""

    run: NextRun
    directory: str
    deadline: float
    watch: Watch = field(default_factory=Watch)
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"guest {self.run.guest} restarted"

    def watched(self, watch: Watch) -> Self:
        return replace(self, watch=watch)

    def holds(self) -> bool:
        return self.run.has_begun()

    def make(self) -> None:
        guest = self.run.guest
        self.run.hypervisor.keeper(guest, self.directory).ask_to_restart(self.run.before.process)
        try:
            self.run.wait(self.deadline, self.watch.interrupted)
        except DeadlineError as late:
            late.hint = f"{_STILL_WANTED}; pyvmiscsi vm reset {guest} does not wait for it"
            raise

    def undo(self) -> None:
        """A run that has ended does not come back."""


@dataclass(frozen=True, slots=True)
class GuestReset:
    """Its machine was reset, without a clean shutdown, and runs again."""

    run: NextRun
    directory: str
    initiator: Initiator
    targets: tuple[Iqn, ...]
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"guest {self.run.guest} reset"

    def holds(self) -> bool:
        return self.run.has_begun()

    def make(self) -> None:
        """SessionLostError while a session is down: a bhyve that ends then cannot close its disk."""
        guest = self.run.guest
        for session in self.initiator.sessions():
            if session.target in self.targets and not session.connected:
                raise SessionLostError(
                    f"guest {guest}: {session.target} is not connected ({session.reason or 'no reason told'}), "
                    "and a bhyve that ends now would hold up the disks of the whole host",
                    hint=f"wait for the nas, or pyvmiscsi vm poweroff {guest}, which takes the disks away first",
                )
        self.run.hypervisor.keeper(guest, self.directory).reset(self.run.before.process)
        self.run.wait(_AT_ONCE)

    def undo(self) -> None:
        """A run that has ended does not come back."""
