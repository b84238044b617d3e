"""Facts about what a guest's anchor tells of disks in other datastores.

It tells of a disk from before its first object is there until after its last is gone: so whoever reads the anchor
knows where else to look.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pyvmiscsi.errors import NotFoundError
from pyvmiscsi.names import DatasetPath, DiskName
from pyvmiscsi.plan.intent import mark, read_mark
from pyvmiscsi.ports import Nas
from pyvmiscsi.steps.announced import marks_of

ELSEWHERE = "elsewhere"
"""Of the guest's mark: the datastores of disks, by the disks' names."""


@dataclass(frozen=True, slots=True)
class DiskTold:
    """The guest's anchor tells that this disk of it is in that other datastore."""

    nas: Nas
    anchor: DatasetPath
    disk: DiskName
    datastore: str
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"{self.anchor} tells of {self.disk} in datastore {self.datastore}"

    def holds(self) -> bool:
        return _told(self.nas, self.anchor).get(str(self.disk)) == self.datastore

    def make(self) -> None:
        _tell(self.nas, self.anchor, self.disk, self.datastore)

    def undo(self) -> None:
        _tell(self.nas, self.anchor, self.disk, None)


@dataclass(frozen=True, slots=True)
class DiskUntold:
    """The guest's anchor tells of no such disk any more."""

    nas: Nas
    anchor: DatasetPath
    disk: DiskName
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"{self.anchor} tells of no {self.disk}"

    def holds(self) -> bool:
        return str(self.disk) not in _told(self.nas, self.anchor)

    def make(self) -> None:
        _tell(self.nas, self.anchor, self.disk, None)

    def undo(self) -> None:
        """The disk is gone; plans put this step past the point of no return."""


def _told(nas: Nas, anchor: DatasetPath) -> dict[str, str]:
    content = read_mark(anchor, "guest", marks_of(nas, anchor)) or {}
    return dict(content.get(ELSEWHERE, {}))


def _tell(nas: Nas, anchor: DatasetPath, disk: DiskName, datastore: str | None) -> None:
    """Change what is told of one disk; nothing but the operation that has the guest changes the mark meanwhile."""
    content = read_mark(anchor, "guest", marks_of(nas, anchor))
    if content is None:
        raise NotFoundError(f"{anchor}: no guest's any more")
    told = {name: where for name, where in content.get(ELSEWHERE, {}).items() if name != str(disk)}
    if datastore is not None:
        told[str(disk)] = datastore
    before, kept = mark(anchor, "guest", content), {key: value for key, value in content.items() if key != ELSEWHERE}
    nas.change_marks(anchor, dict.fromkeys(before) | mark(anchor, "guest", {**kept, ELSEWHERE: told} if told else kept))
