"""The far end of an nmdm line, held by another process as cu(1) holds it: a lock counts between processes only.

Run as a program (`python -m tests.lab.bhyve.far DIRECTORY`) it is that process.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

from pyvmiscsi.lab.bhyve.nmdm import End


class Far:
    """`/dev/nmdmT.1B` of the lines in a directory."""

    def __init__(self, lines: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.lab.bhyve.far", str(lines)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"open\n"
        os.set_blocking(self._process.stdout.fileno(), False)

    def read(self) -> bytes:
        """What has been heard since."""
        assert self._process.stdout is not None
        return self._process.stdout.read() or b""

    def type(self, text: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text)
        self._process.stdin.flush()

    def close(self) -> None:
        self._process.communicate(timeout=60)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate(timeout=60)


def main(lines: Path) -> None:
    """Print what arrives and send what is typed, until standard input ends."""
    end = End("/dev/nmdmT.1B", lines=lines)
    os.write(1, b"open\n")
    while True:
        ready, _, _ = select.select([end.fileno(), 0], [], [])
        if end.fileno() in ready:
            os.write(1, end.read())
        if 0 in ready:
            typed = os.read(0, 4096)
            if not typed:
                return
            end.write(typed)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
