"""This very machine as a host."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Sequence

from pyvmiscsi.errors import DeadlineError, HostError
from pyvmiscsi.hosts import shell
from pyvmiscsi.hosts.posix import Ended, PosixHost

_LOOK_EVERY = 0.5  # seconds between two questions whether a command on our terminal is to go on


class LocalHost(PosixHost):
    """Runs commands here, as the user that we are, or as root by way of the record's `become`."""

    def _execute(self, text: str, stdin: bytes, deadline: float, what: str) -> Ended:
        process = self._start(shell.sh_argv(text, self._record.become))
        try:
            stdout, stderr = process.communicate(stdin, timeout=deadline)
        except subprocess.TimeoutExpired as expired:
            _end(process)
            raise DeadlineError(f"host {self.name}: {what}: not ended after {deadline:g} s") from expired
        except BaseException:
            _end(process)
            raise
        status = process.returncode if process.returncode >= 0 else 128 - process.returncode
        return Ended(status, stdout, stderr)

    def _start(self, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        try:
            return subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
        except OSError as error:
            raise HostError(f"host {self.name}: {argv[0]}: {error.strerror}") from error

    def interact(self, argv: Sequence[str], *, until: Callable[[], bool] | None = None) -> int:
        """Run a command on this terminal, until it ends, or `until` is true: then it is told to end."""
        try:
            # by sh, but in its place: what is told to end is the command itself
            process = subprocess.Popen(shell.sh_argv(f"exec {shell.command_text(argv)}", self._record.become))
        except OSError as error:
            raise HostError(f"host {self.name}: {argv[0]}: {error.strerror}") from error
        with process:
            while (status := _ended(process)) is None:
                if until is not None and until():
                    process.terminate()
                    process.wait()
                    return 0
        return status if status >= 0 else 128 - status

    def close(self) -> None:
        """Nothing is kept open."""


def _ended(process: subprocess.Popen[bytes]) -> int | None:
    """Its status, when it ends before one looks again."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.wait(_LOOK_EVERY)
    return None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the whole session of processes, and wait a moment: what `become` runs may not be ours to kill."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=1)
