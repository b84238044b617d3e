"""`python -m tests.crash`: the whole matrix, `make crash`.

Prints each scenario as it ends, then the bound that so many cases prove, and writes docs/crash-matrix.md when every
scenario was played.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path

from tests.crash.launcher import Launcher
from tests.crash.matrix import Theatre, play_all
from tests.crash.report import Played, page, summary
from tests.crash.scenarios import SCENARIOS, Scenario, scenario

PAGE = Path(__file__).parents[2] / "docs" / "crash-matrix.md"


def main(argv: Sequence[str]) -> int:
    """Play what the arguments ask for; 1 when any case failed."""
    options = _parser().parse_args(argv)
    begun = time.monotonic()
    chosen = [scenario(name) for name in options.scenario] or SCENARIOS
    played: list[Played] = []
    ends = begun + options.minutes * 60
    with ThreadPoolExecutor(options.workers) as pool:  # all that takes time here is other processes
        for future in as_completed([pool.submit(play, one.name, dialect, ends) for one, dialect in _units(chosen)]):
            played.append(future.result())
            sys.stdout.write(f"{played[-1].line}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{summary(played, time.monotonic() - begun)}\n")
    if not options.scenario:
        PAGE.write_text(page(played, datetime.now(UTC).date()))
    return 1 if any(one.complaints for one in played) else 0


def play(name: str, dialect: str, ends: float) -> Played:
    """One scenario in one dialect, on a lab of its own; nothing of it when it is past the end (monotonic seconds)."""
    one, begun, done, complaints = scenario(name), time.monotonic(), 0, []
    writes = 0
    if begun > ends:
        return Played(name, one.release, dialect, 0, 0, (), 0.0)
    try:
        with Launcher() as launcher, Theatre(one.release, launcher) as theatre:
            rehearsal = theatre.rehearse(one)
            writes = len(rehearsal.writes)
            for outcome in play_all(theatre, rehearsal, rehearsal.cases(dialect)):
                done += 1
                if outcome.complaint:
                    complaints.append(f"{outcome.case}\n{outcome.complaint}")
    except Exception as wrong:  # noqa: BLE001 - told, and the other scenarios are played
        complaints.append(f"not played to its end: {type(wrong).__name__}: {wrong}")
    return Played(name, one.release, dialect, writes, done, tuple(complaints), time.monotonic() - begun)


def _units(chosen: Iterable[Scenario]) -> list[tuple[Scenario, str]]:
    return [(one, dialect) for one in chosen for dialect in one.dialects]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("scenario", nargs="*", choices=[[], *(one.name for one in SCENARIOS)], help="all, unless named")
    parser.add_argument("--workers", type=int, default=2, help="labs at the same time (2)")
    parser.add_argument("--minutes", type=float, default=24 * 60.0, help="begin no further scenario after these")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
