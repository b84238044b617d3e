"""vm-bhyve's guest configuration as text: read as vm-bhyve reads it, changed without touching anything else.

The reader's rules (vm-bhyve 1.5 to 1.8, `lib/vm-config`; freebsd.md 5.2): only lines that begin with `a` to `z` count;
a line ends at its first `#`, even inside quotes; trailing blanks go; every `"` goes; the first of two equal keys wins;
the value is all that follows the first `=`, and a word without one is key and value at once. There are no escapes, so
some characters cannot be written at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pyvmiscsi.errors import InputError

_KEY = re.compile(r"[a-z][a-z0-9_]*")
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f\"#$`\\]")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_BLANKS = " \t"


@dataclass(frozen=True, slots=True)
class ConfText:
    """The text of a `<guest>.conf`, whole: comments, order, unknown keys and odd lines included.

    It may hold a VNC password, so `repr` tells the keys only.
    """

    text: str = field(default="", repr=False)

    @classmethod
    def of(cls, pairs: Mapping[str, str]) -> ConfText:
        """A new text that says `pairs`, in their order."""
        return cls().changed(pairs)

    def get(self, key: str) -> str | None:
        """The value vm-bhyve would find; None when no line sets the key."""
        return self.pairs().get(key)

    def pairs(self) -> dict[str, str]:
        """Every key and its value, in the order of their first lines."""
        found: dict[str, str] = {}
        for key, value in settings_in(self):
            found.setdefault(key, value)
        return found

    def changed(self, changes: Mapping[str, str | None]) -> ConfText:
        """The text with these keys set, and those whose value is None removed; every other byte stays.

        A set key keeps its line and the comment on it; a new one goes to the end. Like sysrc(8), values are written in
        double quotes. Raises InputError for a key or a value that vm-bhyve or sysrc(8) would read as something else.
        """
        for changed_key, changed_value in changes.items():
            _check(changed_key, changed_value)
        pending = dict(changes)
        lines = []
        for line in _LINE.findall(self.text):
            key = _key_of(line)
            if key is None or key not in changes:
                lines.append(line)
            elif key in pending:
                new = pending.pop(key)
                lines += [] if new is None else [_rewritten(line, key, new)]
            elif changes[key] is not None:
                lines.append(line)  # a later duplicate, which nobody reads
        body = "".join(lines)
        if body and not body.endswith("\n"):
            body += "\n"
        added = (f'{key}="{new}"\n' for key, new in pending.items() if new is not None)
        return ConfText(body + "".join(added))

    def as_bytes(self) -> bytes:
        """The text as a file holds it: whatever bytes it was read from, they are these."""
        return self.text.encode(errors="surrogateescape")

    @classmethod
    def from_bytes(cls, data: bytes) -> ConfText:
        return cls(data.decode(errors="surrogateescape"))

    def changes_to(self, other: ConfText) -> dict[str, str | None]:
        """What `changed` must be told for this text to say what the other says."""
        here, there = self.pairs(), other.pairs()
        gone: dict[str, str | None] = dict.fromkeys(key for key in here if key not in there)
        return gone | {key: value for key, value in there.items() if here.get(key) != value}

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"ConfText({', '.join(self.pairs())})"


def settings_in(text: ConfText) -> Iterator[tuple[str, str]]:
    """Every key and value in the order of the lines, repeated ones too."""
    for line in _LINE.findall(text.text):
        key = _key_of(line)
        if key is not None:
            _, equals, value = _effective(line).partition("=")
            yield key, value if equals else key


def is_true(value: str | None) -> bool:
    """vm-bhyve's booleans: unset, empty, `no`, `false`, `off` and `0` are false, anything else is true."""
    return (value or "").lower() not in ("", "no", "false", "off", "0")


def _effective(line: str) -> str:
    """What is left of a line once comment, trailing blanks and quotes are gone."""
    return line.partition("#")[0].rstrip("\r\n").rstrip(_BLANKS).replace('"', "")


def _key_of(line: str) -> str | None:
    key, equals, _ = (_effective(line) if re.match("[a-z]", line) else "").partition("=")
    return key if equals or _KEY.fullmatch(key) else None


def _rewritten(line: str, key: str, value: str) -> str:
    comment = re.search(r"[ \t]*#.*", line)
    return f'{key}="{value}"{comment[0] if comment else ""}\n'


def _check(key: str, value: str | None) -> None:
    if _KEY.fullmatch(key) is None:
        raise InputError(f"guest configuration: {key!r} is not a key", hint="use lower-case letters, digits and '_'")
    bad = _UNWRITABLE.search(value or "")
    if bad:
        raise InputError(
            f"guest configuration: {key}: its value holds {bad[0]!r}, which the file cannot hold",
            hint="the file knows no escapes: '#' begins a comment, quotes vanish, sysrc(8) expands '$', '`' and '\\'",
        )
