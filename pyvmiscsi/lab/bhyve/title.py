"""setproctitle(3): the process's own argument area, overwritten, so that ps(1) and pgrep(1) see `bhyve: NAME`."""

from __future__ import annotations

import contextlib
import ctypes
from pathlib import Path

_STAT = ("/proc/self/stat", "/libexec/lab/proc/self/stat")  # the sandbox keeps its proc out of sight
_PR_SET_NAME = 15


def set_title(program: str, name: str) -> None:
    """Show this process as `program: name`; without a proc file system nothing changes."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, program.encode()[:15], 0, 0, 0)
    for path in _STAT:
        with contextlib.suppress(OSError):
            fields = Path(path).read_text().rpartition(")")[2].split()
            start, end = int(fields[45]), int(fields[46])  # arg_start and arg_end of proc(5)
            room = end - start
            if room > 1:
                title = f"{program}: {name}".encode()[: room - 1]
                ctypes.memmove(start, title.ljust(room, b"\0"), room)
            return
