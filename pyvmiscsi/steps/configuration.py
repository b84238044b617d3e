"""Facts about a guest's configuration in the datastore's config path."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar

from pyvmiscsi.bhyve.configuration.conf_file import MODE, change_conf, read_conf
from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.configuration.keys import PASSWORD
from pyvmiscsi.bhyve.configuration.removal import numbering_in
from pyvmiscsi.errors import AlreadyExistsError, BusyError, ConflictError, NotFoundError
from pyvmiscsi.ports import Host
from pyvmiscsi.steps.difference import refuse_difference


@dataclass(frozen=True, slots=True)
class ConfigurationWritten:
    """`<directory>/<guest>.conf` says at least these settings; the guest's uuid in it signs it."""

    host: Host
    directory: str
    guest: str
    text: ConfText
    password_of: str | None = None
    """Another guest's configuration, whose `vnc_password` is taken over from file to file."""
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
        """Never over a file that is there: it may be the configuration of a guest that is no concern of ours."""
        text = str(self._with_password())
        self.host.make_directory(self.directory)
        if not self.host.create_file(self.path, text.encode(), mode=MODE):
            raise AlreadyExistsError(f"{self.title}: is there already")

    def _with_password(self) -> ConfText:
        if self.password_of is None:
            return self.text
        found = self.host.read_file(self.password_of)
        if found is None:
            raise NotFoundError(f"{self.password_of}: not on {self.host.name}", hint="the VNC password is kept in it")
        return self.text.changed({PASSWORD: ConfText(found.decode(errors="replace")).get(PASSWORD)})

    def undo(self) -> None:
        found = self.host.read_file(self.path)
        if found is None or ConfText(found.decode(errors="replace")).get("uuid") == self.text.get("uuid"):
            self.host.remove_file(self.path)
            with suppress(BusyError):  # what else is in it was there before
                self.host.remove_directory(self.directory)


@dataclass(frozen=True, slots=True)
class VariablesCopied:
    """A guest's UEFI variables are those of another, where that has any: among them, what its firmware boots."""

    host: Host
    source: str
    path: str
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"UEFI variables {self.path} as {self.source}"

    def holds(self) -> bool:
        wanted = self.host.read_file(self.source)
        if wanted is None:
            return True
        found = self.host.read_file(self.path)
        if found not in (None, wanted):
            raise ConflictError(f"{self.path}: is there already, with other variables", hint="it was left alone")
        return found is not None

    def make(self) -> None:
        variables = self.host.read_file(self.source)
        if variables is not None:
            self.host.write_file(self.path, variables)

    def undo(self) -> None:
        self.host.remove_file(self.path)


@dataclass(frozen=True, slots=True)
class ConfigurationSays:
    """A guest's configuration has these settings; everything else in it stays."""

    host: Host
    path: str
    settings: Mapping[str, str]
    before: Mapping[str, str] = field(default_factory=dict)
    """What it said of some of them before; nothing of the others."""
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"configuration {self.path} with {', '.join(self.settings)}"

    def holds(self) -> bool:
        """ConflictError when it says a third thing of one of them."""
        text = read_conf(self.host, self.path)
        return self._with(text) == text

    def make(self) -> None:
        change_conf(self.host, self.path, self._with)

    def undo(self) -> None:
        change_conf(self.host, self.path, self._without)

    def _with(self, text: ConfText) -> ConfText:
        pairs = text.pairs()
        known = {key: (value, self.before.get(key) or "") for key, value in self.settings.items()}
        others = [key for key, values in known.items() if (pairs.get(key) or "") not in values]
        if others:
            raise ConflictError(
                f"{self.path}: somebody has set {', '.join(others)} meanwhile",
                hint="they were left alone: look at the file",
            )
        return text.changed({key: value for key, value in self.settings.items() if pairs.get(key) != value})

    def _without(self, text: ConfText) -> ConfText:
        pairs = text.pairs()
        own = (key for key, value in self.settings.items() if pairs.get(key) == value)
        return text.changed({key: self.before.get(key) for key in own})


@dataclass(frozen=True, slots=True)
class ConfigurationChanged:
    """A guest's configuration says this of these keys, and nothing of those with None; everything else in it stays."""

    host: Host
    path: str
    what: str
    """In the words of `ops list`: `without disk1`."""
    changes: Mapping[str, str | None]
    numbering: str = ""
    """What it said of the devices whose numbers change, by `numbering_in`; empty when nobody has noted it."""
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"configuration {self.path} {self.what}"

    def holds(self) -> bool:
        """ConflictError when it says a third thing of these devices."""
        text = read_conf(self.host, self.path)
        return self._changed(text) == text

    def make(self) -> None:
        change_conf(self.host, self.path, self._changed)

    def undo(self) -> None:
        """What it said before is nowhere else; plans put this step past the point of no return."""

    def _changed(self, text: ConfText) -> ConfText:
        pairs = text.pairs()
        if all(pairs.get(key) == value for key, value in self.changes.items()):
            return text
        if self.numbering and numbering_in(text, self.changes) != self.numbering:
            raise ConflictError(
                f"{self.path}: somebody has changed its devices meanwhile, so it was not changed to one {self.what}",
                hint="put them back as they were",
            )
        return text.changed(self.changes)


@dataclass(frozen=True, slots=True)
class ConfigurationGone:
    """The guest's directory in the config path is no more, with its logs and its variables file.

    A directory whose configuration has another uuid belongs to another guest of the same name: it stays.
    """

    host: Host
    directory: str
    guest: str
    uuid: str
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"no configuration {self.directory}"

    def holds(self) -> bool:
        return not self.host.list_directory(self.directory) or self._is_anothers()

    def make(self) -> None:
        self.host.run(["/bin/rm", "-R", "-f", self.directory])

    def undo(self) -> None:
        """What was written in it does not come back; plans put this step past the point of no return."""

    def _is_anothers(self) -> bool:
        found = self.host.read_file(f"{self.directory}/{self.guest}.conf")
        uuid = None if found is None else ConfText(found.decode(errors="replace")).get("uuid")
        return uuid is not None and uuid.lower() != self.uuid


@dataclass(frozen=True, slots=True)
class ConfigurationKept:
    """The configuration as it is now is kept beside the guest's own, under a snapshot's name."""

    host: Host
    directory: str
    guest: str
    snapshot: str
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"configuration kept as {self.path}"

    @property
    def path(self) -> str:
        return kept_path(self.directory, self.snapshot)

    def holds(self) -> bool:
        return self.host.read_file(self.path) == self._now()

    def make(self) -> None:
        self.host.make_directory(f"{self.directory}/snapshots")
        self.host.write_file(self.path, self._now(), mode=MODE)

    def undo(self) -> None:
        self.host.remove_file(self.path)

    def _now(self) -> bytes:
        conf = f"{self.directory}/{self.guest}.conf"
        text = self.host.read_file(conf)
        if text is None:
            raise NotFoundError(f"{conf}: not on {self.host.name}", hint="is the config path mounted there?")
        return text


@dataclass(frozen=True, slots=True)
class KeptConfigurationGone:
    """No configuration is kept under the snapshot's name."""

    host: Host
    directory: str
    snapshot: str
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"no configuration kept as {kept_path(self.directory, self.snapshot)}"

    def holds(self) -> bool:
        return self.host.read_file(kept_path(self.directory, self.snapshot)) is None

    def make(self) -> None:
        self.host.remove_file(kept_path(self.directory, self.snapshot))

    def undo(self) -> None:
        """What it said does not come back; plans put this step past the point of no return."""


@dataclass(frozen=True, slots=True)
class ConfigurationRestored:
    """The configuration says what it said at the snapshot."""

    host: Host
    directory: str
    guest: str
    snapshot: str
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"configuration of {self.guest} as at @{self.snapshot}"

    def holds(self) -> bool:
        return self.host.read_file(self._conf) == self._kept()

    def make(self) -> None:
        """Over what it says at that moment: a file that is somebody's keeps mode, owner and group."""
        wanted = ConfText.from_bytes(self._kept())
        if self.host.read_file(self._conf) is None:
            self.host.create_file(self._conf, wanted.as_bytes(), mode=MODE)
        change_conf(self.host, self._conf, lambda _: wanted)

    def undo(self) -> None:
        """What it said before does not come back; plans put this step past the point of no return."""

    @property
    def _conf(self) -> str:
        return f"{self.directory}/{self.guest}.conf"

    def _kept(self) -> bytes:
        path = kept_path(self.directory, self.snapshot)
        kept = self.host.read_file(path)
        if kept is None:
            raise NotFoundError(f"{path}: not on {self.host.name}", hint="roll back without the configuration")
        return kept


def kept_path(directory: str, snapshot: str) -> str:
    """Where the configuration at a snapshot is kept, in the guest's directory."""
    return f"{directory}/snapshots/{snapshot}.conf"
