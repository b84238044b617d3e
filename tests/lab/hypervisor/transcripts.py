"""Reads the transcripts of a real FreeBSD kernel, and makes two outputs comparable. Pure.

The masks are all here, in `MASKS` and `canonical`: what a number like a session's depends on is where it was counted,
so numbers are replaced by their order of appearance in one output, which keeps "the same" and "another" apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).with_name("transcripts")
_LINE = re.compile(r"^ *\d+\.\d+ (.) ?(.*)$")
_SECTION = re.compile(r"^===== run (\w+), section (\S+)$")
NO_NEWLINE = "   <no newline at end of output>"


@dataclass
class Command:
    """A command with all that came of it. `status` is None when it never ended."""

    text: str
    lines: list[str] = field(default_factory=list)
    status: int | None = None

    @property
    def output(self) -> str:
        joined = "".join(f"{line}\n" for line in self.lines)
        if joined.endswith(f"{NO_NEWLINE}\n"):
            joined = joined[: -len(NO_NEWLINE) - 1]
        return joined.replace(f"{NO_NEWLINE}\n", "\n").replace("<NUL>", "\0")


@dataclass(frozen=True)
class Action:
    """Something done to the target."""

    text: str


@dataclass
class Section:
    """A section of a run: commands and actions in their order."""

    file: str
    run: str
    name: str
    events: list[Command | Action] = field(default_factory=list)

    @property
    def id(self) -> str:
        return f"{self.run}-{self.name}"


def read(file: str) -> list[Section]:
    """The sections of `transcripts/FILE.txt`."""
    sections: list[Section] = []
    command: Command | None = None
    for line in (FOLDER / f"{file}.txt").read_text().splitlines():
        if start := _SECTION.match(line):
            sections.append(Section(file, start[1], start[2]))
            command = None
        elif match := _LINE.match(line):
            mark, text = match.groups()
            if mark == "#" and sections:
                command = Command(text)
                sections[-1].events.append(command)
            elif mark == "|" and command is not None:
                command.lines.append(text)
            elif mark == "=" and command is not None:
                command.status = int(text.removeprefix("exit "))
                command = None
            elif mark == "H" and sections:
                sections[-1].events.append(Action(text))
    return sections


MASKS: tuple[tuple[str, str, str], ...] = (
    (r"\d+ bytes transferred in [\d.]+ secs \(\d+ bytes/sec\)", "N bytes transferred", "the speed of a copy"),
    (r"(lunid: |<lunid>)[0-9a-f]+", r"\1N", "tgtd numbers its targets into its own names"),
    (r"(?m)^\d\d+$", "N", "a process id"),
    (r"\t(?=DISK-|da\d|/dev/)", "\n", "the recorder's ls printed in columns"),
    (r"(lunname: |<lunname>)IET +[0-9a-f]+ *", r"\1N", "the same"),
)

_NUMBERED: tuple[tuple[str, str], ...] = (
    # a number that depends on where counting began, and what it becomes
    (r"(?<=Session ID:               )\d+|(?<=\"sessionId\":)\d+|(?<=\"sessionId\": )\d+|(?<=\biscsi)\d+", "session"),
    (r"0x[0-9a-f]{16}", "pointer"),
    (r"(?<=\bscbus)1[3-9]|(?<=\"scbus\":)1[3-9]|(?<=\"scbus\": )1[3-9]|(?<=<scbus>)1[3-9]|(?<=of bus )1[3-9]", "bus"),
    (r"(?<=\bpass)(?:[2-9]|\d\d+)\b", "pass"),
)


def canonical(text: str) -> str:
    """The text with everything masked that differs between two runs of the same thing."""
    for pattern, replacement, _ in MASKS:
        text = re.sub(pattern, replacement, text)
    for pattern, name in _NUMBERED:
        text = _in_order(text, pattern, name)
    return text


def _in_order(text: str, pattern: str, name: str) -> str:
    seen: dict[str, str] = {}

    def number(match: re.Match[str]) -> str:
        return seen.setdefault(match[0], f"<{name} {len(seen) + 1}>")

    return re.sub(pattern, number, text)


@dataclass(frozen=True)
class Translation:
    """From the recorded world to the one of a test: words, and LUN numbers that are moved by `luns`."""

    words: Mapping[str, str]
    luns: int = 0

    def __call__(self, text: str) -> str:
        """A command or an output as it must be in the test's world."""
        translated = "\n".join(self._line(line) for line in text.split("\n"))
        return self._moved_luns(translated) if self.luns else translated

    def _line(self, line: str) -> str:
        changed = self._words(line)
        row = re.match(r"^(\S*) +(\S+) +(\S.*)$", line)
        if row and re.match(r"^(iqn\.\S+|web01| {36}) +\S", line) and len(line) > 50:
            name, portal, state = (self._words(cell) for cell in row.groups())
            return f"{name:<36} {portal:<16} {state}"
        return changed

    def _words(self, text: str) -> str:
        if not self.words:
            return text
        pattern = "|".join(re.escape(word) for word in sorted(self.words, key=len, reverse=True))
        return re.sub(pattern, lambda match: self.words[match[0]], text)

    def _moved_luns(self, text: str) -> str:
        def decimal(match: re.Match[str]) -> str:
            return str(self._moved(int(match[0])))

        def hexadecimal(match: re.Match[str]) -> str:
            return f"{self._moved(int(match[0], 16)):x}"

        text = re.sub(r"(?<=\"lun\":)\d+|(?<=\"lun\": )\d+(?=,)|(?<=<lun>)\d+(?=</lun>)", decimal, text)
        return re.sub(r"(?<=target 0 lun )[0-9a-f]+(?= \()|(?<=:0:0:)[0-9a-f]+(?=\))", hexadecimal, text)

    def _moved(self, lun: int) -> int:
        return lun + self.luns if lun else 0  # tgtd's controller stays where it is


def without(text: str, pattern: str) -> str:
    """A listing of sessions without those that match: lines of a table, blocks of -Lv, objects of JSON."""
    if not pattern:
        return text
    if text.startswith("{"):
        return _without_objects(text, pattern)
    if text.startswith("Session ID:"):
        return "".join(f"{block}\n\n" for block in text.split("\n\n")[:-1] if not re.search(pattern, block))
    return "".join(line for line in text.splitlines(keepends=True) if not re.search(pattern, line))


def _without_objects(text: str, pattern: str) -> str:
    head, mark, rest = text.partition('"session": [')
    if not mark:
        return text
    kept, index = [], 0
    while rest[index] == "{":
        end = _object_end(rest, index)
        if not re.search(pattern, rest[index:end]):
            kept.append(rest[index:end])
        index = end + (2 if rest[end : end + 2] == ", " else 0)
    return head + mark + ", ".join(kept) + rest[index:]


def _object_end(text: str, start: int) -> int:
    depth = 0
    for index in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return index + 1
    return len(text)


Rule = tuple[str, str]


def left_out(rules: tuple[Rule, ...]) -> Callable[[str], str]:
    """Why a command is left out, or the empty text."""

    def reason(command: str) -> str:
        return next((why for pattern, why in rules if re.search(pattern, command)), "")

    return reason
