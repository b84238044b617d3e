"""How long the main job takes on the lab, verb by verb, each in a process of its own as a person would type it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Times, table
from bench.startup import COMMAND

VERBS = (
    ("lab up", "lab up --login-budget 1000"),
    ("vm create, CHAP", "vm create bench1 --size 1G"),
    ("vm list", "vm list"),
    ("vm info", "vm info bench1"),
    ("vm start", "vm start bench1 --host hv1"),
    ("vm stop --force", "vm stop bench1 --force --deadline 0"),
    ("vm destroy", "vm destroy bench1 --yes"),
    ("lab down", "lab down"),
)
"""(what it is called, what is typed), in the order of a guest's life."""


def report(*, rounds: int) -> Iterator[str]:
    """The table of one guest's life on a lab that is started for it, `rounds` times."""
    taken: dict[str, list[float]] = {name: [] for name, _ in VERBS}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="pyvmiscsi-bench-") as folder:
            for name, seconds in _one_life(Path(folder)):
                taken[name].append(seconds)
    yield from table("on the lab", {name: Times(tuple(seconds)) for name, seconds in taken.items()})


def _one_life(folder: Path) -> Iterator[tuple[str, float]]:
    environment = {**os.environ, "PYVMISCSI_SITE": str(folder / ".lab" / "site.toml")}
    done = 0
    try:
        for name, words in VERBS:
            began = time.perf_counter()
            _type(words, folder, environment)
            yield name, time.perf_counter() - began
            done += 1
    finally:
        if 0 < done < len(VERBS):
            _type(VERBS[-1][1], folder, environment)


def _type(words: str, folder: Path, environment: dict[str, str]) -> None:
    ended = subprocess.run(
        [COMMAND, *words.split()],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode != 0:
        sys.stderr.write(ended.stderr)
        raise SystemExit(f"pyvmiscsi {words}: exit status {ended.returncode}")
