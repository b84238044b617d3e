"""One case of a transfer: a command, run by itself against a target that was started for it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Times
from tests.initiator import tgtd

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Target:
    """What a command is run against: LUNs of a fresh tgtd, the files behind them, and a place for files of its own."""

    portal: str
    iqns: tuple[str, ...]
    behind: tuple[Path, ...]
    scratch: Path

    @property
    def url(self) -> str:
        """The first LUN, as QEMU and libiscsi's tools name it."""
        return f"iscsi://{self.portal}/{self.iqns[0]}/1"

    def ours(self, what: str, *words: str | Path) -> list[str]:
        """A transfer of ours, in a process of its own."""
        return [sys.executable, "-m", "bench.one", what, self.portal, ",".join(self.iqns), *map(str, words)]


@dataclass(frozen=True, slots=True)
class Case:
    """A command; what it prints last is how long it took, if it says so itself.

    `size` is how large its LUNs are; those in `given` hold these files already. `told` reads a rate in MiB/s from what
    a tool prints that goes on for a given time.
    """

    name: str
    argv: Callable[[Target], Sequence[str]]
    size: int
    luns: int = 1
    given: tuple[Path, ...] = ()
    says: bool = False
    told: Callable[[str], float] | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run took: seconds, CPU seconds of the command and of the target, and the command's peak memory."""

    seconds: float
    cpu: float
    target_cpu: float
    peak: int


def measured(
    cases: Sequence[Case], *, rounds: int, folder: Path, memory: int = 0, seed: int = 0
) -> dict[str, list[Cost]]:
    """Every case once a round, in an order drawn anew for each round; each against a target of its own.

    Before each so many bytes of memory are written to, so that nobody has to wait for what a virtual machine gave back.
    """
    drawn = random.Random(seed)  # noqa: S311 - no secret
    costs: dict[str, list[Cost]] = {case.name: [] for case in cases}
    for _ in range(rounds):
        for case in drawn.sample(cases, len(cases)):
            _warm(folder, memory)
            costs[case.name].append(_run(case, folder))
    return costs


def times_of(costs: Mapping[str, Sequence[Cost]]) -> dict[str, Times]:
    return {name: Times(tuple(cost.seconds for cost in each)) for name, each in costs.items()}


def _warm(folder: Path, memory: int) -> None:
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(memory >> 20):
            file.write(bytes(1 << 20))


def _run(case: Case, folder: Path) -> Cost:
    with tempfile.TemporaryDirectory(dir=folder) as place, tgtd.running(Path(place)) as daemon:
        target = _target(daemon, case, Path(place))
        before = _cpu_of(daemon.process.pid)
        output = Path(place, "output")
        with output.open("wb") as to:
            began = time.perf_counter()
            process = subprocess.Popen(case.argv(target), stdin=subprocess.DEVNULL, stdout=to, stderr=to)
            _, status, used = os.wait4(process.pid, 0)
            took = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        said = output.read_text(errors="replace")
        if process.returncode:
            raise SystemExit(f"{case.name}: {said}")
        if case.told is not None:
            took = case.size / 2**20 / case.told(said)
        elif case.says:
            took = float(said.split()[-1])
        target_cpu = _cpu_of(daemon.process.pid) - before
        return Cost(took, used.ru_utime + used.ru_stime, target_cpu, used.ru_maxrss * 1024)


def _target(daemon: tgtd.Tgtd, case: Case, place: Path) -> Target:
    iqns, behind = [], []
    for number in range(case.luns):
        target = daemon.target()
        file = target.lun(1, size=case.size, serial=f"bench{number}")
        if number < len(case.given):  # the same file, with its holes
            where = ("--mode", "logicalunit", "--tid", str(target.number), "--lun", "1")
            for change in ("online=0", f"path={case.given[number]}", "online=1"):
                daemon.admin("--op", "update", *where, "--params", change)
        iqns.append(target.iqn)
        behind.append(file)
    return Target(str(daemon.portal), tuple(iqns), tuple(behind), place)


def _cpu_of(pid: int) -> float:
    """Seconds that a process has had, of user and system (proc(5))."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(words[11]) + int(words[12])) / _TICKS


def rows(costs: Mapping[str, Sequence[Cost]], size: int, base: str) -> Iterator[str]:
    """A table in Markdown; rates count `size` bytes, and `base` is what the others' rates are divided by."""
    times = times_of(costs)
    yield f"| | median (least .. most) | MiB/s | to `{base}` | CPU s | target's CPU s | peak memory |"
    yield "|---|---|--:|--:|--:|--:|--:|"
    for name, each in costs.items():
        one = times[name]
        cpu, target = (_median([getattr(cost, what) for cost in each]) for what in ("cpu", "target_cpu"))
        yield (
            f"| {name} | {one} | {size / 2**20 / one.median:.0f} | {times[base].median / one.median:.2f}"
            f" | {cpu:.2f} | {target:.2f} | {max(cost.peak for cost in each) / 2**20:.0f} MiB |"
        )


def _median(numbers: Sequence[float]) -> float:
    return sorted(numbers)[len(numbers) // 2]
