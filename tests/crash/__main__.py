"""`python -m tests.crash`: the whole matrix, `make crash`.

Prints each scenario as it ends, then the bound that so many cases prove, and writes docs/crash-matrix.md unless only
some scenarios were asked for.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
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
        for future in as_completed([pool.submit(play, one, options.part, options.seed, ends) for one in chosen]):
            for one in future.result():
                played.append(one)
                sys.stdout.write(f"{one.line}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{summary(played, time.monotonic() - begun)}\n")
    if not options.scenario:
        left = {one.name for one in SCENARIOS} - {one.scenario for one in played}
        PAGE.write_text(page(played, datetime.now(UTC).date(), options.part, sorted(left)))
    return 1 if any(one.complaints for one in played) else 0


def play(one: Scenario, part: float, seed: int, ends: float) -> list[Played]:
    """One scenario in all its dialects, on a lab of its own: all cases, or a part of them, drawn by `seed`.

    Nothing of it when it is past `ends`, in monotonic seconds.
    """
    played: list[Played] = []
    if time.monotonic() > ends:
        return played
    dialect, begun = "", time.monotonic()
    try:
        with Launcher() as launcher, Theatre(one.release, launcher) as theatre:
            rehearsal = theatre.rehearse(one)
            for dialect in one.dialects:
                begun = time.monotonic()
                outcomes = list(play_all(theatre, rehearsal, rehearsal.drawn(dialect, part=part, seed=seed)))
                complaints = [f"{outcome.case}\n{outcome.complaint}" for outcome in outcomes if outcome.complaint]
                seconds = time.monotonic() - begun
                writes = len(rehearsal.writes)
                played.append(Played(one.name, one.release, dialect, writes, len(outcomes), tuple(complaints), seconds))
    except Exception as wrong:  # noqa: BLE001 - told, and the other scenarios are played
        told = f"not played to its end: {type(wrong).__name__}: {wrong}"
        played.append(Played(one.name, one.release, dialect, 0, 0, (told,), time.monotonic() - begun))
    return played


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("scenario", nargs="*", choices=[[], *(one.name for one in SCENARIOS)], help="all, unless named")
    parser.add_argument("--workers", type=int, default=2, help="labs at the same time (2)")
    parser.add_argument("--part", type=float, default=1.0, help="how much of the matrix, drawn at random (1: all)")
    parser.add_argument("--seed", type=int, default=1, help="of what is drawn (1)")
    parser.add_argument("--minutes", type=float, default=24 * 60.0, help="begin no further scenario after these")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
