"""Reads tables of a TOML file key by key, and remembers every mistake instead of stopping at the first."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyvmiscsi.config.keys import Key
from pyvmiscsi.config.secret_sources import secret_at
from pyvmiscsi.config.toml_lines import line_of
from pyvmiscsi.errors import ConfigError, InputError

DEFAULT = "default"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Setting:
    """A key's effective value, and its origin: `FILE:LINE` or `default`. Of a secret, the place where it is kept."""

    key: str
    value: Any
    origin: str


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """A sentence about a line of the file; `reason` is the part of it that says what is wrong with the key."""

    line: int
    sentence: str
    reason: str


@dataclass
class Reading:
    """Settings and mistakes, as they are found."""

    source: str
    directory: Path
    lines: Mapping[tuple[str, ...], int]
    settings: list[Setting] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)

    def at(self, path: tuple[str, ...]) -> str:
        line = line_of(self.lines, path)
        return f"{self.source}:{line}" if line else self.source

    def where(self, path: tuple[str, ...]) -> str:
        """`site.toml:12: [nas.nas1] url`, the name of a key in every message."""
        *table, key = path
        return f"{self.at(path)}: {_bracketed(table)}{_spelled(key)}"

    def mistake(self, path: tuple[str, ...], reason: str) -> None:
        self.mistakes.append(Mistake(line_of(self.lines, path) or 0, f"{self.where(path)}: {reason}", reason))

    def lacks(self, table: tuple[str, ...], reason: str) -> None:
        """A mistake of the whole table, such as a key that is not there."""
        sentence = f"{self.at(table)}: {_bracketed(table).strip()}: {reason}"
        self.mistakes.append(Mistake(line_of(self.lines, table) or 0, sentence, reason))

    def table(self, path: tuple[str, ...], data: Any, known: Iterable[Key]) -> dict[str, Any]:
        """The values of a table's keys, those with a mistake left out."""
        if not isinstance(data, dict):
            self.mistake(path, "must be a table")
            return {}
        by_name = {key.name: key for key in known}
        for name in data:
            if name not in by_name:
                self.mistake((*path, name), f"no such key{did_you_mean(name, by_name)}")
        found: dict[str, Any] = {}
        for key in by_name.values():
            if key.name in data:
                found |= self._value((*path, key.name), key, data[key.name])
            elif key.required:
                self.lacks(path, f"{key.name} is missing")
            else:
                found[key.name] = key.default
                self.settings.append(Setting(".".join((*path, key.name)), key.default, DEFAULT))
        return found

    def _value(self, path: tuple[str, ...], key: Key, raw: Any) -> dict[str, Any]:
        if type(raw) is not key.kind or (isinstance(raw, list) and not all(isinstance(item, str) for item in raw)):
            self.mistake(path, f"must be {key.kind_text}")
            return {}
        try:
            value = secret_at(str(raw), self.where(path), self.directory) if key.secret else key.read(raw)
        except InputError as error:
            self.mistake(path, str(error))
            return {}
        self.settings.append(Setting(".".join(path), raw if key.secret else value, self.at(path)))
        return {key.name: value}

    def tables(self, name: str, data: Mapping[str, Any], known: Iterable[Key]) -> dict[str, dict[str, Any]]:
        """Every `[name.X]`, by X."""
        group = data.get(name, {})
        if not isinstance(group, dict):
            self.mistake((name,), "must be a table")
            return {}
        known = tuple(known)
        found = {}
        for each, content in group.items():
            if _NAME.fullmatch(each) is None:
                self.lacks((name, each), f"{each!r} is not a name: use letters, digits, '.', '_' and '-'")
            found[each] = self.table((name, each), content, known)
        return found

    def error(self) -> ConfigError:
        """All mistakes in one: its message has a line for each, in the file's order."""
        sentences = [mistake.sentence for mistake in sorted(self.mistakes)]
        if len(sentences) == 1:
            return ConfigError(sentences[0])
        return ConfigError("\n".join([f"{self.source}: {len(sentences)} mistakes", *sentences]))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    import difflib

    close = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""


def _bracketed(table: Sequence[str]) -> str:
    return f"[{'.'.join(map(_spelled, table))}] " if table else ""


def _spelled(part: str) -> str:
    """As TOML may write it; a name with a newline must not break the line that tells of it."""
    return part if _NAME.fullmatch(part) else json.dumps(part)
