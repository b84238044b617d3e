"""Broken rules, in words that many rules share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from pyvmiscsi.errors import Problem


def twins(what: str, pairs: Iterable[tuple[str, str | None]]) -> Iterator[Problem]:
    """A problem for each value that several keys have, of (key, value) pairs; None is no value."""
    known = [(key, value) for key, value in pairs if value is not None]
    counted = Counter(value for _, value in known)
    for value in (value for value, count in counted.items() if count > 1):
        keys = [key for key, other in known if other == value]
        yield Problem(keys[-1], f"{what} {value} is also that of {', '.join(keys[:-1])}", f"give each its own {what}")


def listed_as_one_of(where: str, value: str, known: Iterable[str]) -> Problem:
    """The value is none of those that are known."""
    return Problem(where, f"{value!r} is not known", f"write one of {', '.join(known)}")
