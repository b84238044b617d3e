"""Facts about the names of what a guest has on the nas. Each can be taken back: no data is touched."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Self
from uuid import UUID

from pyvmiscsi.errors import AlreadyExistsError, ConflictError
from pyvmiscsi.model import Dataset, Extent, Volume
from pyvmiscsi.names import DatasetPath, Iqn
from pyvmiscsi.plan.intent import marks_moved
from pyvmiscsi.ports import Nas
from pyvmiscsi.steps.signature import owner_in_marks


@dataclass(frozen=True, slots=True)
class ExtentChange:
    """An extent's name and volume, as they are and as they shall be."""

    name: str
    new_name: str
    volume: DatasetPath
    new_volume: DatasetPath

    @property
    def reverse(self) -> ExtentChange:
        return ExtentChange(self.new_name, self.name, self.new_volume, self.volume)

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "new_name": self.new_name, "volume": str(self.volume), "to": str(self.new_volume)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(data["name"], data["new_name"], DatasetPath.parse(data["volume"]), DatasetPath.parse(data["to"]))


@dataclass(frozen=True, slots=True)
class ExtentsNamed:
    """These extents of a guest have other names; their volumes stay where they are."""

    nas: Nas
    extents: tuple[ExtentChange, ...]
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return "extents " + ", ".join(extent.new_name for extent in self.extents)

    def holds(self) -> bool:
        return _are_changed(self.nas, self.extents)

    def make(self) -> None:
        _change(self.nas, self.extents)

    def undo(self) -> None:
        _change(self.nas, [extent.reverse for extent in self.extents])


@dataclass(frozen=True, slots=True)
class Moved:
    """A guest's dataset or volume stands at another path, with all below it, and its extents offer it from there.

    One step, for an extent can only be given a volume that is there: forth and back, the move comes before that.
    """

    nas: Nas
    old: DatasetPath
    new: DatasetPath
    guest: UUID
    extents: tuple[ExtentChange, ...]
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"{self.old} is {self.new}"

    def holds(self) -> bool:
        found = find(self.nas, self.new)
        if found is None:
            return False
        if self._owner_of(found) != self.guest:
            raise ConflictError(f"{self.new}: is there already", hint="choose another name")
        return _are_changed(self.nas, self.extents)

    def make(self) -> None:
        self._move(self.old, self.new)
        _change(self.nas, self.extents)

    def undo(self) -> None:
        self._move(self.new, self.old)
        _change(self.nas, [extent.reverse for extent in self.extents])

    def _move(self, here: DatasetPath, there: DatasetPath) -> None:
        """No harm when it is there; never over what is another's, nor another's that stands here by now."""
        found = find(self.nas, there)
        if found is None:
            self.nas.rename_dataset(here, there)
        elif self._owner_of(found) != self.guest:
            raise ConflictError(f"{there}: is there already, and not this guest's", hint="it was left alone")

    def _owner_of(self, found: Dataset | Volume) -> UUID | None:
        """By marks that may still speak of the path it had, or of the one it had before an undo."""
        return owner_in_marks((self.old, self.new), found.marks)


@dataclass(frozen=True, slots=True)
class MarksFollowed:
    """The marks of what was moved speak of the path where it is."""

    nas: Nas
    old: DatasetPath
    new: DatasetPath
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"marks of {self.new}"

    def holds(self) -> bool:
        found = find(self.nas, self.new)
        return found is not None and not marks_moved(self.old, self.new, found.marks)

    def make(self) -> None:
        self._rewrite(self.old, self.new)

    def undo(self) -> None:
        """Where it is, before it is moved back."""
        self._rewrite(self.new, self.old)

    def _rewrite(self, before: DatasetPath, after: DatasetPath) -> None:
        found = find(self.nas, self.new)
        changes = marks_moved(before, after, found.marks) if found else {}
        if changes:
            self.nas.change_marks(self.new, changes)


@dataclass(frozen=True, slots=True)
class TargetNamed:
    """A target has another name; its groups, CHAP and mappings stay."""

    nas: Nas
    old: Iqn
    new: Iqn
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"target {self.old} is {self.new}"

    def holds(self) -> bool:
        if self.nas.find_target(self.new) is None:
            return False
        if self.nas.find_target(self.old) is not None:
            raise AlreadyExistsError(f"target {self.new}: is there already", hint="choose another name")
        return True

    def make(self) -> None:
        self.nas.rename_target(self.old, self.new)

    def undo(self) -> None:
        if self.nas.find_target(self.new) is not None and self.nas.find_target(self.old) is None:
            self.nas.rename_target(self.new, self.old)


@dataclass(frozen=True, slots=True)
class CredentialNamed:
    """The guest's CHAP account has another user, and `<user>-nas` as peer if it had that; its secrets stay."""

    nas: Nas
    tag: int
    old: str
    new: str
    peer: bool
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"CHAP account {self.new} under tag {self.tag}"

    def holds(self) -> bool:
        return self._has(self.new) and not self._has(self.old)

    def make(self) -> None:
        self._rename(self.old, self.new)

    def undo(self) -> None:
        if self._has(self.new) and not self._has(self.old):
            self._rename(self.new, self.old)

    def _has(self, user: str) -> bool:
        return any(account.user == user for account in self.nas.find_credentials(tag=self.tag))

    def _rename(self, before: str, after: str) -> None:
        peer = peer_of(after) if self.peer else None
        self.nas.change_credential(self.tag, before, new_user=after, peer_user=peer)


def peer_of(user: str) -> str:
    """The name by which the nas proves itself to this user, in mutual CHAP."""
    return f"{user}-nas"


def find(nas: Nas, path: DatasetPath) -> Dataset | Volume | None:
    """The dataset or volume at this path."""
    return nas.find_volume(path) or nas.find_dataset(path)


def _are_changed(nas: Nas, extents: Iterable[ExtentChange]) -> bool:
    for extent in extents:
        found = nas.find_extent(extent.new_name)
        if found is None:
            return False
        if found.volume not in (extent.volume, extent.new_volume):
            raise AlreadyExistsError(f"extent {extent.new_name}: is there already", hint="choose another name")
        if found.volume != extent.new_volume:
            return False
    return True


def _change(nas: Nas, extents: Iterable[ExtentChange]) -> None:
    for extent in extents:
        found = _find_either(nas, extent)
        name = None if found.name == extent.new_name else extent.new_name
        volume = None if found.volume == extent.new_volume else extent.new_volume
        if name or volume:
            nas.change_extent(found.name, new_name=name, volume=volume)


def _find_either(nas: Nas, extent: ExtentChange) -> Extent:
    for name in (extent.name, extent.new_name):
        found = nas.find_extent(name)
        if found is not None and found.volume in (extent.volume, extent.new_volume):
            return found
    raise ConflictError(f"extent {extent.name}: is gone, or offers another volume by now")
