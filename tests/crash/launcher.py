"""The real `pyvmiscsi`, each time as a process of its own, without the half second that its imports take."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, Any, Self

_PATIENCE = 90.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: its status (-9 when it was killed) and what it said."""

    words: tuple[str, ...]
    status: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"pyvmiscsi {' '.join(self.words)}: {self.status}\n{self.out}{self.err}"

    @property
    def json(self) -> Any:
        """What it answered with --json."""
        return json.loads(self.out)


@dataclass
class Running:
    """A command under way."""

    launcher: Launcher
    words: tuple[str, ...]
    pid: int
    out: IO[bytes] = field(repr=False)
    err: IO[bytes] = field(repr=False)
    status: int | None = None

    def has_ended(self) -> bool:
        return self.status is not None or self._hear(0.0)

    def kill(self) -> Ended:
        """SIGKILL, and nothing but that."""
        if not self.has_ended():
            os.kill(self.pid, signal.SIGKILL)  # not yet waited for, so the number is still its own
        return self.wait()

    def wait(self) -> Ended:
        """Its end, of its own accord; AssertionError with its threads' stacks when it hangs."""
        if self.status is None and not self._hear(_PATIENCE):
            os.kill(self.pid, signal.SIGUSR1)
            self._hear(2.0)
            os.kill(self.pid, signal.SIGKILL)
            self._hear(10.0)
            raise AssertionError(f"hangs: {self._ended()}")
        return self._ended()

    def _hear(self, patience: float) -> bool:
        self.status = self.launcher.hear_status(self.pid, patience)
        return self.status is not None

    def _ended(self) -> Ended:
        said = []
        for stream in (self.out, self.err):
            with stream:
                stream.seek(0)
                said.append(stream.read().decode(errors="replace"))
        return Ended(self.words, -signal.SIGKILL if self.status is None else self.status, *said)


class Launcher:
    """Starts commands by way of a `forkserver` of its own."""

    def __init__(self) -> None:
        self._link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        argv = [sys.executable, "-m", "tests.crash.forkserver", str(theirs.fileno())]
        with theirs:
            self._server = subprocess.Popen(argv, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])

    def start(self, *words: str) -> Running:
        """The command, running."""
        out, err = (tempfile.TemporaryFile() for _ in range(2))  # noqa: SIM115 - open until the command has ended
        request = json.dumps({"argv": words}).encode()
        socket.send_fds(self._link, [request], [out.fileno(), err.fileno()])
        return Running(self, words, self._answer(_PATIENCE)["pid"], out, err)

    def run(self, *words: str) -> Ended:
        """The command, ended, whatever its status."""
        return self.start(*words).wait()

    def ok(self, *words: str) -> Ended:
        """The command, which must succeed."""
        ended = self.run(*words)
        assert ended.status == 0, str(ended)
        return ended

    def hear_status(self, pid: int, patience: float) -> int | None:
        """The status of the command that was started last; None when it runs on for that long."""
        try:
            answer = self._answer(patience)
        except (TimeoutError, BlockingIOError):
            return None
        assert answer["pid"] == pid, f"{answer}: an end that nobody waits for"
        return answer["status"]

    def _answer(self, patience: float) -> dict[str, int]:
        self._link.settimeout(patience)
        answer = self._link.recv(1 << 10)
        assert answer, "the fork server is gone"
        told: dict[str, int] = json.loads(answer)
        return told

    def close(self) -> None:
        self._link.close()
        self._server.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
