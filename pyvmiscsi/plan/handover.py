"""Journals of operations after which the anchor bears another owner's mark: a guest renamed, parked or restored.

The owner's mark changes in the very call that takes the intent away, so that at every moment the object is either
still what it was, with an unfinished operation, or all that it was to become.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from pyvmiscsi.errors import NasUnansweredError, PyvmiscsiError
from pyvmiscsi.model import Marks
from pyvmiscsi.plan.intent import Intent, intent_marks, read_intents
from pyvmiscsi.plan.journal import Anchor, ChangeJournal, Owner, is_owned, refuse_others


@dataclass(frozen=True, slots=True)
class HandoverJournal(ChangeJournal):
    """A change that leaves the anchor in place, with these marks set (or, being None, removed)."""

    owner: Mapping[str, str | None]

    def close(self, intent: Intent) -> None:
        """Once: who comes late must not write over what came after."""
        if not self.has_ended(intent):
            self.anchor.change_marks({**self.owner, **dict.fromkeys(intent_marks(self.anchor.path, intent))})


@dataclass(frozen=True, slots=True)
class MoveJournal:
    """A change that moves the anchor from `old` to `new`: the intent names both paths, and is found at either."""

    old: Anchor
    new: Anchor
    before: Marks
    """The owner's mark at the old path."""
    meanwhile: Marks
    """The same, naming both paths."""
    after: Marks
    """The owner's mark at the new path."""
    of: Owner | None = None
    """Whose the anchor still has to be when the operation begins."""

    def pending(self) -> tuple[Intent, ...]:
        return tuple(intent for anchor in (self.new, self.old) for intent in _intents_of(anchor))

    def open(self, intent: Intent) -> None:
        """The owner's mark is written only once it is certain that it would not write over another's."""
        try:
            self.old.change_marks(self._marks_of(intent))
        except NasUnansweredError:
            if self.has_ended(intent):
                raise
        marks = self.old.marks() or {}
        others = [other for other in read_intents(self.old.path, marks) if other.id != intent.id]
        if others or not is_owned(self.old.path, self.of, marks):
            with suppress(NasUnansweredError):  # a mark that stays does no harm, and `ops list` shows it
                self.old.change_marks(dict.fromkeys(self._marks_of(intent)))
            refuse_others(intent, others)
        try:
            self.old.change_marks(self.meanwhile)
        except NasUnansweredError:
            raise  # whoever asked looks whether the operation is open
        except PyvmiscsiError:
            self.withdraw(intent)
            raise

    def close(self, intent: Intent) -> None:
        self._end(intent, self.after)

    def withdraw(self, intent: Intent) -> None:
        self._end(intent, self.before)

    def has_ended(self, intent: Intent) -> bool:
        return self._bearer(intent) is None

    def _end(self, intent: Intent, owner: Marks) -> None:
        bearer = self._bearer(intent)
        if bearer is not None:
            gone = dict.fromkeys([*self.meanwhile, *self._marks_of(intent)])
            bearer.change_marks({**gone, **owner})

    def _bearer(self, intent: Intent) -> Anchor | None:
        """Where the object is now: the other path may be somebody else's by then."""
        for anchor in (self.new, self.old):
            if any(found.id == intent.id for found in _intents_of(anchor)):
                return anchor
        return None

    def _marks_of(self, intent: Intent) -> dict[str, str]:
        return intent_marks(self.old.path, intent, moving_to=self.new.path)


def _intents_of(anchor: Anchor) -> tuple[Intent, ...]:
    return read_intents(anchor.path, anchor.marks() or {})
