"""Somebody who reads a page and types what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def commands_of(page: str) -> list[str]:
    """The lines of a page's console blocks that are to be typed, in order."""
    blocks = re.findall(r"^```console\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]


class Person:
    """Types into a shell, line by line, in one directory."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = {**os.environ, "PATH": path, **environment}

    def types(self, line: str) -> str:
        """What the command prints on standard output; its exit status must be 0."""
        exported = re.fullmatch(r"export (\w+)=(\S+)", line)
        if exported:
            self.environment[exported[1]] = exported[2]
            return ""
        ended = subprocess.run(
            ["/bin/sh", "-c", line],
            cwd=self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, f"$ {line}\n{ended.stdout}{ended.stderr}"
        return ended.stdout

    def is_killed(self, line: str, wait: object) -> None:
        """Type a command and have it killed by SIGKILL once `wait()` returns."""
        assert callable(wait)
        with subprocess.Popen(line.split(), cwd=self.home, env=self.environment, stderr=subprocess.DEVNULL) as process:
            try:
                wait()
            finally:
                process.kill()
