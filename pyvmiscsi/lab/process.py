"""Processes the lab started, named so that only they are ever ended."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    """A process by its id and the moment it started: an id alone may be somebody else's by now."""

    pid: int
    started: int
    """Field 22 of /proc/PID/stat: clock ticks since boot (proc(5))."""

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The process with this id; None when there is none."""
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        fields = text.rpartition(")")[2].split()  # the name before may hold blanks
        return None if fields[0] == "Z" else cls(pid, int(fields[19]))

    @property
    def alive(self) -> bool:
        return Process.of(self.pid) == self

    def end(self, deadline: float) -> None:
        """SIGTERM, and SIGKILL when it has not ended in time; nothing when it has ended already."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if not self.alive:
                return
            for number in (signal.SIGTERM, signal.SIGKILL):
                signal.pidfd_send_signal(handle, number)
                ended, _, _ = select.select([handle], [], [], deadline)
                if ended:
                    break
        except ProcessLookupError:
            pass
        finally:
            os.close(handle)
        self._reap()

    def _reap(self) -> None:
        """Take the exit status where it is our own child."""
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)
