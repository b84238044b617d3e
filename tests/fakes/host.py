"""A host in memory: files in a dict, and commands answered by whoever set it up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from pyvmiscsi.errors import BusyError, CommandError
from pyvmiscsi.ports import Completed


@dataclass(frozen=True, slots=True)
class Call:
    """A command that was run: `script` is empty for a plain one, `words` are its argv or the script's arguments."""

    words: tuple[str, ...]
    script: str = ""
    stdin: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    stdout: bytes = b""
    stderr: bytes = b""
    status: int = 0


def silent(_call: Call) -> Reply:
    """Every command succeeds and says nothing."""
    return Reply()


@dataclass
class FakeHost:
    """`ports.Host` whose commands are answered by `answer`, which may raise; `calls` lists them all.

    Nothing here takes time, and files have no modes.
    """

    name: str = "hv1"
    answer: Callable[[Call], Reply] = silent
    files: dict[str, bytes] = field(default_factory=dict)
    directories: set[str] = field(default_factory=lambda: {"/"})
    calls: list[Call] = field(default_factory=list)

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        deadline: float = 30.0,  # noqa: ARG002 - see above
        ok: Iterable[int] = (0,),
    ) -> Completed:
        return self._do(Call(tuple(argv), stdin=stdin), ok)

    def script(
        self,
        text: str,
        *args: str,
        stdin: bytes = b"",
        deadline: float = 30.0,  # noqa: ARG002 - see above
        ok: Iterable[int] = (0,),
    ) -> Completed:
        return self._do(Call(args, text, stdin), ok)

    def _do(self, call: Call, ok: Iterable[int]) -> Completed:
        self.calls.append(call)
        reply = self.answer(call)
        argv = ("sh", "-c", call.script, "sh", *call.words) if call.script else call.words
        done = Completed(argv, reply.status, reply.stdout, reply.stderr)
        if reply.status not in set(ok):
            raise CommandError(f"{self.name}: {done.complaint}")
        return done

    # files

    def read_file(self, path: str) -> bytes | None:
        return self.files.get(path)

    def write_file(self, path: str, data: bytes, *, mode: int = 0o644) -> None:  # noqa: ARG002 - see above
        self.files[path] = data

    def create_file(self, path: str, data: bytes, *, mode: int = 0o644) -> bool:  # noqa: ARG002 - see above
        if path in self.files:
            return False
        self.files[path] = data
        return True

    def remove_file(self, path: str) -> None:
        self.files.pop(path, None)

    def make_directory(self, path: str) -> None:
        parts = path.strip("/").split("/")
        self.directories |= {"/" + "/".join(parts[:end]) for end in range(1, len(parts) + 1)}

    def remove_directory(self, path: str) -> None:
        if self.list_directory(path):
            raise BusyError(f"{self.name}: {path} is not empty")
        self.directories.discard(path)

    def list_directory(self, path: str) -> tuple[str, ...]:
        prefix = path.rstrip("/") + "/"
        below = (each[len(prefix) :] for each in {*self.files, *self.directories} if each.startswith(prefix))
        return tuple(sorted({name.split("/")[0] for name in below if name}))

    def interact(
        self,
        argv: Sequence[str],
        *,
        until: Callable[[], bool] | None = None,  # noqa: ARG002 - see above
    ) -> int:
        return self.run(argv, ok=range(256)).status

    def close(self) -> None:
        pass
