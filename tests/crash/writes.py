"""What a command writes, found by watching it once: calls that change the nas, commands that change the host.

The nas says itself which calls write. A command on the host is a write if anything is different after it: each one is
held before its answer, and the host is looked at.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from pyvmiscsi.errors import DeadlineError
from tests.crash.launcher import Running
from tests.crash.world import World

_MOST_COMMANDS = 150
_OPERATION = re.compile(r"(?<![0-9a-f])[0-9a-f]{12}(?![0-9a-f])")
_NAMED = re.compile(rf"{_OPERATION.pattern}(?!-)")
_DRAWN = re.compile(rf"{_OPERATION.pattern}|(?<=\[)[0-9]+(?=\])|(?<=set -- )[0-9]+(?= )|20[0-9-]+T[0-9:.]+Z")
"""An operation's id, a moment, or a process: whose claim it is, or which one gets a signal."""
_OCTAL = re.compile(r"\\0([0-7]{3})")
_AROUND = re.compile(
    r"""\A.*?export PATH LC_ALL; (?:eval "\$\(printf %b ")?(?:\(\\0012)?|(?:\)"'|'| </dev/null|")+\Z"""
)
"""What makes a login shell start the script."""
_STARTS = "/usr/sbin/daemon "
"""What a guest is started with: its effect comes after its answer."""
_LOOKS = ("# look at the guests of a host",)
"""Read while what they look at changes by itself."""
_PUTTING = {'ln -- "$new"': "create", 'mv -f -- "$new"': "write"}
"""By a line of its own, the scripts that put a whole file in place."""


@dataclass(frozen=True)
class Write:
    """The `nth` call of a method on the nas, or the `nth` command of a kind on the host."""

    place: str
    """`nas` or `host`."""
    name: str
    nth: int
    pattern: str = ""
    """Which commands are meant, on a host: a regular expression."""

    def __str__(self) -> str:
        return f"{self.place}: {self.name}" + (f" #{self.nth}" if self.nth > 1 else "")


def watch(world: World, start: Callable[[], Running]) -> tuple[Write, ...]:
    """Run a command that must succeed, and tell what it wrote: on the nas in order, then on the host in order."""
    world.lab.control.reset_calls()
    on_host = tuple(_on_host(world, start))
    return (*_on_nas(world.lab.control.calls()), *on_host)


def _on_nas(calls: list[dict[str, Any]]) -> Iterator[Write]:
    counts: Counter[str] = Counter()
    for call in calls:
        if call["kind"] == "write":
            counts[call["method"]] += 1
            yield Write("nas", call["method"], counts[call["method"]])


def _on_host(world: World, start: Callable[[], Running]) -> Iterator[Write]:
    """Each command is let go when the host has been looked at."""
    with world.hypervisor() as control:
        control.reset_logs()
        faults = [control.fault(".", when="after") for _ in range(_MOST_COMMANDS)]
        running, before = start(), world.host()
        changed: dict[int | None, bool] = {}
        for fault in faults:
            if not met_or_ended(partial(control.wait_for_fault, fault, 0.02), running):
                break
            now = world.host()
            changed[fault] = now != before
            before = now
            control.release(fault)
        else:
            raise AssertionError(f"more than {_MOST_COMMANDS} commands")
        control.clear()
        ended = running.wait()
        assert ended.status == 0, str(ended)
        commands = control.commands()
    counts: Counter[str] = Counter()
    for command in commands:
        pattern = _pattern(command.text)
        counts[pattern] += 1
        lines = _script(command.text)[1]
        if lines[0] in _LOOKS:
            continue
        if changed.get(command.fault) or lines[0].startswith(_STARTS):
            yield Write("host", _name(command.text), counts[pattern], pattern)


def met_or_ended(wait: Callable[[], object], running: Running) -> bool:
    """Whether the fault is met, sooner or later; False when the command ended without."""
    while True:
        has_ended = running.has_ended()
        try:
            wait()
        except DeadlineError:
            if has_ended:
                return False
        else:
            return True


def _pattern(command: str) -> str:
    """Matches this command of any run: only ids and moments are drawn."""
    fixed = [re.escape(part) for part in _DRAWN.split(command)]
    return rf"\A{'[0-9a-fTZ:.-]+'.join(fixed)}\Z"


def _script(command: str) -> tuple[str, list[str]]:
    """The arguments of a script and its lines; a plain command has no arguments."""
    text = _OCTAL.sub(lambda match: chr(int(match[1], 8)), _AROUND.sub("", command))
    lines = [line.strip() for line in text.splitlines() if line.strip(" ()")]
    if lines and lines[0].startswith("set --"):
        return lines[0].removeprefix("set --").strip(), lines[1:]
    return "", lines


def _name(command: str) -> str:
    """What a person would call it: what the script says it does, and to what."""
    about, lines = _script(_NAMED.sub("…", command))
    renamed = next((what for mark, what in _PUTTING.items() if any(mark in line for line in lines)), None)
    what = renamed or lines[0].lstrip("# ").removesuffix("; exit $?")
    return f"{what[:60]} ({about[:60]})" if about else what[:90]
