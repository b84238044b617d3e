"""This machine as a host whose files are read and written without a shell, for tests that do so thousands of times."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pyvmiscsi.bhyve import exchange
from pyvmiscsi.bhyve.rules import places
from pyvmiscsi.errors import BusyError, CommandError
from pyvmiscsi.hosts.local import LocalHost
from pyvmiscsi.ports import Completed


class QuickHost(LocalHost):
    """`hosts.local.LocalHost` but for its methods on files, which keep the same laws."""

    def read_file(self, path: str) -> bytes | None:
        with self._refusals("read", path):
            try:
                return Path(path).read_bytes()
            except FileNotFoundError:
                return None

    def write_file(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        beside = Path(f"{path}.new")
        with self._refusals("write", path):
            if Path(path).is_dir():
                raise IsADirectoryError(None, "is a directory")
            beside.write_bytes(data)
            try:
                beside.chmod(mode)
                beside.rename(path)
            finally:
                beside.unlink(missing_ok=True)

    def create_file(self, path: str, data: bytes, *, mode: int = 0o644) -> bool:
        with self._refusals("create", path):
            if Path(path).is_dir():
                raise IsADirectoryError(None, "is a directory")
            try:
                file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            except FileExistsError:
                return False
        with os.fdopen(file, "wb") as made:
            made.write(data)
        return True

    def script(
        self, text: str, *args: str, stdin: bytes = b"", deadline: float = 30.0, ok: Iterable[int] = (0,)
    ) -> Completed:
        if text != exchange.EXCHANGE:
            return super().script(text, *args, stdin=stdin, deadline=deadline, ok=ok)
        return Completed(("sh", "-c", text, "sh", *args), self._exchange(*args, both=stdin), b"", b"")

    def _exchange(self, path: str, length: str, _new: str, mode: str, then: str, *, both: bytes) -> int:
        before = both[: int(length or 0)]
        Path(path).parent.mkdir(exist_ok=True)
        if self.read_file(path) != (before if length else None):
            return 75
        kept = Path(path).stat().st_mode & 0o7777 if length else int(mode, 8)
        self.write_file(path, both[len(before) :], mode=kept & (~0o007 if then else ~0))
        return 0

    def remove_file(self, path: str) -> None:
        Path(path).unlink(missing_ok=True)

    def make_directory(self, path: str) -> None:
        Path(path).mkdir(parents=True, exist_ok=True)

    def remove_directory(self, path: str) -> None:
        if self.list_directory(path):
            raise BusyError(f"host {self.name}: directory {path} is not empty")
        if Path(path).is_dir():
            Path(path).rmdir()

    def list_directory(self, path: str) -> tuple[str, ...]:
        return tuple(sorted(one.name for one in Path(path).iterdir())) if Path(path).is_dir() else ()

    @contextmanager
    def _refusals(self, verb: str, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CommandError(f"host {self.name}: {verb} {path}: {error.strerror}") from error


def exchange_without_lockf(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this machine exchange files, too: lockf(1) is FreeBSD's."""
    lockf = "/usr/bin/lockf -k -s -t 10 /var/run/pyvmiscsi.exchange.lock "
    assert lockf in exchange.EXCHANGE
    monkeypatch.setattr(exchange, "EXCHANGE", exchange.EXCHANGE.replace(lockf, ""))


def look_without_geom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this machine tell what files really are, too: geom(4) is FreeBSD's."""
    asks = "/sbin/sysctl -b kern.geom.conftxt"
    assert asks in places._QUESTION
    monkeypatch.setattr(places, "_QUESTION", places._QUESTION.replace(asks, ""))
