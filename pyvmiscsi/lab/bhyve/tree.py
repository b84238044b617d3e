"""bhyve's configuration tree (bhyve_config(5)): names in dotted paths, values that are text, every read remembered.

What is written and never read is what bhyve accepts and ignores: a typo, in practice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pyvmiscsi.lab.bhyve.errno_text import ENOENT

Branch = dict[str, "str | Branch"]

TRUE = frozenset({"true", "on", "yes", "1"})
_FALSE = frozenset({"false", "off", "no", "0"})
_DEEPEST_REFERENCE = 15


class Ended(Exception):  # noqa: N818 - usage, help and a configuration dump are ends, not errors
    """bhyve said something and ended before any guest ran: what it printed, and its exit status."""

    def __init__(self, status: int, *, stdout: str = "") -> None:
        super().__init__(f"bhyve ended with status {status}")
        self.status = status
        self.stdout = stdout


@dataclass(slots=True)
class Voice:
    """What bhyve has said on standard error so far, and the `errno` it would append now.

    bhyve prints perror(3) where no system call has failed, so an `errno` left behind by an earlier one shows
    (golden verdicts: `Inappropriate ioctl for device` after any disk was opened).
    """

    lines: list[str] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)
    """What it said on standard output instead, as the network backends do."""
    errno: str = ENOENT

    def say(self, line: str) -> None:
        self.lines.append(line)

    def print(self, line: str) -> None:
        self.printed.append(line)

    def warn(self, line: str) -> None:
        """err(3)'s form, with the program's name."""
        self.lines.append(f"bhyve: {line}")

    def end(self, status: int, line: str) -> Ended:
        """errx(3): say it and be ready to raise."""
        self.warn(line)
        return Ended(status)

    def end_with_errno(self, status: int, line: str) -> Ended:
        """err(3): with the text of `errno`."""
        return self.end(status, f"{line}: {self.errno}")


class Tree:
    """The whole configuration; `node()` answers a view of one branch."""

    def __init__(self, voice: Voice) -> None:
        self._root: Branch = {}
        self._voice = voice
        self._read: set[str] = set()

    def set(self, path: str, value: str) -> None:
        """Write one value; a value written again moves behind the others, as in an nvlist(9)."""
        parent, dot, name = path.rpartition(".")
        branch = self._make_branch(parent) if dot else self._root
        if branch is None:
            raise self._voice.end(4, f"Failed to create configuration node {parent}")
        if isinstance(branch.get(name), dict):
            raise self._voice.end(4, f"Attempting to add value {value} to existing node {path}")
        branch.pop(name, None)
        branch[name] = value

    def set_below(self, node: str, name: str, value: str) -> None:
        """Write one value of a node that is there; its name is one word."""
        if "." in name:
            raise self._voice.end(4, f"Invalid config node name {name}")
        self.set(f"{node}.{name}", value)

    def set_bool(self, path: str, value: bool) -> None:
        self.set(path, "true" if value else "false")

    def default(self, path: str, value: str) -> None:
        """Write a value unless there is one."""
        if self._raw(path) is None:
            self.set(path, value)

    def get(self, path: str) -> str | None:
        """The value with its `%(path)` references expanded; None when there is none."""
        raw = self._raw(path)
        if raw is None:
            return None
        self._read.add(path)
        return self._expand(raw, 0) if "%" in raw else raw

    def get_bool(self, path: str, default: bool, *, shown: str = "") -> bool:
        """A truth; `shown` is the name a complaint carries (a device's key goes without its path)."""
        value = self.get(path)
        if value is None:
            return default
        word = value.lower()
        if word in TRUE:
            return True
        if word in _FALSE:
            return False
        raise self._voice.end_with_errno(4, f"Invalid value {value} for boolean variable {shown or path}")

    def has_node(self, path: str) -> bool:
        return self._find_branch(path) is not None

    def children(self, path: str) -> tuple[str, ...]:
        """The names directly below a node, in order; none when there is no such node."""
        parent, _, name = path.rpartition(".")
        branch = self._find_branch(name, self._find_branch(parent))
        return tuple(branch) if branch is not None else ()

    def make_node(self, path: str) -> None:
        if self._make_branch(path) is None:
            raise Ended(4)

    def items(self) -> Iterator[tuple[str, str]]:
        """Every value by its full path, in the order of `-o config.dump=1`."""
        yield from _walk("", self._root)

    def dump(self) -> str:
        return "".join(f"{path}={value}\n" for path, value in self.items())

    def mark_read(self, *paths: str) -> None:
        """Count these as read: bhyve asks for them later, while the guest runs."""
        self._read.update(paths)

    def never_read(self) -> tuple[str, ...]:
        return tuple(f"{path}={value}" for path, value in self.items() if path not in self._read)

    def _raw(self, path: str) -> str | None:
        parent, _, name = path.rpartition(".")
        branch = self._find_branch(parent) if parent else self._root
        value = branch.get(name) if branch is not None else None
        return value if isinstance(value, str) else None

    def _find_branch(self, path: str, start: Branch | None = None) -> Branch | None:
        branch = self._root if start is None else start
        walked: list[str] = []
        for name in path.split("."):
            walked.append(name)
            below = branch.get(name)
            if isinstance(below, str):
                self._complain_of_variable(path, walked)
            if not isinstance(below, dict):
                return None
            branch = below
        return branch

    def _make_branch(self, path: str) -> Branch | None:
        branch = self._root
        walked: list[str] = []
        for name in path.split("."):
            walked.append(name)
            if not name:
                self._voice.warn(f"Invalid configuration node: {path}")
                return None
            below = branch.setdefault(name, {})
            if isinstance(below, str):
                self._complain_of_variable(path, walked)
                return None
            branch = below
        return branch

    def _complain_of_variable(self, path: str, walked: list[str]) -> None:
        self._voice.warn(f"Configuration node {path} is a child of existing variable {'.'.join(walked)}")

    def _expand(self, value: str, depth: int) -> str:
        out: list[str] = []
        at = 0
        while at < len(value):
            char = value[at]
            if char == "\\":
                at += 1
                if at == len(value):
                    self._voice.warn(f'Trailing \\ in configuration value "{value}"')
                    break
                out.append(value[at])
                at += 1
            elif char != "%":
                out.append(char)
                at += 1
            else:
                text, at = self._expand_reference(value, at, depth)
                out.append(text)
        return "".join(out)

    def _expand_reference(self, value: str, at: int, depth: int) -> tuple[str, int]:
        if depth > _DEEPEST_REFERENCE:
            self._voice.warn("Too many recursive references in configuration value")
            return "%", at + 1
        close = value.find(")", at + 2) if value[at + 1 : at + 2] == "(" else -1
        if close < 0:
            self._voice.warn(f'Invalid reference in configuration value "{value}"')
            return "%", at + 1
        path = value[at + 2 : close]
        if not path:
            self._voice.warn(f'Empty reference in configuration value "{value}"')
            return "", close + 1
        raw = self._raw(path)
        if raw is None:
            self._voice.warn(f"Failed to fetch referenced configuration variable {path}")
            return "", close + 1
        self._read.add(path)
        return self._expand(raw, depth + 1), close + 1


def _walk(prefix: str, branch: Branch) -> Iterator[tuple[str, str]]:
    for name, value in branch.items():
        if isinstance(value, dict):
            yield from _walk(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", value
