"""The assignments of rc.conf(5) texts, read as sh(1) would make them. Pure: nothing is ever executed.

rc.conf is a shell script, and most hold nothing but assignments. What only a shell could know (`$(…)`, `${a:-b}`, an
assignment below an `if` or behind `&&`) is remembered as computed, and is a mistake once somebody asks for it. What
`eval` or a file read by `.` would set is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from pyvmiscsi.errors import ConfigError

_ASSIGNED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=")
_VARIABLE = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")
_SPECIAL = re.compile(r"\$[@*#?$!0-9-]")
_ENDS_WORD = frozenset(" \t\n;&|()<>")
_OPENS = {"if": "fi", "case": "esac", "for": "done", "while": "done", "until": "done", "{": "}", "(": ")"}
_CLOSES = frozenset(_OPENS.values())
_GOES_ON = frozenset(("if", "while", "until", "{", "then", "else", "elif", "do", "!", "export", "readonly"))
"""Words behind which a command, or an assignment, begins."""
_GRAMMAR = _GOES_ON | _CLOSES | _OPENS.keys()
_PERHAPS = frozenset(("&&", "||", "|"))
"""What comes behind one of these may never be run, or not by this shell."""
_ELSEWHERE = frozenset(("|", "&", ")", "&&", "||"))
"""What comes before one of these is run by another shell, or may be (`a=1 && b &`)."""
_BLANK = re.compile(r"[ \t]+|\\\n|#[^\n]*")
_OPERATOR = re.compile(r"&&|\|\||;;|[\n;&|()]")
_REDIRECTION = re.compile(r"[0-9]*(?:<<|>>|[<>][&>|]?)")
_SETS_ITS_ARGUMENTS = frozenset(("getopts", "read", "unset"))
_SPECIAL_COMMANDS = frozenset(
    (".", ":", "eval", "exec", "export", "readonly", "return", "set", "shift", "times", "trap", "unset")
)


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a variable was last set to, and where; `value` None when only a shell could tell."""

    value: str | None
    source: str
    line: int


@dataclass(frozen=True, slots=True)
class RcConf:
    """Variables of several files, the last assignment winning."""

    assignments: Mapping[str, Assignment] = field(default_factory=dict)

    def get(self, name: str) -> str | None:
        """The variable's value, None when it is not set; ConfigError when it is computed."""
        found = self.assignments.get(name)
        if found is None:
            return None
        if found.value is None:
            raise ConfigError(
                f"{self.where(name)}: only a shell could tell its value, and none is run",
                hint="write the value itself, outside of any condition",
            )
        return found.value

    def is_yes(self, name: str) -> bool:
        """As checkyesno of rc.subr(8) has it: yes, true, on or 1."""
        return (self.get(name) or "").lower() in ("yes", "true", "on", "1")

    def where(self, name: str) -> str:
        """`/etc/rc.conf:12: vm_dir`, for messages about the variable."""
        found = self.assignments.get(name)
        return f"{found.source}:{found.line}: {name}" if found else name


def read_rc_conf(files: Iterable[tuple[str, str]]) -> RcConf:
    """What these files (name and text, in the order in which rc(8) reads them) set.

    ConfigError, by file and line, for a text that sh(1) could not read either, and for here-documents.
    """
    variables: dict[str, Assignment] = {}
    for source, text in files:
        _Reader(source, text, variables).read()
    return RcConf(variables)


class _Reader:
    """One text, read from its beginning to its end; assignments go to `variables`."""

    def __init__(self, source: str, text: str, variables: dict[str, Assignment]) -> None:
        self._source = source
        self._text = text
        self._variables = variables
        self._at = 0
        self._nested: list[tuple[str, int]] = []
        """Which word would close what we are in, and the line that opened it."""

    def read(self) -> None:
        before = ""
        while self._at < len(self._text):
            assigned, is_empty, after = self._command()
            sure = not self._nested and before not in _PERHAPS and after not in _ELSEWHERE
            self._variables |= assigned if sure else _doubted(assigned)
            if not (is_empty and after == "\n"):  # a line may be broken behind `&&`
                before = after
        if self._nested:
            closing, line = self._nested[-1]
            raise self._mistake(f"no {closing!r} closes what begins here", line)

    def _command(self) -> tuple[dict[str, Assignment], bool, str]:
        """One command's own assignments, whether nothing at all stands there, and what ended it."""
        assigned: dict[str, Assignment] = {}
        begins, is_empty, sets = True, True, False
        while self._at < len(self._text):
            if self._skip_blank():
                continue
            if self._skip_redirection(assigned):
                assigned = _doubted(assigned)  # nothing is assigned when the file cannot be opened
                continue
            if operator := _OPERATOR.match(self._text, self._at):
                if operator[0] in "()":
                    self._nest(operator[0], self._at)
                self._at = operator.end()
                return assigned, is_empty, operator[0]
            is_empty = False
            start = self._at
            if begins and (match := _ASSIGNED.match(self._text, start)):
                line = self._line(start)
                self._at = match.end()
                assigned[match[1]] = Assignment(self._word(assigned, is_value=True), self._source, line)
                continue
            meaning, word = self._word(assigned), self._text[start : self._at]
            if begins and not assigned and word in _GRAMMAR:
                self._nest(word, start)
                begins = word in _GOES_ON
            elif begins:
                begins, sets = False, meaning in _SETS_ITS_ARGUMENTS
                assigned = self._left_by_command(assigned, None if "\\\n" in word else meaning)
            elif sets and meaning:
                assigned[meaning] = Assignment(None, self._source, self._line(start))
        return assigned, is_empty, ""

    def _skip_blank(self) -> bool:
        """Whether blanks, a line's continuation or a comment was skipped."""
        match = _BLANK.match(self._text, self._at)
        if match:
            self._at = match.end()
        return match is not None

    def _skip_redirection(self, assigned: Mapping[str, Assignment]) -> bool:
        match = _REDIRECTION.match(self._text, self._at)
        if match and match[0].endswith("<<"):
            raise self._mistake("a here-document, which is not understood", self._line(self._at))
        if self._text.startswith(("&\\\n", "|\\\n"), self._at):
            raise self._mistake("an operator that may go on on the next line", self._line(self._at))
        if match:
            self._at = match.end()
            while self._skip_blank():
                pass
            self._word(assigned)
        return match is not None

    @staticmethod
    def _left_by_command(assigned: dict[str, Assignment], command: str | None) -> dict[str, Assignment]:
        """`a=1 command` sets a for that command alone; not so for what sh does itself, or when it comes to nothing."""
        if command and command not in _SPECIAL_COMMANDS:
            return {}
        return _doubted(assigned)

    def _nest(self, word: str, at: int) -> None:
        if word in _OPENS:
            self._nested.append((_OPENS[word], self._line(at)))
        elif word in _CLOSES and self._nested and self._nested[-1][0] == word:
            self._nested.pop()  # any other `)` ends a pattern of `case`

    def _word(self, assigned: Mapping[str, Assignment], *, is_value: bool = False) -> str | None:
        """The word that begins here, without its quotes; None when a shell would compute a part of it."""
        parts: list[str | None] = []
        while self._at < len(self._text) and self._text[self._at] not in _ENDS_WORD:
            char = self._text[self._at]
            if char == "\\":
                escaped = self._text[self._at + 1 : self._at + 2]
                parts.append("" if escaped == "\n" else escaped or "\\")
                self._at += 2
            elif char == "'":
                end = self._find("'", self._at + 1, self._at)
                parts.append(self._text[self._at + 1 : end])
                self._at = end + 1
            elif char == '"':
                parts += self._double_quoted(assigned)
            elif char in "$`":
                parts.append(self._expansion(assigned))
            elif char == "~" and is_value and (not parts or parts[-1] == ":"):
                parts.append(None)  # somebody's home
                self._at += 1
            else:
                parts.append(char)
                self._at += 1
        known = [part for part in parts if part is not None]
        return "".join(known) if len(known) == len(parts) else None

    def _double_quoted(self, assigned: Mapping[str, Assignment]) -> list[str | None]:
        start, parts = self._at, list[str | None]()
        self._at += 1
        while self._at < len(self._text):
            char, following = self._text[self._at], self._text[self._at + 1 : self._at + 2]
            if char == '"':
                self._at += 1
                return parts
            if char == "\\" and following and following in '$`"\\\n':
                parts.append(following.strip("\n"))
                self._at += 2
            elif char in "$`":
                parts.append(self._expansion(assigned, quoted=True))
            else:
                parts.append(char)
                self._at += 1
        raise self._mistake("a quote that nothing closes", self._line(start))

    def _expansion(self, assigned: Mapping[str, Assignment], *, quoted: bool = False) -> str | None:
        """What `$name` or `${name}` stands for; None, and past its end, for all that is computed."""
        start = self._at
        if variable := _VARIABLE.match(self._text, start):
            self._at = variable.end()
            name = variable[1] or variable[2]
            known = assigned.get(name) or self._variables.get(name)
            goes_on = variable[1] and self._text.startswith("\\\n", self._at)  # so may its name, on the next line
            return known.value if known and not goes_on else None
        if self._text[start] == "`":
            self._at = self._find("`", start + 1, start) + 1
        elif self._text.startswith(("$(", "${"), start):
            self._skip_balanced(start)
        elif special := _SPECIAL.match(self._text, start):
            self._at = special.end()
        else:
            self._at += 1
            unclear = self._text.startswith(("\\\n", "'") if not quoted else "\\\n", self._at)
            return None if unclear else "$"
        return None

    def _skip_balanced(self, start: int) -> None:
        """Past the bracket that closes the one behind the `$`, whatever stands between, quotes included."""
        self._at += 1
        closing: list[str] = []
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == "\\":
                self._at += 1
            elif char == "'":
                self._at = self._find("'", self._at + 1, self._at)
            elif char in "({":
                closing.append(")" if char == "(" else "}")
            elif closing and char == closing[-1]:
                closing.pop()
                if not closing:
                    self._at += 1
                    return
            self._at += 1
        raise self._mistake("an expansion that nothing closes", self._line(start))

    def _find(self, closing: str, begin: int, opened: int) -> int:
        end = self._text.find(closing, begin)
        if end < 0:
            raise self._mistake("a quote that nothing closes", self._line(opened))
        return end

    def _line(self, at: int) -> int:
        return self._text.count("\n", 0, at) + 1

    def _mistake(self, what: str, line: int) -> ConfigError:
        return ConfigError(f"{self._source}:{line}: {what}")


def _doubted(assigned: Mapping[str, Assignment]) -> dict[str, Assignment]:
    """The same, but only a shell could tell the values."""
    return {name: replace(found, value=None) for name, found in assigned.items()}
