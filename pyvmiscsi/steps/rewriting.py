"""A guest's configuration written anew, as somebody edited it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.exchange import exchange_file
from pyvmiscsi.errors import ConflictError, NotFoundError
from pyvmiscsi.ports import Host


@dataclass(frozen=True, slots=True)
class ConfigurationRewritten:
    """The file at `path` is `after`, as somebody made it of `before`; it is put in place whole."""

    host: Host
    path: str
    what: str
    """Which keys change: `with memory, cpu`."""
    before: ConfText
    after: ConfText
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"configuration {self.path} {self.what}"

    def holds(self) -> bool:
        return _read(self.host, self.path) == self.after.as_bytes()

    def make(self) -> None:
        """Never over a text that nobody has looked at."""
        before, after = self.before.as_bytes(), self.after.as_bytes()
        if not exchange_file(self.host, self.path, before, after, mode=0o640):
            raise ConflictError(
                f"{self.path}: somebody has changed it meanwhile", hint="nothing was written: look at it, and try again"
            )

    def undo(self) -> None:
        """It is the only step of its plan: once it holds, nothing is left to fail."""


def _read(host: Host, path: str) -> bytes:
    found = host.read_file(path)
    if found is None:
        raise NotFoundError(f"{path}: not on {host.name}", hint="is the config path mounted there?")
    return found
