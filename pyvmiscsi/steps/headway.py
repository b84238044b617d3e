"""How far a copy onto a volume has come, kept on that volume, so that whoever resumes it need not begin again.

    org.pyvmiscsi:filling   {"op": "5f0c2d9a1b3e", "run": "9a1b3e77"}
    org.pyvmiscsi:reached   {"run": "9a1b3e77", "length": 1073741824, "digest": "sha256/1M:…"}

Once all of it is written, and before the run logs out, `reached` says so by `"whole": true`. Whoever waited for the LUN
to go on with the same copy then writes nothing: a guest may be running on it by the time that one has its turn.

A nas may carry out what a killed process had asked of it at any later time, also when another has made the rest of the
volume zero again. So what was reached counts only for the run that `filling` names, the last that began. One begins
when it is alone with the LUN: logged in to an offer that nobody else can take.

ZFS writes a property in a later transaction group than what had been flushed before, so it never tells of more than is
there, even on a pool that is imported again as it was some time ago.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from pyvmiscsi.errors import InputError, PyvmiscsiError
from pyvmiscsi.images.blocks.content import Written
from pyvmiscsi.images.blocks.digest import DiskHash
from pyvmiscsi.images.reached import Milestone, Reached
from pyvmiscsi.model import Volume
from pyvmiscsi.names import DatasetPath
from pyvmiscsi.plan.intent import PREFIX, mark, read_mark
from pyvmiscsi.ports import Nas

NOWHERE = Reached(0, DiskHash().hexdigest())
DONE = dict.fromkeys((f"{PREFIX}filling", f"{PREFIX}reached"))
"""The changes after which a volume tells no more of a copy under way."""


def reached_on(volume: Volume, operation: str) -> Reached:
    """How far the last run of this operation has come, as the volume tells."""
    filling = read_mark(volume.path, "filling", volume.marks) or {}
    reached = read_mark(volume.path, "reached", volume.marks) or {}
    if filling.get("op") != operation or reached.get("run") != filling.get("run"):
        return NOWHERE
    try:
        return Reached(int(reached["length"]), str(reached["digest"]))
    except (KeyError, TypeError, ValueError, InputError):
        return NOWHERE


def whole_on(volume: Volume, operation: str) -> Written | None:
    """What this operation wrote, as the volume tells, if that is all there was to write."""
    filled, filling, reached = (
        read_mark(volume.path, name, volume.marks) or {} for name in ("filled", "filling", "reached")
    )
    is_whole = filling.get("op") == operation and reached.get("run") == filling.get("run") and reached.get("whole")
    note = filled if filled.get("op") == operation else reached if is_whole else {}
    length, digest = note.get("length"), note.get("digest")
    return Written(length, digest) if isinstance(length, int) else None


@dataclass(frozen=True, slots=True)
class Headway:
    """One run of a copy, by whoever is alone with the LUN. Its marks are on the volume from before the first byte."""

    nas: Nas
    volume: DatasetPath
    operation: str
    run: str = field(default_factory=lambda: secrets.token_hex(4))

    def begin(self, reached: Reached) -> None:
        """From now on nothing counts that an earlier run has asked for, but that it has come as far as this.

        In two calls: the first may be carried out late as well, and is not to bring back what others passed over.
        """
        filling = mark(self.volume, "filling", {"op": self.operation, "run": self.run})
        self.nas.change_marks(self.volume, {**filling, **self._mark(NOWHERE)})
        if reached != NOWHERE:
            self.keep(reached)

    def finish(self, written: Written) -> None:
        """All of it is on stable storage. Only what is certain to be known may let others have the LUN."""
        note = {"run": self.run, "length": written.length, "digest": written.digest, "whole": True}
        self.nas.change_marks(self.volume, mark(self.volume, "reached", note))

    def forget(self) -> None:
        """Whoever resumes it begins again."""
        self.nas.change_marks(self.volume, self._mark(NOWHERE))

    @contextmanager
    def kept(self) -> Iterator[Milestone]:
        """Keeps what it is told while the block lasts, by a thread of its own: the LUN is not to wait for the nas.

        That may take seconds while it is busy writing. Of what is told meanwhile the last is kept.
        """
        sent: Future[None] | None = None

        def keep(reached: Reached) -> None:
            nonlocal sent
            if sent is not None:
                sent.cancel()
            sent = sender.submit(self.keep, reached)

        with ThreadPoolExecutor(1, thread_name_prefix="headway") as sender:
            yield keep
        if sent is not None:
            sent.result()

    def keep(self, reached: Reached) -> None:
        """Write it down. A nas that does not answer, or refuses, costs no more than that much copying."""
        with suppress(PyvmiscsiError):
            self.nas.change_marks(self.volume, self._mark(reached))

    def _mark(self, reached: Reached) -> dict[str, str]:
        note = {"run": self.run, "length": reached.length, "digest": reached.digest}
        return mark(self.volume, "reached", note)
