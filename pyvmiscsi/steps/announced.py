"""The point of no return, written down before it is passed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pyvmiscsi.model import Marks
from pyvmiscsi.names import DatasetPath
from pyvmiscsi.plan.intent import mark, read_mark
from pyvmiscsi.ports import Nas


@dataclass(frozen=True, slots=True)
class Announced:
    """The guest's anchor says what is about to be done to it: from here on only forward.

    For what leaves no trace by which one could tell whether it was done: a volume that was rolled back, a secret that
    nobody but the nas keeps, one snapshot less.
    """

    nas: Nas
    anchor: DatasetPath
    what: str
    operation: str
    ends: bool = False
    """Whether what is announced takes the anchor with it: once that is gone, it was announced."""
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"{self.what} announced"

    def holds(self) -> bool:
        found = self.nas.find_dataset(self.anchor) or self.nas.find_volume(self.anchor)
        if found is None:
            return self.ends
        return read_mark(self.anchor, "announced", found.marks) == self._note

    def make(self) -> None:
        self.nas.change_marks(self.anchor, mark(self.anchor, "announced", self._note))

    def undo(self) -> None:
        """Plans put this step past the point of no return."""

    @property
    def _note(self) -> dict[str, str]:
        return {"op": self.operation, "what": self.what}


def marks_of(nas: Nas, path: DatasetPath) -> Marks:
    """The marks of a dataset or of a volume; none when there is neither."""
    found = nas.find_dataset(path) or nas.find_volume(path)
    return {} if found is None else found.marks
