"""What a run of the whole matrix says. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from textwrap import fill

CERTAINTY = 3.0
"""-ln(0.05): with no failure among n independent cases the rate is below 3/n, at 95 %."""


@dataclass(frozen=True)
class Played:
    """One scenario in one dialect: how many writes, how many cases, and what was wrong."""

    scenario: str
    release: str
    dialect: str
    writes: int
    cases: int
    complaints: tuple[str, ...]
    seconds: float

    @property
    def line(self) -> str:
        rate = f"{self.seconds / self.cases:.2f} s each" if self.cases else "none"
        found = f"{self.cases} cases, {len(self.complaints)} failures, {rate}"
        return "\n".join([f"{self.scenario}, {self.release} {self.dialect}: {found}", *self.complaints])

    @property
    def row(self) -> str:
        cells = (self.scenario, self.release, self.dialect, self.writes, self.cases, len(self.complaints))
        return f"| {' | '.join(map(str, cells))} |"


def bound(cases: int, failures: int) -> str:
    """What so many cases prove."""
    if failures or not cases:
        return "nothing is proven"
    return f"at most {100 * CERTAINTY / cases:.2f} % of such accidents end otherwise (3/n, at 95 %)"


def summary(played: Sequence[Played], seconds: float) -> str:
    """The whole run in one line."""
    cases, failures = _totals(played)
    return f"{cases} cases, {failures} failures in {seconds:.0f} s: {bound(cases, failures)}"


def page(played: Sequence[Played], on: date, part: float = 1.0, left: Sequence[str] = ()) -> str:
    """docs/crash-matrix.md."""
    cases, failures = _totals(played)
    rows = sorted(played, key=lambda one: (one.scenario, one.release, one.dialect))
    whole = "the whole matrix" if part >= 1 else f"{100 * part:.0f} % of the matrix, drawn at random"
    return "\n".join(
        [
            *_HEAD,
            "",
            f"The latest run, {on.isoformat()}, {whole}:",
            f"**{cases} cases, {failures} failures**; {bound(cases, failures)}.",
            "",
            "| scenario | release | dialect | writes | cases | failures |",
            "|---|---|---|--:|--:|--:|",
            *(one.row for one in rows),
            "",
            *([fill(f"Not played in that run: {', '.join(left)}.", 120), ""] if left else []),
        ]
    )


def _totals(played: Sequence[Played]) -> tuple[int, int]:
    return sum(one.cases for one in played), sum(len(one.complaints) for one in played)


_HEAD = """\
# The crash matrix

`make crash` writes this page. It runs the real command on [the lab](lab.md) and lets every write of every verb meet
every kind of bad luck; then it does what a person would do, and looks at everything there is.

- **Writes** are found by watching the command once: the calls that the NAS knows as writes, and the commands on the
  hypervisor after which anything there is different.
- **Bad luck**: the process is killed (`kill -9`) before the write; after it, before the answer; or before it, and the
  write comes later all the same. Or the process lives, and the answer is lost; the connection is reset before the
  write; the write is refused as busy; 502 comes in place of an answer (REST, from the web server in front).
- **Endings**: `pyvmiscsi ops resume` in one case, `ops rewind` in another. Where rewind refuses, past the point of no
  return, the refusal is checked, and resume ends it. A command that ends by itself must have done all, or nothing, and
  say which; the other ending is then left out.
- **What is compared**: every dataset, volume, snapshot, mark, extent, target, LUN and account of the NAS, the contents
  of every volume and snapshot, every file in the config path, sessions, guests, interfaces and claims of the
  hypervisor. After a rewind all of it is exactly as before. After a resume it is as after a run without any accident,
  but for what is drawn at random (uuids, serials, addresses, tags, secrets, ids). A neighbour's guest is in every
  comparison.

Every test run plays each write once, but for those of a few scenarios that have likenesses. Bad luck, dialects and
endings take turns from day to day, so that four weeks play all of it; a run says at its head which turn it plays.
""".splitlines()
