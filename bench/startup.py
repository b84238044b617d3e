"""How long the command takes to start, against the interpreter and against importing typer alone."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from bench.measure import Bar, side_by_side, table

COMMAND = str(Path(sys.executable).with_name("pyvmiscsi"))
BARE, TYPER = "python -c pass", "python -c 'import typer'"
VERSION = "pyvmiscsi --version"
QUICK = ("pyvmiscsi --help", "pyvmiscsi vm --help", "pyvmiscsi vm create --help", "pyvmiscsi config show")


def report(*, rounds: int, site_file: Path) -> Iterator[str]:
    """The start-up table; `site_file` is what `config show` reads.

    All modules are compiled, as those of an installed package are: each case ran once before.
    """
    with tempfile.TemporaryDirectory() as compiled:
        environment = {**os.environ, "NO_COLOR": "1", "PYTHONPYCACHEPREFIX": compiled}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        runs = partial(_runs, environment)
        cases = {
            BARE: runs([sys.executable, "-c", "pass"]),
            VERSION: runs([COMMAND, "--version"]),
            TYPER: runs([sys.executable, "-c", "import typer"]),
            **{quick: runs([COMMAND, "--site", str(site_file), *quick.split()[1:]]) for quick in QUICK},
        }
        side_by_side(cases, rounds=1)
        times = side_by_side(cases, rounds=rounds)
    bars = [Bar(VERSION, BARE, 2.5), *(Bar(quick, TYPER, 1.3) for quick in QUICK)]
    yield from table("start-up", times, bars)


def _runs(environment: Mapping[str, str], argv: list[str]) -> Callable[[], object]:
    def run() -> None:
        subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment, check=True)

    return run
