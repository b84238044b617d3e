"""A guest's configuration written anew, as somebody edited it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pyvmiscsi.bhyve.configuration.conf_file import read_conf, replace_conf
from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.errors import ConflictError
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
        return read_conf(self.host, self.path) == self.after

    def make(self) -> None:
        """Never over a text that nobody has looked at."""
        if not replace_conf(self.host, self.path, self.before, self.after):
            raise ConflictError(
                f"{self.path}: somebody has changed it meanwhile", hint="nothing was written: look at it, and try again"
            )

    def undo(self) -> None:
        """It is the only step of its plan: once it holds, nothing is left to fail."""
