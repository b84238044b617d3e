"""Facts about the CD that a guest's cloud-init reads: `seed.iso` in its directory, and its sources in `.cloud-init`.

vm-bhyve has both in the same places, and makes the CD of the sources when it is missing. All of it may be secret: mode
0600, and what an operation remembers of it are names and digests.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar

from pyvmiscsi.bhyve.installation import cloud_init
from pyvmiscsi.bhyve.installation.cloud_init import (
    FILES,
    HOSTNAME,
    INSTANCE,
    KEYS,
    META_DATA,
    NETWORK_CONFIG,
    USER_DATA,
)
from pyvmiscsi.bhyve.installation.seed import build_seed, read_seed
from pyvmiscsi.errors import BusyError, ConflictError, InputError, NotFoundError
from pyvmiscsi.ports import Host
from pyvmiscsi.steps.first_boot import CloudInit, sha256_of

SEED = "seed.iso"
_PRIVATE = 0o600


@dataclass(frozen=True, slots=True)
class Seed:
    """The CD of one guest, and its sources."""

    host: Host
    directory: str
    """The guest's own."""

    @property
    def path(self) -> str:
        return f"{self.directory}/{SEED}"

    def files(self) -> dict[str, bytes] | None:
        """What is on the CD; None without one."""
        image = self.host.read_file(self.path)
        return None if image is None else read_seed(image, f"{self.path} on {self.host.name}")

    def content(self) -> dict[str, bytes]:
        """What is on the CD; without one, what it is to be made of, as vm-bhyve does at the next start."""
        files = self.files()
        if files is not None:
            return files
        read = {name: self.host.read_file(f"{self._source_directory}/{name}") for name in FILES}
        return {name: data for name, data in read.items() if data is not None}

    def tells_name(self) -> bool:
        """Whether there is one, or is to be, and it is cloud-init's: others call a file so, too."""
        try:
            return bool(cloud_init.read_meta_data(self.content().get(META_DATA, b"").decode(errors="replace")))
        except (ConflictError, InputError):
            return False

    def write(self, files: Mapping[str, bytes]) -> None:
        """The sources first: what is on the CD is always among them."""
        self.host.make_directory(self._source_directory)
        for name in FILES:
            if name in files:
                self.host.write_file(f"{self._source_directory}/{name}", files[name], mode=_PRIVATE)
            else:
                self.host.remove_file(f"{self._source_directory}/{name}")
        self.host.write_file(self.path, build_seed(files), mode=_PRIVATE)

    def remove(self) -> None:
        """CD first; a directory with other things in it stays."""
        self.host.remove_file(self.path)
        for name in FILES:
            self.host.remove_file(f"{self._source_directory}/{name}")
        with suppress(BusyError):
            self.host.remove_directory(self._source_directory)

    @property
    def _source_directory(self) -> str:
        return f"{self.directory}/.cloud-init"


@dataclass(frozen=True, slots=True)
class SeedWritten:
    """A new guest's CD has what it was given. Its instance is the guest's uuid."""

    seed: Seed
    instance: str
    guest: str
    given: CloudInit
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"cloud-init data {self.seed.path}"

    def holds(self) -> bool:
        """Told by digests: whoever goes on with the operation elsewhere has not got the files it was begun with."""
        found = self.seed.files()
        if found is None:
            return False
        wanted = self.given.digests(self.instance, self.guest)
        if {name: sha256_of(data) for name, data in found.items()} != wanted:
            raise _in_the_way(self.seed)
        return True

    def make(self) -> None:
        self.seed.write(self.given.files(self.instance, self.guest))

    def undo(self) -> None:
        _remove_own(self.seed, self.instance)


@dataclass(frozen=True, slots=True)
class SeedCopied:
    """A copy's CD has what its source's has, under its own instance, host name and addresses of networks."""

    source: Seed
    seed: Seed
    instance: str
    names: tuple[str, str]
    """The source's name, and the copy's."""
    macs: Mapping[str, str] = field(default_factory=dict)
    """The copy's address of a network by the source's."""
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"cloud-init data {self.seed.path} as {self.source.path}"

    def holds(self) -> bool:
        found = self.seed.files()
        if found is not None and _instance_of(found) != self.instance:
            raise _in_the_way(self.seed)
        return found is not None

    def make(self) -> None:
        files = self.source.content()
        if META_DATA not in files:
            raise NotFoundError(f"{self.source.path}: not on {self.source.host.name}")
        self.seed.write(_named(_with_macs(files, self.macs), *self.names, instance=self.instance))

    def undo(self) -> None:
        _remove_own(self.seed, self.instance)


@dataclass(frozen=True, slots=True)
class SeedNamed:
    """The CD of a guest that was renamed tells its new host name; the instance is the same."""

    seed: Seed
    old: str
    new: str
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"cloud-init data {self.seed.path} for {self.new}"

    def holds(self) -> bool:
        files = self.seed.files()
        return files is not None and files == _named(files, self.old, self.new)

    def make(self) -> None:
        self._name(self.old, self.new)

    def undo(self) -> None:
        self._name(self.new, self.old)

    def _name(self, before: str, after: str) -> None:
        files = self.seed.content()
        if files:
            self.seed.write(_named(files, before, after))


@dataclass(frozen=True, slots=True)
class SeedChanged:
    """A guest's CD has what it is given now, and of the rest what it had; `instance` makes it another instance."""

    seed: Seed
    guest: str
    given: CloudInit
    uuid: str
    instance: str | None = None
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"cloud-init data {self.seed.path}"

    def holds(self) -> bool:
        return self.seed.files() == self._wanted()

    def make(self) -> None:
        self.seed.write(self._wanted())

    def undo(self) -> None:
        """What it had before is nowhere else."""

    def _wanted(self) -> dict[str, bytes]:
        had, given = self.seed.content(), self.given.files(self.uuid, self.guest)
        if META_DATA not in had or USER_DATA not in had:
            return given  # cloud-init takes no CD that lacks one of them: such sources are those of a write cut short
        changes: dict[str, object] = {INSTANCE: self.instance} if self.instance else {}
        changes |= {HOSTNAME: self.given.hostname} if self.given.hostname else {}
        changes |= {KEYS: list(self.given.keys)} if self.given.keys else {}
        meta_data = had[META_DATA].decode(errors="replace")
        if self.given.user_data is None and not self._has_usual(had, meta_data):
            given.pop(USER_DATA)
        given[META_DATA] = cloud_init.changed_meta_data(meta_data, changes).encode()
        return had | given

    def _has_usual(self, had: Mapping[str, bytes], meta_data: str) -> bool:
        """Whether its user data are what a guest gets that is given none; then they follow its keys, if it has new."""
        keys = cloud_init.read_meta_data(meta_data).get(KEYS) or []
        return bool(self.given.keys) and had.get(USER_DATA) == cloud_init.usual_user_data(keys).encode()


def _in_the_way(seed: Seed) -> ConflictError:
    return ConflictError(
        f"{seed.path}: is there already on {seed.host.name}, with other data", hint="it was left alone"
    )


def _named(files: Mapping[str, bytes], old: str, new: str, *, instance: str | None = None) -> dict[str, bytes]:
    """With the new name where the old one stands alone or before a domain; another host name stays."""
    text = files.get(META_DATA, b"").decode(errors="replace")
    found = str(cloud_init.read_meta_data(text).get(HOSTNAME, old))
    first, dot, domain = found.partition(".")
    changes = {HOSTNAME: f"{new}{dot}{domain}" if first == old else found} | ({INSTANCE: instance} if instance else {})
    return {**files, META_DATA: cloud_init.changed_meta_data(text, changes).encode()}


def _with_macs(files: Mapping[str, bytes], macs: Mapping[str, str]) -> dict[str, bytes]:
    config = files.get(NETWORK_CONFIG)
    if config is None:
        return dict(files)
    for old, new in macs.items():
        config = config.replace(old.encode(), new.encode())
    return {**files, NETWORK_CONFIG: config}


def _remove_own(seed: Seed, instance: str) -> None:
    """Nothing of a guest that took the place meanwhile."""
    found = seed.content()
    if not found or _instance_of(found) == instance:
        seed.remove()


def _instance_of(files: Mapping[str, bytes]) -> str | None:
    found = cloud_init.read_meta_data(files.get(META_DATA, b"").decode(errors="replace")).get(INSTANCE)
    return None if found is None else str(found)
