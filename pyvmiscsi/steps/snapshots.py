"""Facts about snapshots of a guest's disks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pyvmiscsi.errors import BusyError
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
class NothingKeepsSnapshots:
    """Every snapshot of these could be deleted: no clone came of any, and nobody holds one."""

    nas: Nas
    paths: tuple[DatasetPath, ...]
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return "nothing that keeps snapshots of " + ", ".join(str(path) for path in self.paths)

    def holds(self) -> bool:
        return not self.nas.snapshot_keepers(self.paths)

    def make(self) -> None:
        refuse_kept_snapshots(self.nas.snapshot_keepers(self.paths))

    def undo(self) -> None:
        """Nothing was done."""


@dataclass(frozen=True, slots=True)
class NoSnapshotLeft:
    """The nas keeps no snapshot of these, whoever took it, and whenever: what is there at that moment goes.

    `above` is the dataset that holds the others, if there is one: what was taken of all at once goes in one call.
    """

    nas: Nas
    paths: tuple[DatasetPath, ...]
    above: DatasetPath | None = None
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return "no snapshot left of " + ", ".join(str(path) for path in self.paths)

    def holds(self) -> bool:
        return not any(self.nas.snapshots(path) for path in self.paths)

    def make(self) -> None:
        if self.above is not None:
            for snapshot in self.nas.snapshots(self.above):
                self.nas.delete_snapshot(snapshot.path, snapshot.name, recursive=True)
        for path in self.paths:
            for snapshot in self.nas.snapshots(path):
                self.nas.delete_snapshot(path, snapshot.name)

    def undo(self) -> None:
        """What they kept does not come back; plans put this step past the point of no return."""


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


def refuse_kept_snapshots(keepers: Mapping[str, tuple[str, ...]]) -> None:
    """BusyError naming the first snapshot that could not be deleted, and what keeps it."""
    for snapshot, names in sorted(keepers.items()):
        clones = [name.removeprefix("clone ") for name in names if name.startswith("clone ")]
        hint = (
            "pyvmiscsi vm promote gives a clone's guest what it came from; or destroy that guest first"
            if clones
            else "release it on the nas first"
        )
        raise BusyError(f"snapshot {snapshot}: kept by {', '.join(names)}", hint=hint)
