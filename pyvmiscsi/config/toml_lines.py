"""On which line of a TOML text a key stands; tomllib tells only what it holds.

Good enough for messages: tables in `[brackets]` and `key = value` lines are found, dotted keys included; what hides in
an inline table is reported at the line where that begins.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

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


def _parts(dotted: str) -> Path:
    # the language's own reader knows the quotes and the dots
    nested = tomllib.loads(f"{dotted} = 0")
    parts: list[str] = []
    while isinstance(nested, dict):
        [(part, nested)] = nested.items()
        parts.append(part)
    return tuple(parts)
