"""The hypervisor of a replay: it answers a command as the one on the lab did.

The cassettes are about the nas. A host is known here by its commands and files alone, not by the texts of scripts,
which may be improved without recording anything again; what is asked more often than recorded gets its last answer.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pyvmiscsi import errors
from pyvmiscsi.errors import PyvmiscsiError
from pyvmiscsi.ports import Completed, Host
from tests.cassettes.redaction import Redactor

T = TypeVar("T")


def _words(args: Iterable[str], stdin: bytes) -> list[str]:
    """Arguments of a script without the length of what it is given: that is often a script again."""
    return ["<length>" if stdin and word == str(len(stdin)) else word for word in args]


class HostRecorder:
    """A host that keeps what another one answered."""

    def __init__(self, host: Host, redactor: Redactor) -> None:
        self.tape: list[dict[str, Any]] = []
        self._host = host
        self._redactor = redactor

    @property
    def name(self) -> str:
        return self._host.name

    def _keep(self, key: list[Any], act: Callable[[], T]) -> T:
        try:
            answer = act()
        except PyvmiscsiError as error:
            kept: Any = {"error": type(error).__name__, "message": error.message}
            self.tape.append({"asked": self._redactor.value(key), "answered": self._redactor.value(kept)})
            raise
        self.tape.append({"asked": self._redactor.value(key), "answered": self._redactor.value(_plain(answer))})
        return answer

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float = 30.0, ok: Iterable[int] = (0,)
    ) -> Completed:
        return self._keep(["run", *argv], lambda: self._host.run(argv, stdin=stdin, deadline=deadline, ok=ok))

    def script(
        self, text: str, *args: str, stdin: bytes = b"", deadline: float = 30.0, ok: Iterable[int] = (0,)
    ) -> Completed:
        return self._keep(
            ["script", *_words(args, stdin)],
            lambda: self._host.script(text, *args, stdin=stdin, deadline=deadline, ok=ok),
        )

    def read_file(self, path: str) -> bytes | None:
        return self._keep(["read_file", path], lambda: self._host.read_file(path))

    def write_file(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        return self._keep(["write_file", path], lambda: self._host.write_file(path, data, mode=mode))

    def create_file(self, path: str, data: bytes, *, mode: int = 0o644) -> bool:
        return self._keep(["create_file", path], lambda: self._host.create_file(path, data, mode=mode))

    def remove_file(self, path: str) -> None:
        return self._keep(["remove_file", path], lambda: self._host.remove_file(path))

    def make_directory(self, path: str) -> None:
        return self._keep(["make_directory", path], lambda: self._host.make_directory(path))

    def remove_directory(self, path: str) -> None:
        return self._keep(["remove_directory", path], lambda: self._host.remove_directory(path))

    def list_directory(self, path: str) -> tuple[str, ...]:
        return self._keep(["list_directory", path], lambda: self._host.list_directory(path))

    def interact(self, argv: Sequence[str], *, until: Callable[[], bool] | None = None) -> int:
        return self._host.interact(argv, until=until)

    def close(self) -> None:
        self._host.close()

    def save(self, path: Path, header: dict[str, Any]) -> None:
        path.write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in [header, *self.tape]))


class HostPlayer:
    """A host of which only what was recorded is known."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self._answers: dict[str, deque[Any]] = defaultdict(deque)
        for line in path.read_text().splitlines()[1:]:
            kept = json.loads(line)
            self._answers[json.dumps(kept["asked"])].append(kept["answered"])

    def _answer(self, *key: str) -> Any:
        answers = self._answers[json.dumps(list(key))]
        if not answers:
            raise AssertionError(f"{self.name}: not in the cassette: {key}")
        answer = answers.popleft() if len(answers) > 1 else answers[0]
        if isinstance(answer, dict) and "error" in answer:
            raise getattr(errors, answer["error"])(answer["message"])
        return answer

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",  # noqa: ARG002 - scenery
        deadline: float = 30.0,  # noqa: ARG002 - scenery
        ok: Iterable[int] = (0,),  # noqa: ARG002 - scenery
    ) -> Completed:
        return _completed(tuple(argv), self._answer("run", *argv))

    def script(
        self,
        text: str,  # noqa: ARG002 - scenery
        *args: str,
        stdin: bytes = b"",
        deadline: float = 30.0,  # noqa: ARG002 - scenery
        ok: Iterable[int] = (0,),  # noqa: ARG002 - scenery
    ) -> Completed:
        return _completed(("sh", *args), self._answer("script", *_words(args, stdin)))

    def read_file(self, path: str) -> bytes | None:
        answer = self._answer("read_file", path)
        return None if answer is None else _bytes(answer)

    def write_file(self, path: str, data: bytes, *, mode: int = 0o644) -> None:  # noqa: ARG002 - scenery
        self._answer("write_file", path)

    def create_file(self, path: str, data: bytes, *, mode: int = 0o644) -> bool:  # noqa: ARG002 - scenery
        return bool(self._answer("create_file", path))

    def remove_file(self, path: str) -> None:
        self._answer("remove_file", path)

    def make_directory(self, path: str) -> None:
        self._answer("make_directory", path)

    def remove_directory(self, path: str) -> None:
        self._answer("remove_directory", path)

    def list_directory(self, path: str) -> tuple[str, ...]:
        return tuple(self._answer("list_directory", path))

    def interact(
        self,
        argv: Sequence[str],
        *,
        until: Callable[[], bool] | None = None,  # noqa: ARG002 - nobody is there to leave
    ) -> int:
        raise AssertionError(f"{self.name}: nobody is at the terminal of {argv}")

    def close(self) -> None:
        """Nothing is open."""


def _plain(answer: object) -> Any:
    if isinstance(answer, Completed):
        return {"status": answer.status, "stdout": _text(answer.stdout), "stderr": _text(answer.stderr)}
    return _text(answer) if isinstance(answer, bytes) else list(answer) if isinstance(answer, tuple) else answer


def _completed(argv: tuple[str, ...], answer: dict[str, Any]) -> Completed:
    return Completed(argv, answer["status"], _bytes(answer["stdout"]), _bytes(answer["stderr"]))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
