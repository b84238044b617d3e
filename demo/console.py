"""The guest's serial console, read through the command that a person would use."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.narration import NotSoError


class Console:
    """What the guest has printed so far."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._text = ""
        self._more = threading.Condition()
        threading.Thread(target=self._read, name="console", daemon=True).start()

    def wait_for(self, pattern: str, *, deadline: float) -> re.Match[str]:
        """The first match of `pattern` in whole lines, as soon as the guest has printed it."""
        with self._more:
            self._more.wait_for(lambda: self._find(pattern), timeout=deadline)
            match = self._find(pattern)
        if match is None:
            raise NotSoError(
                f"the guest did not print {pattern!r} in {deadline:g} s; it printed: {self._text[-400:]!r}"
            )
        return match

    def _find(self, pattern: str) -> re.Match[str] | None:
        return re.search(pattern, self._text[: self._text.rfind("\n") + 1])

    def _read(self) -> None:
        stdout = self._process.stdout
        while stdout is not None and (data := stdout.read1(4096)):  # type: ignore[attr-defined]
            with self._more:
                self._text += data.decode(errors="replace").replace("\r", "")
                self._more.notify_all()


@contextmanager
def console_of(guest: str, site_file: Path) -> Iterator[Console]:
    """`pyvmiscsi vm console GUEST`, left as a person leaves it."""
    argv = [sys.executable, "-m", "pyvmiscsi_cli", "--site", str(site_file), "vm", "console", guest]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield Console(process)
    finally:
        process.kill()
        process.wait()
