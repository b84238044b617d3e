"""How long the command takes to start, against the interpreter and against importing typer alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.measure import Bar, side_by_side, table

COMMAND = str(Path(sys.executable).with_name("pyvmiscsi"))
BARE, TYPER = "python -c pass", "python -c 'import typer'"
VERSION = "pyvmiscsi --version"
QUICK = ("pyvmiscsi --help", "pyvmiscsi vm --help", "pyvmiscsi vm create --help", "pyvmiscsi config show")


def report(*, rounds: int, site_file: Path) -> Iterator[str]:
    """The start-up table; `site_file` is what `config show` reads."""
    cases = {
        BARE: _runs([sys.executable, "-c", "pass"]),
        VERSION: _runs([COMMAND, "--version"]),
        TYPER: _runs([sys.executable, "-c", "import typer"]),
        **{quick: _runs([COMMAND, "--site", str(site_file), *quick.split()[1:]]) for quick in QUICK},
    }
    times = side_by_side(cases, rounds=rounds)
    bars = [Bar(VERSION, BARE, 2.5), *(Bar(quick, TYPER, 1.3) for quick in QUICK)]
    yield from table("start-up", times, bars)


def _runs(argv: list[str]) -> Callable[[], object]:
    environment = {**os.environ, "NO_COLOR": "1"}

    def run() -> None:
        subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment, check=True)

    return run
