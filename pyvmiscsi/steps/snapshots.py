"""Facts about snapshots of a guest's disks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pyvmiscsi.names import DatasetPath, SnapshotName
from pyvmiscsi.plan.intent import mark, read_mark
from pyvmiscsi.ports import Nas


@dataclass(frozen=True, slots=True)
class SnapshotExists:
    """The nas keeps what the dataset is now; with `recursive` all of the guest's disks, at one moment."""

    nas: Nas
    path: DatasetPath
    name: SnapshotName
    recursive: bool
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"snapshot {self.path}@{self.name}"

    def holds(self) -> bool:
        return self.nas.find_snapshot(self.path, self.name) is not None

    def make(self) -> None:
        self.nas.create_snapshot(self.path, self.name, recursive=self.recursive)

    def undo(self) -> None:
        self.nas.delete_snapshot(self.path, self.name, recursive=self.recursive)


@dataclass(frozen=True, slots=True)
class SnapshotGone:
    """The nas keeps it no longer."""

    nas: Nas
    path: DatasetPath
    name: SnapshotName
    recursive: bool
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"no snapshot {self.path}@{self.name}"

    def holds(self) -> bool:
        return self.nas.find_snapshot(self.path, self.name) is None

    def make(self) -> None:
        self.nas.delete_snapshot(self.path, self.name, recursive=self.recursive)

    def undo(self) -> None:
        """What it kept does not come back; plans put this step past the point of no return."""


@dataclass(frozen=True, slots=True)
class RollbackAnnounced:
    """The guest's anchor says that its disks are being rolled back: from here on only forward.

    A volume that was rolled back looks like one that was not, so the announcement has to come first.
    """

    nas: Nas
    anchor: DatasetPath
    name: SnapshotName
    operation: str
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"rollback to @{self.name} announced"

    def holds(self) -> bool:
        found = self.nas.find_dataset(self.anchor) or self.nas.find_volume(self.anchor)
        return found is not None and read_mark(self.anchor, "announced", found.marks) == self._note

    def make(self) -> None:
        self.nas.change_marks(self.anchor, mark(self.anchor, "announced", self._note))

    def undo(self) -> None:
        """Plans put this step past the point of no return."""

    @property
    def _note(self) -> dict[str, str]:
        return {"op": self.operation, "rollback": str(self.name)}


@dataclass(frozen=True, slots=True)
class VolumeRolledBack:
    """The volume is what it was at the snapshot. A mark tells which operation rolled it back, for ZFS does not."""

    nas: Nas
    path: DatasetPath
    name: SnapshotName
    operation: str
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"volume {self.path} as at @{self.name}"

    def holds(self) -> bool:
        volume = self.nas.find_volume(self.path)
        return volume is not None and read_mark(self.path, "rollback", volume.marks) == self._note

    def make(self) -> None:
        self.nas.rollback(self.path, self.name)
        self.nas.change_marks(self.path, mark(self.path, "rollback", self._note))

    def undo(self) -> None:
        """What was written since does not come back; plans put this step past the point of no return."""

    @property
    def _note(self) -> dict[str, str]:
        return {"op": self.operation, "snapshot": str(self.name)}
