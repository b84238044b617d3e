"""The intent of an operation, as marks on the object that carries it (DESIGN section 6). Pure text.

A mark is a ZFS user property of at most 1,024 characters, and ZFS properties are inherited: so each value begins
with the object it is for, and a mark that names another object is not this object's. A text longer than one
mark is cut into numbered parts:

    org.pyvmiscsi:op.5f0c2d9a1b3e      tank/vm/web1 1/2 {"verb":"create", …
    org.pyvmiscsi:op.5f0c2d9a1b3e.2    tank/vm/web1 2/2 … }

A mark of an object that is about to be renamed names both paths, `tank/vm/web1,tank/vm/web2 1/1 {…}`, so that it is
read before the move and after it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pyvmiscsi.errors import BusyError
from pyvmiscsi.names import DatasetPath

PREFIX = "org.pyvmiscsi:"
LONGEST_MARK = 1024
_INTENT_KEY = re.compile(re.escape(PREFIX) + r"op\.(?P<id>[0-9a-f]+)")
_PART = re.compile(r"(?P<places>\S+) (?P<number>\d+)/(?P<count>\d+) (?P<part>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Intent:
    """What an operation is about to do, with everything needed to go on with it or to take it back."""

    id: str
    verb: str
    subject: str
    """The guest's name."""
    request: Mapping[str, Any]
    """The parameters of the verb, as JSON; never a secret."""
    by: str
    """`user@host[pid]` of the process that began it."""
    since: str
    """When it began: ISO 8601, UTC."""
    found: tuple[str, ...] = field(default=())
    """Titles of the steps that held before it began: never undone."""
    kept: bool = True
    """Whether a journal keeps it. Without one nobody can find it again, and the verb is simply used once more."""

    @property
    def way_on(self) -> str:
        """How to go on when it was cut short."""
        return f"pyvmiscsi ops resume {self.id}, or ops rewind {self.id}" if self.kept else f"{self.verb} it again"

    def in_the_way_of(self, what: str) -> BusyError:
        """The error for whoever wants to do something else with `what` (`guest web1`) while it is unfinished."""
        return BusyError(f"{what}: {self.verb} begun {self.since} by {self.by} is unfinished", hint=self.way_on)


def mark(
    path: DatasetPath, name: str, content: Mapping[str, Any], *, moving_to: DatasetPath | None = None
) -> dict[str, str]:
    """The properties that keep `content` under `org.pyvmiscsi:<name>` on `path`; while it moves, at either path."""
    text = json.dumps(content, separators=(",", ":"), sort_keys=True)
    places = f"{path},{moving_to}" if moving_to else str(path)
    room = LONGEST_MARK - len(f"{places} 99/99 ")
    parts = [text[start : start + room] for start in range(0, len(text), room)]
    return {
        f"{PREFIX}{name}" + (f".{number}" if number > 1 else ""): f"{places} {number}/{len(parts)} {part}"
        for number, part in enumerate(parts, 1)
    }


def read_mark(path: DatasetPath, name: str, marks: Mapping[str, str]) -> dict[str, Any] | None:
    """What `mark` kept on `path` itself; None when there is nothing, or only what was inherited or cut short."""
    parts: list[str] = []
    key, number, count = f"{PREFIX}{name}", 1, 1
    while number <= count:
        match = _PART.fullmatch(marks.get(key, ""))
        if match is None or str(path) not in match["places"].split(",") or int(match["number"]) != number:
            return None
        count = int(match["count"])
        parts.append(match["part"])
        number += 1
        key = f"{PREFIX}{name}.{number}"
    try:
        content = json.loads("".join(parts))
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def read_snapshot_mark(name: str, marks: Mapping[str, str]) -> dict[str, Any] | None:
    """What `mark` kept on a snapshot under a name that only snapshots bear; None when there is nothing.

    Whatever path it names: a snapshot keeps its marks when its dataset is renamed, or when a clone that is promoted
    takes it over, and not every release can change them.
    """
    first = _PART.fullmatch(marks.get(f"{PREFIX}{name}", ""))
    return read_mark(DatasetPath(first["places"]), name, marks) if first and "," not in first["places"] else None


def marks_moved(old: DatasetPath, new: DatasetPath, marks: Mapping[str, str]) -> dict[str, str | None]:
    """The changes after which every mark that is for `old` alone is for `new` alone; none when there is none."""
    changes: dict[str, str | None] = {}
    for key, value in marks.items():
        match = _PART.fullmatch(value)
        if key.startswith(PREFIX) and match and match["places"] == str(old) and match["number"] == "1":
            name = key.removeprefix(PREFIX)
            content = read_mark(old, name, marks)
            if content is not None:
                changes |= dict.fromkeys(mark(old, name, content)) | mark(new, name, content)
    return changes


def intent_marks(path: DatasetPath, intent: Intent, *, moving_to: DatasetPath | None = None) -> dict[str, str]:
    """The marks that make the intent durable on `path`; of an operation that moves it, at either path."""
    content = {
        "verb": intent.verb,
        "subject": intent.subject,
        "request": dict(intent.request),
        "by": intent.by,
        "since": intent.since,
        "found": list(intent.found),
    }
    return mark(path, f"op.{intent.id}", content, moving_to=moving_to)


def read_intents(path: DatasetPath, marks: Mapping[str, str]) -> tuple[Intent, ...]:
    """Every unfinished operation on `path` itself, the oldest first."""
    ids = sorted({match["id"] for key in marks if (match := _INTENT_KEY.match(key))})
    intents = [_intent(id_, content) for id_ in ids if (content := read_mark(path, f"op.{id_}", marks)) is not None]
    return tuple(sorted(intents, key=lambda intent: (intent.since, intent.id)))


def _intent(id_: str, content: Mapping[str, Any]) -> Intent:
    return Intent(
        id=id_,
        verb=str(content.get("verb", "")),
        subject=str(content.get("subject", "")),
        request=content.get("request", {}),
        by=str(content.get("by", "")),
        since=str(content.get("since", "")),
        found=tuple(content.get("found", ())),
    )
