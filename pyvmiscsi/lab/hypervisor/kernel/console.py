"""What the kernel prints on its console: kept for dmesg(8), and for tests to read."""

from __future__ import annotations

import threading


class Console:
    """The message buffer, oldest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: list[str] = []

    def print(self, *lines: str) -> None:
        with self._lock:
            self._lines.extend(lines)

    def messages(self) -> list[str]:
        with self._lock:
            return list(self._lines)
