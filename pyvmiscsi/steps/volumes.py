"""Facts about volumes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar
from uuid import UUID

from pyvmiscsi.errors import BusyError, ConflictError
from pyvmiscsi.model import Snapshot, Volume
from pyvmiscsi.names import DatasetPath
from pyvmiscsi.plan.intent import mark, read_mark
from pyvmiscsi.ports import Nas
from pyvmiscsi.steps.difference import refuse_difference
from pyvmiscsi.steps.signature import KEPT, Signature


@dataclass(frozen=True, slots=True)
class VolumeExists:
    """A guest's volume of this size is on the nas, signed."""

    nas: Nas
    volume: Volume
    signature: Signature
    signed: ClassVar[bool] = True

    @property
    def title(self) -> str:
        return f"volume {self.volume.path}"

    def holds(self) -> bool:
        found = self.nas.find_volume(self.volume.path)
        if found is None:
            return False
        wanted = self.volume
        signature = Signature.in_marks(found.path, found.marks)
        refuse_difference(
            self.title,
            [
                ("its guest", signature and signature.guest, self.signature.guest),
                ("size", found.size, wanted.size),
                ("thick provisioning", found.thick, wanted.thick),
                ("block size", found.block_size, wanted.block_size or found.block_size),
                ("compression", found.compression, wanted.compression or found.compression),
            ],
        )
        return True

    def make(self) -> None:
        path = self.volume.path
        self.nas.create_volume(replace(self.volume, marks={**self.volume.marks, **self.signature.as_marks(path)}))

    def undo(self) -> None:
        found = self.nas.find_volume(self.volume.path)
        if found is not None and Signature.in_marks(found.path, found.marks) == self.signature:
            self.nas.delete_volume(self.volume.path)


@dataclass(frozen=True, slots=True)
class MarkedStill:
    """The volume is the one that was looked at, by the uuid in its mark; or there is none any more."""

    nas: Nas
    parent: DatasetPath
    path: DatasetPath
    mark: str
    uuid: UUID
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"{self.path} still the {self.mark} {self.uuid}"

    def holds(self) -> bool:
        """By an inventory, which is never remembered from before the operation began."""
        found = next((one for one in self.nas.inventory(self.parent).volumes if one.path == self.path), None)
        if found is None:
            return True
        content = read_mark(self.path, self.mark, found.marks)
        return content is not None and content.get("uuid") == str(self.uuid)

    def make(self) -> None:
        raise ConflictError(
            f"volume {self.path}: somebody made another {self.mark} of this name just now", hint="look, and begin again"
        )

    def undo(self) -> None:
        """Nothing was done."""


@dataclass(frozen=True, slots=True)
class VolumeGone:
    """The volume and its data are no more."""

    nas: Nas
    path: DatasetPath
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"no volume {self.path}"

    def holds(self) -> bool:
        return self.nas.find_volume(self.path) is None

    def make(self) -> None:
        offered = self.nas.extents_of(self.path)
        if offered:
            names = ", ".join(extent.name for extent in offered)
            raise BusyError(f"volume {self.path}: still offered as extent {names}", hint="it was not deleted")
        self.nas.delete_volume(self.path)

    def undo(self) -> None:
        """Data that was deleted does not come back; plans put this step past the point of no return."""


@dataclass(frozen=True, slots=True)
class VolumeKept:
    """The volume is no disk of its guest any more; a mark tells whose it was."""

    nas: Nas
    path: DatasetPath
    whose: Mapping[str, str]
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"volume {self.path} kept"

    def holds(self) -> bool:
        volume = self.nas.find_volume(self.path)
        return volume is not None and read_mark(self.path, KEPT, volume.marks) == self.whose

    def make(self) -> None:
        self.nas.change_marks(self.path, mark(self.path, KEPT, self.whose))

    def undo(self) -> None:
        """Plans put this step past the point of no return."""


@dataclass(frozen=True, slots=True)
class NoSnapshots:
    """Nothing would keep these volumes, or their dataset, from being deleted."""

    nas: Nas
    paths: tuple[DatasetPath, ...]
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return "no snapshots of " + ", ".join(str(path) for path in self.paths)

    def holds(self) -> bool:
        return not self._found()

    def make(self) -> None:
        found = [str(snapshot) for snapshot in self._found()]
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise BusyError(
            f"snapshots stand in the way: {', '.join(found[:3])}{more}",
            hint="delete them on the nas first, and stop the task that takes them",
        )

    def undo(self) -> None:
        """Nothing was done."""

    def _found(self) -> list[Snapshot]:
        return [snapshot for path in self.paths for snapshot in self.nas.snapshots(path)]
