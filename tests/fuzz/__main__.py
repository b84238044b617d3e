"""`make fuzz`: atheris (libFuzzer) looks for what a parser cannot take, guided by which of its lines were reached.

    python -m tests.fuzz --seconds 60 "qcow2 header" NBD

What ended a parser is left in a file, whose name is printed; it becomes a seed of that parser in `parsers.py`.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import tempfile
from pathlib import Path


def fuzz(name: str, corpus: str, seconds: int) -> None:
    """Feed one parser in this process, which ends with it."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["pyvmiscsi"]):
        parser = importlib.import_module("tests.fuzz.parsers").PARSERS[name]
    for number, seed in enumerate(parser.seeds):
        Path(corpus, str(number)).write_bytes(seed)
    options = [f"-max_total_time={seconds}", "-max_len=8192", "-timeout=20", "-rss_limit_mb=1024", "-verbosity=0"]
    atheris.Setup(["tests.fuzz", corpus, f"-artifact_prefix={name.replace(' ', '-')}.", *options], parser.feed)
    atheris.Fuzz()


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Feed parsers what nobody would write.")
    asked.add_argument("names", nargs="*", help="which ones; all without any")
    asked.add_argument("--seconds", type=int, default=20, help="how long each of them")
    asked.add_argument("--into", help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.into:
        fuzz(given.names[0], given.into, given.seconds)
        return 0
    broken = []
    for name in given.names or importlib.import_module("tests.fuzz.parsers").PARSERS:
        print(f"{name}: {given.seconds} s", flush=True)  # noqa: T201 - what this program is for
        with tempfile.TemporaryDirectory() as corpus:
            words = [sys.executable, "-m", "tests.fuzz", name, "--seconds", str(given.seconds), "--into", corpus]
            if subprocess.run(words, check=False).returncode:
                broken.append(name)
    print(f"broken: {', '.join(broken) or 'none'}")  # noqa: T201 - same
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
