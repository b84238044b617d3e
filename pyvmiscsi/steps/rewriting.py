"""A guest's configuration written anew, as somebody edited it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import ClassVar

from pyvmiscsi.bhyve.conf_text import ConfText
from pyvmiscsi.errors import ConflictError, NotFoundError
from pyvmiscsi.ports import Host


@dataclass(frozen=True, slots=True)
class ConfigurationRewritten:
    """`path` is what somebody made of what it was: one whole text after the other, told apart by their digests.

    Without `text`, in a process that goes on with what another began, either of the two will do: the file is put in
    place whole, so there is no third, and what was to be written is known to nobody any more.
    """

    host: Host
    path: str
    before: str
    after: str
    what: str
    """In the words of `ops list`: `with memory, cpu`."""
    text: ConfText | None = None
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"configuration {self.path} {self.what}"

    def holds(self) -> bool:
        return self._now() in ((self.after,) if self.text is not None else (self.before, self.after))

    def make(self) -> None:
        """Never over a text that nobody has looked at."""
        if self.text is None or self._now() != self.before:
            raise ConflictError(
                f"{self.path}: somebody has changed it meanwhile", hint="nothing was written: look at it, and try again"
            )
        self.host.write_file(self.path, self.text.as_bytes(), mode=0o640)

    def undo(self) -> None:
        """It is the only step: once it holds, nothing is left to fail."""

    def _now(self) -> str:
        found = self.host.read_file(self.path)
        if found is None:
            raise NotFoundError(f"{self.path}: not on {self.host.name}", hint="is the config path mounted there?")
        return digest(found)


def digest(data: bytes) -> str:
    """By which a text is known that may hold a password."""
    return hashlib.sha256(data).hexdigest()
