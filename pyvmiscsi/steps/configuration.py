"""Facts about a guest's configuration in the datastore's config path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pyvmiscsi.bhyve.conf_text import ConfText
from pyvmiscsi.ports import Host
from pyvmiscsi.steps.difference import refuse_difference


@dataclass(frozen=True, slots=True)
class ConfigurationWritten:
    """`<directory>/<guest>.conf` says at least these settings; the guest's uuid in it signs it."""

    host: Host
    directory: str
    guest: str
    text: ConfText
    signed: ClassVar[bool] = True

    @property
    def title(self) -> str:
        return f"configuration {self.path}"

    @property
    def path(self) -> str:
        return f"{self.directory}/{self.guest}.conf"

    def holds(self) -> bool:
        found = self.host.read_file(self.path)
        if found is None:
            return False
        there = ConfText(found.decode(errors="replace"))
        wanted = self.text.pairs()
        refuse_difference(self.title, [(key, there.get(key), wanted[key]) for key in ("uuid", *wanted)])
        return True

    def make(self) -> None:
        self.host.make_directory(self.directory)
        self.host.write_file(self.path, str(self.text).encode(), mode=0o640)

    def undo(self) -> None:
        found = self.host.read_file(self.path)
        if found is None or ConfText(found.decode(errors="replace")).get("uuid") == self.text.get("uuid"):
            self.host.remove_file(self.path)
            self.host.remove_directory(self.directory)


@dataclass(frozen=True, slots=True)
class ConfigurationGone:
    """The guest's directory in the config path is no more, with its logs and its variables file."""

    host: Host
    directory: str
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"no configuration {self.directory}"

    def holds(self) -> bool:
        return not self.host.list_directory(self.directory)

    def make(self) -> None:
        self.host.run(["/bin/rm", "-R", "-f", self.directory])

    def undo(self) -> None:
        """What was written in it does not come back; plans put this step past the point of no return."""
