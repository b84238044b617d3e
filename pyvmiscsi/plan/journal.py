"""Where an operation's intent lives: on the nas, with the guest it is about. There is no local journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn, Protocol

from pyvmiscsi.errors import ConflictError, NasUnansweredError
from pyvmiscsi.model import Marks, Volume
from pyvmiscsi.names import DatasetPath
from pyvmiscsi.plan.intent import Intent, intent_marks, read_intents, read_mark
from pyvmiscsi.ports import Nas


class Journal(Protocol):
    """Keeps one operation's intent, durable before its first effect and gone after its last."""

    def pending(self) -> tuple[Intent, ...]:
        """The unfinished operations on this object."""

    def open(self, intent: Intent) -> None:
        """Make the intent durable; AlreadyExistsError or BusyError, and nothing stays, when another has the object."""

    def close(self, intent: Intent) -> None:
        """The operation is complete."""

    def withdraw(self, intent: Intent) -> None:
        """The operation was taken back: nothing of it is left."""

    def has_ended(self, intent: Intent) -> bool:
        """Whether somebody else closed or withdrew it: what bears its names may be another operation's by now."""


class Anchor(Protocol):
    """The object on the nas that carries a guest's marks: its dataset (nested layout) or disk0's volume (flat)."""

    @property
    def path(self) -> DatasetPath: ...

    def marks(self) -> Marks | None:
        """Its marks; None when there is no such object."""

    def create(self, marks: Mapping[str, str]) -> None: ...

    def change_marks(self, changes: Mapping[str, str | None]) -> None: ...

    def delete(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose an anchor still has to be when an operation on it begins: one of its marks, and what that must say."""

    mark: str
    says: Mapping[str, Any]
    """None of what it must not mention."""

    def has(self, anchor: DatasetPath, marks: Marks) -> bool:
        content = read_mark(anchor, self.mark, marks)
        return content is not None and all(content.get(key) == value for key, value in self.says.items())


@dataclass(frozen=True, slots=True)
class DatasetAnchor:
    nas: Nas
    path: DatasetPath

    def marks(self) -> Marks | None:
        dataset = self.nas.find_dataset(self.path)
        return None if dataset is None else dataset.marks

    def create(self, marks: Mapping[str, str]) -> None:
        self.nas.create_dataset(self.path, marks)

    def change_marks(self, changes: Mapping[str, str | None]) -> None:
        self.nas.change_marks(self.path, changes)

    def delete(self) -> None:
        self.nas.delete_dataset(self.path)


@dataclass(frozen=True, slots=True)
class VolumeAnchor:
    nas: Nas
    volume: Volume

    @property
    def path(self) -> DatasetPath:
        return self.volume.path

    def marks(self) -> Marks | None:
        volume = self.nas.find_volume(self.path)
        return None if volume is None else volume.marks

    def create(self, marks: Mapping[str, str]) -> None:
        self.nas.create_volume(replace(self.volume, marks={**self.volume.marks, **marks}))

    def change_marks(self, changes: Mapping[str, str | None]) -> None:
        self.nas.change_marks(self.path, changes)

    def delete(self) -> None:
        self.nas.delete_volume(self.path)


@dataclass(frozen=True, slots=True)
class CreationJournal:
    """The intent travels in the very call that makes the anchor: the nas itself decides between two creates."""

    anchor: Anchor
    owner: Marks
    """What stays on the anchor when the operation is complete."""

    def pending(self) -> tuple[Intent, ...]:
        return read_intents(self.anchor.path, self.anchor.marks() or {})

    def open(self, intent: Intent) -> None:
        self.anchor.create({**self.owner, **intent_marks(self.anchor.path, intent)})

    def close(self, intent: Intent) -> None:
        _clear(self.anchor, intent)

    def withdraw(self, intent: Intent) -> None:
        if not self.has_ended(intent):
            self.anchor.delete()

    def has_ended(self, intent: Intent) -> bool:
        return _is_missing(intent, self.pending())


@dataclass(frozen=True, slots=True)
class ChangeJournal:
    """The intent is written under a key of its own, then all are read back: alone, or not at all.

    Nor when the anchor is not its owner's any more: a request is made of what somebody saw a moment before.
    """

    anchor: Anchor
    of: Owner | None = field(default=None, kw_only=True)

    def pending(self) -> tuple[Intent, ...]:
        return self._pending_in(self.anchor.marks() or {})

    def _pending_in(self, marks: Marks) -> tuple[Intent, ...]:
        return read_intents(self.anchor.path, marks)

    def open(self, intent: Intent) -> None:
        try:
            self.anchor.change_marks(intent_marks(self.anchor.path, intent))
        except NasUnansweredError:
            if self.has_ended(intent):
                raise
        marks = self.anchor.marks() or {}
        others = [other for other in self._pending_in(marks) if other.id != intent.id]
        if others or not is_owned(self.anchor.path, self.of, marks):
            with suppress(NasUnansweredError):  # a mark that stays does no harm, and `ops list` shows it
                self.withdraw(intent)
            refuse_others(intent, others)

    def close(self, intent: Intent) -> None:
        self.withdraw(intent)

    def withdraw(self, intent: Intent) -> None:
        _clear(self.anchor, intent)

    def has_ended(self, intent: Intent) -> bool:
        return _is_missing(intent, self.pending())


@dataclass(frozen=True, slots=True)
class SharedJournal(ChangeJournal):
    """A change kept on an object that many share, a datastore's parent: others stand in its way only on its subject."""

    subject: str

    def _pending_in(self, marks: Marks) -> tuple[Intent, ...]:
        found = read_intents(self.anchor.path, marks)
        return tuple(intent for intent in found if intent.subject == self.subject)


@dataclass(frozen=True, slots=True)
class RemovalJournal(ChangeJournal):
    """A change that ends with the anchor itself: the marked object is removed last."""

    def close(self, intent: Intent) -> None:
        marks = self.anchor.marks()
        if marks is None:
            return
        if _is_missing(intent, read_intents(self.anchor.path, marks)):
            raise ConflictError(f"{self.anchor.path}: it is another guest's by now", hint="it was left alone")
        self.anchor.delete()


def is_owned(anchor: DatasetPath, of: Owner | None, marks: Marks) -> bool:
    """Whether the anchor is its owner's still, as far as anybody asks."""
    return of is None or of.has(anchor, marks)


def refuse_others(intent: Intent, others: Sequence[Intent]) -> NoReturn:
    """BusyError naming the first of the operations that stand in this one's way; ConflictError when there is none."""
    if not others:
        raise ConflictError(
            f"{intent.subject}: was renamed, parked, destroyed or made anew just now",
            hint="nothing was changed; look again",
        )
    raise others[0].in_the_way_of(intent.subject)


def _is_missing(intent: Intent, pending: tuple[Intent, ...]) -> bool:
    return all(other.id != intent.id for other in pending)


def _clear(anchor: Anchor, intent: Intent) -> None:
    anchor.change_marks(dict.fromkeys(intent_marks(anchor.path, intent)))
