"""What `vm start` takes on the lab, and who takes it: the hypervisor, the nas, or we.

Once in a process whose connections are open, as a script has it, and once as a command that is typed. The hypervisor
and the nas say when they were at work for it; what is left is ours, or on the way: in sshd, and in starting a shell.
What is ours is what our processor time says, and `bench.typed` tells what that goes to.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.startup import COMMAND
from bench.typed import ITEMS, SUM
from pyvmiscsi.lab import Lab
from pyvmiscsi.lab.hypervisor.control import Control
from pyvmiscsi.names import GuestName
from pyvmiscsi.operations.create import CreateRequest, DiskRequest
from pyvmiscsi.site import Guest, Site
from pyvmiscsi.units import MIB, Size

BAR = 0.3
"""Seconds of our own, of the command as it is typed."""
_START = ("vm", "start", "bench", "--host", "hv1")
_TYPED = {"vm start": _START, "vm info": ("vm", "info", "bench"), "vm list": ("vm", "list")}
_PURPOSE = re.compile(r"# ([a-z][a-z0-9',. -]+)")
_Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Start:
    """One start, in seconds."""

    whole: float
    host: float
    nas: float
    cpu: float
    """Processor time of our own process."""
    commands: tuple[tuple[str, float], ...]
    """What was asked of the hypervisor, and how long it was at work for each."""
    calls: int

    @property
    def rest(self) -> float:
        return self.whole - self.host - self.nas


def report(*, rounds: int) -> Iterator[str]:
    """The tables of one guest's starts, and what was asked of the hypervisor for the last of them."""
    with tempfile.TemporaryDirectory(prefix="pyvmiscsi-bench-") as folder:
        lab = Lab.up(Path(folder) / "lab", login_budget=1000)
        try:
            with (
                Site.load(lab.site_file) as site,
                Control(Path(lab.info.hypervisors["hv1"].control_socket)) as hypervisor,
            ):
                request = CreateRequest(GuestName.parse("bench"), (DiskRequest(Size(64 * MIB.bytes)),))
                guest = site.datastore().create(request)
                script = _rounds(lab, hypervisor, guest, lambda: guest.start("hv1"), rounds)
                _rounds(lab, hypervisor, guest, lambda: _type(lab), 1)  # which compiles what it imports
                command = _rounds(lab, hypervisor, guest, lambda: _type(lab), rounds)
                items = [_items(lab, guest, Path(folder) / "items.json") for _ in range(rounds)]
        finally:
            lab.down()
    yield from _table(script, command)
    yield from _itemised(items)
    yield from _on_hypervisor(script[-1])


def _rounds(lab: Lab, hypervisor: Control, guest: Guest, start: Callable[[], object], rounds: int) -> tuple[Start, ...]:
    starts = []
    for _ in range(rounds):
        starts.append(_measured(lab, hypervisor, start))
        guest.stop(force=True, deadline=0.0)
    return tuple(starts)


def _measured(lab: Lab, hypervisor: Control, start: Callable[[], object]) -> Start:
    hypervisor.reset_logs()
    lab.control.reset_calls()
    cpu, began = _cpu(), time.time()
    start()
    ended, used = time.time(), _cpu() - cpu
    commands = [(one.text, (one.started, one.ended or ended)) for one in hypervisor.commands()]
    calls = [(call["at"], call["at"] + call["seconds"]) for call in lab.control.calls()]
    host = _length(span for _, span in commands)
    return Start(
        whole=ended - began,
        host=host,
        nas=_length((*(span for _, span in commands), *calls)) - host,
        cpu=used,
        commands=tuple((_purpose(text), end - start) for text, (start, end) in commands),
        calls=len(calls),
    )


def _type(lab: Lab) -> None:
    _run(lab, [COMMAND], _START)


def _items(lab: Lab, guest: Guest, file: Path) -> dict[str, dict[str, float]]:
    """Of each command the seconds by item; the guest is stopped in the end."""
    found = {}
    for name, words in _TYPED.items():
        _run(lab, [sys.executable, "-m", "bench.typed", str(file)], words)
        found[name] = json.loads(file.read_text())
    guest.stop(force=True, deadline=0.0)
    return found


def _run(lab: Lab, program: list[str], words: Iterable[str]) -> None:
    """Everything is compiled, as that of an installed package is."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": f"{lab.info.directory}/compiled"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    argv = [*program, "--site", str(lab.site_file), "--quiet", *words]
    subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment, check=True)


def _cpu() -> float:
    """Processor seconds of this process and of those it has waited for."""
    return sum(os.times()[:4])


def _table(script: tuple[Start, ...], command: tuple[Start, ...]) -> Iterator[str]:
    yield f"`vm start` of a guest with one disk, medians of {len(script)}:"
    yield ""
    yield "| | a script, connections open | the command |"
    yield "|---|--:|--:|"
    rows: dict[str, Callable[[Start], float]] = {
        "as a whole": lambda one: one.whole,
        f"the hypervisor at work, {len(script[-1].commands)} commands": lambda one: one.host,
        f"the nas at work, {script[-1].calls} calls": lambda one: one.nas,
        "the rest: we, and on the way": lambda one: one.rest,
        "our own processor time": lambda one: one.cpu,
    }
    for name, part in rows.items():
        yield f"| {name} | {_median(map(part, script))} | {_median(map(part, command))} |"
    ours = statistics.median(one.cpu for one in command)
    yield ""
    yield f"- {ours * 1000:.0f} ms are our own; the bar is {BAR * 1000:g} ms: {'kept' if ours < BAR else 'MISSED'}"
    yield ""


def _itemised(rounds: list[dict[str, dict[str, float]]]) -> Iterator[str]:
    yield f"| processor time of a command that is typed | {' | '.join(_TYPED)} |"
    yield f"|---|{'--:|' * len(_TYPED)}"
    for item in (*ITEMS, SUM):
        yield f"| {item} | {' | '.join(_median(one[name][item] for one in rounds) for name in _TYPED)} |"
    yield ""


def _on_hypervisor(start: Start) -> Iterator[str]:
    yield "| on the hypervisor | |"
    yield "|---|--:|"
    for purpose, seconds in start.commands:
        yield f"| {purpose} | {seconds * 1000:.0f} ms |"


def _median(seconds: Iterable[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.0f} ms"


def _length(spans: Iterable[_Span]) -> float:
    """Seconds that at least one of the spans covers."""
    covered, until = 0.0, 0.0
    for start, end in sorted(spans):
        covered += max(0.0, end - max(start, until))
        until = max(until, end)
    return covered


def _purpose(text: str) -> str:
    """What a script says of itself in its first line; the scripts of single files say nothing."""
    found = _PURPOSE.search(text)
    return found[1].strip() if found else "read a file"
