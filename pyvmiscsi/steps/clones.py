"""Facts about clones: the snapshot they begin as, the volumes themselves, whose of whom."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar
from uuid import UUID

from pyvmiscsi.errors import AlreadyExistsError, BusyError, ConflictError, NotFoundError
from pyvmiscsi.model import Marks, Volume
from pyvmiscsi.names import DatasetPath, SnapshotName, SnapshotPath
from pyvmiscsi.plan.intent import mark, read_snapshot_mark
from pyvmiscsi.ports import Nas
from pyvmiscsi.steps.difference import refuse_difference
from pyvmiscsi.steps.signature import Signature
from pyvmiscsi.steps.sizes import VolumeGrown

_MARK = "clone"


def made_for(marks: Marks) -> UUID | None:
    """For whose sake pyvmiscsi took the snapshot that bears these marks; None for any other snapshot.

    Nobody asked for such a snapshot: it is there for its clones, and may go with the last of them.
    """
    content = read_snapshot_mark(_MARK, marks)
    try:
        return None if content is None else UUID(content["uuid"])
    except (KeyError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class SnapshotForCopy:
    """A snapshot that is there for a copy's sake, marked with whose; with `recursive` of all disks, at one moment."""

    nas: Nas
    snapshot: SnapshotPath
    recursive: bool
    owner: UUID
    signed: ClassVar[bool] = True

    @property
    def title(self) -> str:
        return f"snapshot {self.snapshot}"

    def holds(self) -> bool:
        found = self.nas.find_snapshot(self.snapshot.dataset, self.snapshot.name)
        if found is None:
            return False
        refuse_difference(self.title, [("made for", made_for(found.marks), self.owner)])
        return True

    def make(self) -> None:
        marks = mark(self.snapshot.dataset, _MARK, {"uuid": str(self.owner)})
        self.nas.create_snapshot(self.snapshot.dataset, self.snapshot.name, marks=marks, recursive=self.recursive)

    def undo(self) -> None:
        found = self.nas.find_snapshot(self.snapshot.dataset, self.snapshot.name)
        if found is not None and made_for(found.marks) == self.owner:
            self.nas.delete_snapshot(found.path, found.name, recursive=self.recursive)


@dataclass(frozen=True, slots=True)
class SnapshotForCopyGone:
    """The snapshot that was taken for this copy's sake is gone, unless somebody else made use of it since."""

    nas: Nas
    snapshot: SnapshotPath
    recursive: bool
    owner: UUID
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"no snapshot {self.snapshot} for its sake"

    def holds(self) -> bool:
        found = self.nas.find_snapshot(self.snapshot.dataset, self.snapshot.name)
        return found is None or made_for(found.marks) != self.owner or self._is_kept()

    def make(self) -> None:
        with suppress(BusyError):  # what keeps it is somebody's, and so is it from now on
            self.nas.delete_snapshot(self.snapshot.dataset, self.snapshot.name, recursive=self.recursive)

    def undo(self) -> None:
        """Plans put this step past the point of no return."""

    def _is_kept(self) -> bool:
        at = self.snapshot.dataset
        below = [volume.path for volume in self.nas.inventory(at).volumes] if self.recursive else []
        kept = {f"{path}@{self.snapshot.name}" for path in (at, *below)}
        return not kept.isdisjoint(self.nas.snapshot_keepers((at, *below)))


@dataclass(frozen=True, slots=True)
class VolumeCloned:
    """A volume that began as this snapshot of another, signed; it copies no data.

    A clone of the snapshot that bears no mark yet is half made: TrueNAS 26 clones and marks in two calls. Plans see to
    it that nobody else's clone is there before they begin.
    """

    nas: Nas
    source: SnapshotPath
    path: DatasetPath
    signature: Signature
    marks: Mapping[str, str] = field(default_factory=dict)
    """What else it bears from its first moment on."""
    signed: ClassVar[bool] = True

    @property
    def title(self) -> str:
        return f"volume {self.path} cloned from {self.source}"

    def holds(self) -> bool:
        found = self.nas.find_volume(self.path)
        if found is None or self._is_half_made(found):
            return False
        signature = Signature.in_marks(found.path, found.marks)
        refuse_difference(
            self.title,
            [
                ("its guest", signature and signature.guest, self.signature.guest),
                ("its origin", (found.origin or "none").rpartition("@")[2], str(self.source.name)),
            ],
        )
        return True

    def make(self) -> None:
        marks = {**self.marks, **self.signature.as_marks(self.path)}
        try:
            self.nas.clone(self.source.dataset, self.source.name, self.path, marks)
        except AlreadyExistsError:
            found = self.nas.find_volume(self.path)
            if found is None or not self._is_half_made(found):
                raise
            self.nas.change_marks(self.path, marks)

    def undo(self) -> None:
        found = self.nas.find_volume(self.path)
        if found is None:
            return
        if self._is_half_made(found) or Signature.in_marks(found.path, found.marks) == self.signature:
            self.nas.delete_volume(self.path)

    def _is_half_made(self, found: Volume) -> bool:
        return found.origin == str(self.source) and Signature.in_marks(found.path, found.marks) is None


class CloneGrown(VolumeGrown):
    """A clone that was just made has this size, and not that of the snapshot: nobody has written to it yet."""

    signed: ClassVar[bool] = True

    def holds(self) -> bool:
        return self.nas.find_volume(self.path) is not None and VolumeGrown.holds(self)

    def undo(self) -> None:
        """The clone goes, whatever its size."""


@dataclass(frozen=True, slots=True)
class VolumePromoted:
    """A clone owns the snapshot it began as, and all older ones; what it came from is now the clone."""

    nas: Nas
    path: DatasetPath
    origin: SnapshotPath
    moving: tuple[SnapshotName, ...]
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        owned = ", ".join(str(name) for name in self.moving)
        return f"volume {self.path} no clone of {self.origin.dataset}, but owner of its {owned}"

    def holds(self) -> bool:
        found = self.nas.find_volume(self.path)
        if found is None:
            raise NotFoundError(f"volume {self.path}: the nas has none of this name")
        return found.origin != str(self.origin)

    def make(self) -> None:
        try:
            self.nas.promote(self.path)
        except ConflictError:
            if not self.holds():  # else a promotion whose answer was lost has come about meanwhile
                raise

    def undo(self) -> None:
        """Promoting the other one would not give back all that moved; plans put this past the point of no return."""
