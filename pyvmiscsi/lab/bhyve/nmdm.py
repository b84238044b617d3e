"""nmdm(4): `/dev/nmdmX.1A` and `/dev/nmdmX.1B` are the two ends of one line.

A line is two pipes in a directory of the sandbox that no FreeBSD path leads to: what is written at one end is read
at the other. An end is one process's at a time (a record lock, which ends with it); what is written while nobody has
the other end is lost, as on the real one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import struct
from pathlib import Path

from pyvmiscsi.lab.bhyve.errno_text import EBUSY, ENOENT
from pyvmiscsi.lab.bhyve.facts import Trouble

LINES = Path("/libexec/lab/lines")
_END = re.compile(r"/dev/nmdm(?P<line>[^/]+)(?P<end>[AB])")
_FLOCK = "hhqqi4x"  # struct flock of Linux on 64-bit machines


def is_end(path: str) -> bool:
    return _END.fullmatch(path) is not None


class End:
    """One end of a line, opened: `fileno()` is what to wait on for reading; nothing here ever waits."""

    def __init__(self, path: str, *, lines: Path = LINES) -> None:
        """Trouble (`Device busy`) when another process has this end."""
        match = _END.fullmatch(path)
        if match is None:
            raise Trouble(ENOENT)
        self.path = path
        own, other = match["end"], "BA"["AB".index(match["end"])]
        self.peer_path = f"/dev/nmdm{match['line']}{other}"
        stem = lines / match["line"]
        lines.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(f"{stem}.{own}", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise Trouble(EBUSY) from None
        self._peer = os.open(f"{stem}.{other}", os.O_RDWR | os.O_CREAT, 0o600)
        self._in = _open_pipe(Path(f"{stem}.to{own}"))
        self._out = _open_pipe(Path(f"{stem}.to{other}"))
        self.read()  # what an earlier holder of this end left unread

    def fileno(self) -> int:
        return self._in

    def read(self) -> bytes:
        """What has arrived; nothing when nothing has."""
        try:
            return os.read(self._in, 65536)
        except BlockingIOError:
            return b""

    def write(self, data: bytes) -> int:
        """Send it; how many bytes were taken. All of them when nobody is there to read; 0 when the line is full."""
        if not self.has_peer():
            return len(data)
        try:
            return os.write(self._out, data)
        except BlockingIOError:
            return 0

    def has_peer(self) -> bool:
        """Whether a process has the other end."""
        query = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        found: int = struct.unpack(_FLOCK, fcntl.fcntl(self._peer, fcntl.F_GETLK, query))[0]
        return found != fcntl.F_UNLCK

    def close(self) -> None:
        for fd in (self._in, self._out, self._peer, self._lock):
            with contextlib.suppress(OSError):
                os.close(fd)


def _open_pipe(path: Path) -> int:
    with contextlib.suppress(FileExistsError):
        os.mkfifo(path, 0o600)
    # for reading and writing both: neither end of a line notices that the other has gone
    return os.open(path, os.O_RDWR | os.O_NONBLOCK)
