"""The real `pyvmiscsi` as a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PATIENCE = 120


@dataclass(frozen=True)
class Command:
    """`pyvmiscsi --site FILE …`."""

    site_file: Path

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, "-X", "faulthandler", "-m", "pyvmiscsi_cli", "--site", str(self.site_file), *words]

    def start(self, *words: str) -> subprocess.Popen[str]:
        """The process, running."""
        pipe = subprocess.PIPE
        return subprocess.Popen(self.argv(*words), stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The process, ended, whatever its status."""
        with self.start(*words) as process:
            try:
                out, err = process.communicate(timeout=_PATIENCE)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGABRT)  # its threads' stacks go to standard error
                raise AssertionError(f"pyvmiscsi {' '.join(words)}: hangs\n{process.communicate()[1]}") from None
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def ok(self, *words: str) -> str:
        """What it printed; its status must be 0."""
        done = self.run(*words)
        assert done.returncode == 0, f"pyvmiscsi {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def json(self, *words: str) -> Any:
        """What it answered with --json."""
        return json.loads(self.ok("--json", *words))

    def refused(self, *words: str) -> tuple[int, str]:
        """Its status, which must not be 0, and the one line it said."""
        done = self.run("--quiet", *words)
        assert done.returncode != 0, done.stdout
        lines = done.stderr.strip().splitlines()
        assert len(lines) == 1, f"not one line: {done.stderr}"
        return done.returncode, lines[0]
