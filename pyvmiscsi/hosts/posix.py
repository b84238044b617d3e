"""What every host does the same way, once something can make its /bin/sh run a text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from pyvmiscsi.errors import BusyError, CommandError, HostAuthError
from pyvmiscsi.hosts import files, shell
from pyvmiscsi.model import HostRecord
from pyvmiscsi.ports import Completed
from pyvmiscsi.quoting import quote

_LONGEST_SPELLING = 160  # characters of a command that an error repeats


class Ended(NamedTuple):
    """How a shell ended: its status (128 + N for signal N) and all it wrote."""

    status: int
    stdout: bytes
    stderr: bytes


class PosixHost(ABC):
    """`ports.Host` for a machine with /bin/sh; a subclass says how to reach that shell."""

    def __init__(self, record: HostRecord) -> None:
        self._record = record

    @property
    def name(self) -> str:
        return self._record.name

    @abstractmethod
    def _execute(self, text: str, stdin: bytes, deadline: float, what: str) -> Ended:
        """Make sh run the text; DeadlineError when it has not ended in time."""

    @abstractmethod
    def interact(self, argv: Sequence[str], *, until: Callable[[], bool] | None = None) -> int: ...

    @abstractmethod
    def close(self) -> None: ...

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float = 30.0, ok: Iterable[int] = (0,)
    ) -> Completed:
        """Run a command to its end; CommandError when its status is not in `ok`, DeadlineError when it does not end."""
        what = " ".join(quote(word) for word in argv)
        ended = self._execute(shell.command_text(argv), stdin, deadline, what)
        return self._judge(Completed(tuple(argv), *ended), what, ok)

    def script(
        self, text: str, *args: str, stdin: bytes = b"", deadline: float = 30.0, ok: Iterable[int] = (0,)
    ) -> Completed:
        """Run a POSIX sh script (`$1` … are `args`; it may read `stdin`), whatever the login shell is."""
        what = f"sh script {_first_line(text)!r}"
        ended = self._execute(shell.script_text(text, args), stdin, deadline, what)
        return self._judge(Completed(("sh", "-c", text, "sh", *args), *ended), what, ok)

    def read_file(self, path: str) -> bytes | None:
        done = self._on_file("read", path, files.READ, path, ok=(0, files.ABSENT))
        return None if done.status == files.ABSENT else done.stdout

    def write_file(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        self._on_file("write", path, files.WRITE, path, f"{mode:o}", str(len(data)), stdin=data)

    def create_file(self, path: str, data: bytes, *, mode: int = 0o644) -> bool:
        done = self._on_file(
            "create", path, files.CREATE, path, f"{mode:o}", str(len(data)), stdin=data, ok=(0, files.PRESENT)
        )
        return done.status == 0

    def remove_file(self, path: str) -> None:
        self._on_file("remove", path, files.REMOVE, path)

    def make_directory(self, path: str) -> None:
        self._on_file("make directory", path, files.MAKE_DIRECTORY, path)

    def remove_directory(self, path: str) -> None:
        done = self._on_file("remove directory", path, files.REMOVE_DIRECTORY, path, ok=(0, files.NOT_EMPTY))
        if done.status == files.NOT_EMPTY:
            raise BusyError(f"host {self.name}: directory {path} is not empty")

    def list_directory(self, path: str) -> tuple[str, ...]:
        done = self._on_file("list", path, files.LIST_DIRECTORY, path, ok=(0, files.ABSENT))
        names = done.stdout.decode(errors="surrogateescape").split("\0")
        return tuple(sorted(name for name in names if name))

    def _on_file(
        self, verb: str, path: str, text: str, *args: str, stdin: bytes = b"", ok: Iterable[int] = (0,)
    ) -> Completed:
        what = f"{verb} {path}"
        ended = self._execute(shell.script_text(text, args), stdin, 30.0, what)
        return self._judge(Completed(("sh", "-c", text, "sh", *args), *ended), what, ok)

    def _judge(self, completed: Completed, what: str, ok: Iterable[int]) -> Completed:
        if completed.status in tuple(ok):
            return completed
        self._refuse_password_prompt(completed)
        if len(what) > _LONGEST_SPELLING:
            what = f"{what[: _LONGEST_SPELLING - 1]}…"
        complaint = f": {completed.complaint}" if completed.complaint else ""
        raise CommandError(f"host {self.name}: {what}: exit status {completed.status}{complaint}")

    def _refuse_password_prompt(self, completed: Completed) -> None:
        """sudo, doas and mdo complain under their own name when they will not run a command without a password."""
        become = self._record.become
        if become and completed.status == 1 and completed.stderr.startswith(f"{become}: ".encode()):
            raise HostAuthError(
                f"host {self.name}: {completed.complaint}",
                hint=f"let user {self._record.user} run commands by {become} without a password",
            )


def _first_line(text: str) -> str:
    """What an error calls a script: its first line, which is best a comment that says what the script is for."""
    lines = text.strip().splitlines()
    return lines[0].lstrip("# ") if lines else ""
