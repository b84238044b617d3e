"""Facts about snapshots of a guest's disks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Self
from uuid import UUID

from pyvmiscsi.errors import BusyError
from pyvmiscsi.model import Marks
from pyvmiscsi.names import DatasetPath, SnapshotName
from pyvmiscsi.plan.intent import mark, read_mark, read_snapshot_mark
from pyvmiscsi.ports import Nas
from pyvmiscsi.units import Size

_EXPIRY = "expiry"


@dataclass(frozen=True, slots=True)
class Expiry:
    """Until when a guest wants its snapshot kept; it bears that from its first moment, and it cannot be changed."""

    guest: UUID
    until: datetime

    def as_marks(self, path: DatasetPath) -> dict[str, str]:
        return mark(path, _EXPIRY, {"uuid": str(self.guest), "until": _as_text(self.until)})

    @classmethod
    def in_marks(cls, marks: Marks) -> Self | None:
        """The guest's uuid says whose it is, also after a promotion has given the snapshot to another guest."""
        content = read_snapshot_mark(_EXPIRY, marks)
        try:
            return None if content is None else cls(UUID(str(content["uuid"])), _moment(str(content["until"])))
        except (KeyError, ValueError):
            return None

    def as_json(self) -> dict[str, str]:
        return {"guest": str(self.guest), "until": _as_text(self.until)}

    @classmethod
    def from_json(cls, data: Mapping[str, str]) -> Self:
        return cls(UUID(data["guest"]), _moment(data["until"]))


def _moment(text: str) -> datetime:
    """ISO 8601 as `_as_text` writes it: without another zone, UTC."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _as_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class SnapshotExists:
    """The nas keeps what the dataset is now; with `recursive` all of the guest's disks, at one moment."""

    nas: Nas
    path: DatasetPath
    name: SnapshotName
    recursive: bool
    expiry: Expiry | None = None
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"snapshot {self.path}@{self.name}"

    def holds(self) -> bool:
        return self.nas.find_snapshot(self.path, self.name) is not None

    def make(self) -> None:
        marks = self.expiry.as_marks(self.path) if self.expiry else None
        self.nas.create_snapshot(self.path, self.name, marks=marks, recursive=self.recursive)

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
    """The volume is what it was at the snapshot. A mark tells which operation rolled it back, for ZFS does not.

    It keeps the size it has grown to: ZFS takes the size back too, and the LUN would go on showing the larger one.
    """

    nas: Nas
    path: DatasetPath
    name: SnapshotName
    size: Size
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
        volume = self.nas.find_volume(self.path)
        if volume is not None and volume.size < self.size:
            self.nas.grow_volume(self.path, self.size)
        self.nas.change_marks(self.path, mark(self.path, "rollback", self._note))

    def undo(self) -> None:
        """What was written since does not come back; plans put this step past the point of no return."""

    @property
    def _note(self) -> dict[str, str]:
        return {"op": self.operation, "snapshot": str(self.name)}


def refuse_kept_snapshots(keepers: Mapping[str, tuple[str, ...]], owners: Mapping[str, str] | None = None) -> None:
    """BusyError naming the first snapshot that could not be deleted, what keeps it, and what to do about that.

    `owners` tells whose volumes are, by their paths, as the words of the command go on: `vm promote web2`.
    """
    for snapshot, names in sorted(keepers.items()):
        clones = [name.removeprefix("clone ") for name in names if name.startswith("clone ")]
        ways = [f"pyvmiscsi {owners[clone]}" for clone in clones if owners and clone in owners]
        hint = " and ".join(dict.fromkeys(ways)) or (
            "promote or delete the clone first" if clones else "release it first"
        )
        raise BusyError(f"snapshot {snapshot}: kept by {', '.join(names)}", hint=hint)
