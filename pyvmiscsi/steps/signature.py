"""How a thing on the nas tells whose it is and which operation made it. Pure text.

Volumes carry it as a mark, extents in their comment: `pyvmiscsi uuid=<guest> op=<operation>`, with whatever text
somebody added after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from pyvmiscsi.model import Marks
from pyvmiscsi.names import DatasetPath
from pyvmiscsi.plan.intent import mark, read_mark

KEPT = "kept"
"""The mark of a volume that stayed when its disk was removed, and of an anchor whose guest went without its disks."""

_COMMENT = re.compile(r"pyvmiscsi uuid=(?P<uuid>[0-9a-f-]{36}) op=(?P<op>[0-9a-f]+)")


@dataclass(frozen=True, slots=True)
class Signature:
    """The guest a thing belongs to, and the operation that made it."""

    guest: UUID
    operation: str

    def as_comment(self) -> str:
        return f"pyvmiscsi uuid={self.guest} op={self.operation}"

    @classmethod
    def in_comment(cls, comment: str) -> Self | None:
        match = _COMMENT.search(comment)
        return cls(UUID(match["uuid"]), match["op"]) if match else None

    def as_marks(self, path: DatasetPath) -> dict[str, str]:
        return mark(path, "disk", {"uuid": str(self.guest), "op": self.operation})

    @classmethod
    def in_marks(cls, path: DatasetPath, marks: Marks) -> Self | None:
        content = read_mark(path, "disk", marks)
        try:
            return None if content is None else cls(UUID(content["uuid"]), str(content["op"]))
        except (KeyError, ValueError):
            return None


def owner_in_marks(paths: Iterable[DatasetPath], marks: Marks) -> UUID | None:
    """The guest that a dataset or volume is of, by its own marks, which speak of any of these paths."""
    for path in paths:
        for name in ("disk", "guest", "trash"):
            content = read_mark(path, name, marks)
            if content is not None and "uuid" in content:
                return UUID(content["uuid"])
    return None
