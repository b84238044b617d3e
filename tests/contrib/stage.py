"""A script of contrib/ under a real sh, with stand-ins for what FreeBSD and this project give it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

CONTRIB = Path(__file__).parents[2] / "contrib"


@dataclass
class Stage:
    """Paths of the system that the script names are below `path` instead; what is run there is written down."""

    path: Path

    def program(self, where: str, text: str) -> Path:
        """A stand-in at this path."""
        path = self.path / where.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}")
        path.chmod(0o755)
        return path

    def run(self, script: str, *words: str, shell: tuple[str, ...], moved: tuple[str, ...]) -> tuple[int, str]:
        """Status and whatever was printed; the paths in `moved` are those of the stage."""
        text = (CONTRIB / script).read_text()
        for where in moved:
            assert where in text, f"{script} does not name {where}"
            text = text.replace(where, f"{self.path}{where}")
        there = self.path / Path(script).name
        there.write_text(text)
        done = subprocess.run(
            [*shell, str(there), *words], capture_output=True, text=True, cwd=self.path, check=False, timeout=30
        )
        return done.returncode, done.stdout + done.stderr

    @property
    def asked(self) -> list[str]:
        """What was run, a line each."""
        log = self.path / "asked"
        return log.read_text().splitlines() if log.exists() else []
