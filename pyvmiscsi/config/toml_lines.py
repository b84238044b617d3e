"""On which line of a TOML text a key stands; tomllib tells only what it holds.

Good enough for messages: tables in `[brackets]` and `key = value` lines are found, dotted keys included; what hides in
an inline table is reported at the line where that begins.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass

Path = tuple[str, ...]

_PART = r"""(?:[A-Za-z0-9_-]+|"[^"\\]*"|'[^']*')"""
_DOTTED = rf"{_PART}(?:\s*\.\s*{_PART})*"
_TABLE = re.compile(rf"\s*\[\s*(?P<name>{_DOTTED})\s*\]\s*(?:#.*)?")
_KEY = re.compile(rf"\s*(?P<name>{_DOTTED})\s*=")


def find_lines(text: str) -> Mapping[Path, int]:
    """The line number, from 1, of every table and key of a valid TOML text."""
    lines: dict[Path, int] = {}
    table: Path = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _TABLE.fullmatch(line):
            table = path = _parts(header["name"])
            first = 1
        elif key := _KEY.match(line):
            path = (*table, *_parts(key["name"]))
            first = len(table) + 1
        else:
            continue
        for length in range(first, len(path) + 1):
            lines.setdefault(path[:length], number)
    return lines


def line_of(lines: Mapping[Path, int], path: Path) -> int | None:
    """Where the key, or else the innermost table around it, stands."""
    return next((lines[path[:length]] for length in range(len(path), 0, -1) if path[:length] in lines), None)


@dataclass(frozen=True, slots=True)
class Table:
    """A `[table]` in a text: its lines from `first`, its header, up to but not including `end`, counted from 0."""

    path: Path
    first: int
    end: int


def find_tables(text: str) -> tuple[Table, ...]:
    """Every `[table]` of a valid TOML text with the lines that are its own, in their order.

    Comments at its end are its own up to a blank line; those that touch the next header are the next table's.
    """
    lines = text.splitlines()
    headers = [(number, match["name"]) for number, line in enumerate(lines) if (match := _TABLE.fullmatch(line))]
    ends = [*(number for number, _ in headers[1:]), len(lines)]
    return tuple(
        Table(_parts(name), first, _end_of_own(lines, first, end, end == len(lines)))
        for (first, name), end in zip(headers, ends, strict=True)
    )


def _end_of_own(lines: list[str], first: int, end: int, is_last: bool) -> int:
    held = end
    while held > first + 1 and (not lines[held - 1].strip() or lines[held - 1].lstrip().startswith("#")):
        held -= 1
    touching = held
    while touching < end and lines[touching].strip():
        touching += 1
    return touching if touching < end or is_last else held


def _parts(dotted: str) -> Path:
    # the language's own reader knows the quotes and the dots
    nested = tomllib.loads(f"{dotted} = 0")
    parts: list[str] = []
    while isinstance(nested, dict):
        [(part, nested)] = nested.items()
        parts.append(part)
    return tuple(parts)
