"""What is nearly there is a conflict, never success."""

from __future__ import annotations

from collections.abc import Iterable

from pyvmiscsi.errors import ConflictError


def refuse_difference(title: str, fields: Iterable[tuple[str, object, object]]) -> None:
    """Raise ConflictError naming the first of `(field, found, wanted)` that differs."""
    for field, found, wanted in fields:
        if found != wanted:
            raise ConflictError(
                f"{title}: {field} is {found}, not {wanted}", hint="something else is in the way; it was left alone"
            )
