"""Facts about where a guest's directory stands in the config path: configuration, logs, variables file and all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.errors import AlreadyExistsError, BusyError, ConflictError, NotFoundError
from pyvmiscsi.ports import Host

_ABSENT, _TAKEN, _LOCKED = 66, 73, 75

# A directory is renamed whole, its configuration after it: cut short between the two, it is neither guest's.
_MOVE = f"""# move a guest's directory
old=$1 conf=$2 new=$3 new_conf=$4
if [ -e "$old" ]; then
    [ ! -e "$new" ] || exit {_TAKEN}
    [ ! -e "$old/run.lock" ] || exit {_LOCKED}
    /bin/mkdir -p "${{new%/*}}" && /bin/mv "$old" "$new" || exit 71
fi
[ -d "$new" ] || exit {_ABSENT}
if [ "$conf" != "$new_conf" ] && [ -e "$new/$conf" ]; then
    [ ! -e "$new/$new_conf" ] || exit {_TAKEN}
    /bin/mv "$new/$conf" "$new/$new_conf" || exit 71
fi
case $old in */.trash/*) /bin/rmdir "${{old%/*}}" 2>/dev/null ;; esac
exit 0
"""

_REMOVE = """# remove a guest's directory
/bin/rm -R -f "$1" && { /bin/rmdir "${1%/*}" 2>/dev/null || :; }
"""


@dataclass(frozen=True, slots=True)
class GuestDirectory:
    """A guest's directory, and what its configuration in there is called."""

    path: str
    guest: str

    @property
    def conf_name(self) -> str:
        return f"{self.guest}.conf"

    @property
    def conf(self) -> str:
        return f"{self.path}/{self.conf_name}"


@dataclass(frozen=True, slots=True)
class DirectoryMoved:
    """The guest's directory stands elsewhere, with all that is in it, and its configuration has its name there."""

    host: Host
    old: GuestDirectory
    new: GuestDirectory
    guest: UUID
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"configuration {self.new.conf}"

    def holds(self) -> bool:
        """ConflictError, too, when what is to be moved is another guest's: vm-bhyve may have made one of that name."""
        if not self._is_there(self.new.conf):
            if not self._is_ours(self.old.conf):
                raise ConflictError(
                    f"configuration {self.old.conf}: has another uuid than the guest on the nas",
                    hint="move it out of the way, or correct its uuid",
                )
            return False
        if not self._is_ours(self.new.conf):
            raise AlreadyExistsError(f"{self.title}: is there already", hint="it is another guest's")
        return True

    def make(self) -> None:
        self._move(self.old, self.new)

    def undo(self) -> None:
        for conf in (self.new.conf, f"{self.new.path}/{self.old.conf_name}"):
            if self._is_there(conf) and self._is_ours(conf):
                self._move(self.new, self.old)
                return

    def _move(self, here: GuestDirectory, there: GuestDirectory) -> None:
        words = (here.path, here.conf_name, there.path, there.conf_name)
        status = self.host.script(_MOVE, *words, ok=(0, _ABSENT, _TAKEN, _LOCKED)).status
        if status == _LOCKED:
            raise BusyError(f"{here.path}: locked by somebody who started the guest meanwhile", hint="stop it first")
        if status == _TAKEN:
            raise ConflictError(f"{there.path}: is there already on {self.host.name}", hint="it was left alone")
        if status == _ABSENT:
            raise NotFoundError(f"{here.path}: not on {self.host.name}", hint="is the config path mounted there?")

    def _is_there(self, conf: str) -> bool:
        return self.host.read_file(conf) is not None

    def _is_ours(self, conf: str) -> bool:
        return _is_of(self.guest, self.host.read_file(conf))


@dataclass(frozen=True, slots=True)
class DirectoryGone:
    """A directory in the trash is no more; one whose configuration is another guest's stays."""

    host: Host
    directory: GuestDirectory
    guest: UUID
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"no configuration {self.directory.path}"

    def holds(self) -> bool:
        there = self.host.list_directory(self.directory.path)
        return not there or not _is_of(self.guest, self.host.read_file(self.directory.conf))

    def make(self) -> None:
        self.host.script(_REMOVE, self.directory.path)

    def undo(self) -> None:
        """What was written in it does not come back; plans put this step past the point of no return."""


def _is_of(guest: UUID, conf: bytes | None) -> bool:
    """Whether this configuration names no other guest's uuid."""
    uuid = ConfText((conf or b"").decode(errors="replace")).get("uuid")
    return uuid is None or uuid.lower() == str(guest)
