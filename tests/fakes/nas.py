"""A nas in memory that keeps the laws of `pyvmiscsi.ports.Nas`, and can be made to fail at any call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal

from pyvmiscsi.errors import (
    AlreadyExistsError,
    BusyError,
    ConflictError,
    NasRefusedError,
    NasSpaceError,
    NasUnansweredError,
    NotFoundError,
    UnsupportedError,
)
from pyvmiscsi.model import (
    Credential,
    Dataset,
    Extent,
    Inventory,
    NasCapabilities,
    NasSession,
    Snapshot,
    Target,
    Volume,
)
from pyvmiscsi.model import Mapping as LunMapping
from pyvmiscsi.names import DatasetPath, Iqn, SnapshotName
from pyvmiscsi.units import KIB, Size

BASENAME = Iqn.parse("iqn.2005-10.org.freenas.ctl")
PARENT = DatasetPath.parse("tank/vm")
_BLOCK = Size(16 * KIB.bytes)

_WRITES = ("create_", "delete_", "change_", "grow_", "rollback", "clone", "promote", "rename_")

When = Literal["before", "after"]


@dataclass(frozen=True)
class Call:
    """One call that reached the nas: `before` it had its effect, or `after`."""

    method: str
    arguments: tuple[object, ...]
    when: When

    @property
    def writes(self) -> bool:
        return self.method.startswith(_WRITES)


@dataclass
class Kept:
    """A snapshot as the nas keeps it: with what was on the volume, how large it was, and who holds it."""

    snapshot: Snapshot
    content: bytes
    size: Size | None
    holds: list[str] = field(default_factory=list)


Watch = Callable[[Call], None]


def nothing(_: Call) -> None:
    """Watch without doing anything."""


def lose_answer(method: str) -> Watch:
    """A watch under which the first call of `method` has its effect, but its answer is lost."""
    left = [method]

    def watch(call: Call) -> None:
        if call.when == "after" and call.method in left:
            left.clear()
            raise NasUnansweredError(f"{method}: the connection was lost before the answer came")

    return watch


class FakeNas:
    """An appliance with one pool, `tank`, and in it `tank/vm`.

    Every call is told to `watch` before and after its effect; what `watch` raises reaches the caller. `calls` lists
    the calls made. Marks are inherited by what lies below, as ZFS does, and shown without their source.
    `sessions_now` is whatever the test puts there, and `contents` what is on each volume: any bytes will do.
    """

    def __init__(self, *, watch: Watch = nothing, pool_size: Size | None = None, renames_datasets: bool = True) -> None:
        self.watch = watch
        self.renames_datasets = renames_datasets
        self.calls: list[Call] = []
        self.sessions_now: list[NasSession] = []
        self.contents: dict[DatasetPath, bytes] = {}
        self.kept: list[Kept] = []
        """All snapshots, in the order in which they were taken."""
        self._pool_size = pool_size or Size.parse("100G")
        self._datasets = {path: Dataset(path) for path in (DatasetPath("tank"), PARENT)}
        self._volumes: dict[DatasetPath, Volume] = {}
        self._extents: dict[str, Extent] = {}
        self._targets: dict[Iqn, Target] = {}
        self._mappings: dict[tuple[Iqn, str], LunMapping] = {}
        self._credentials: dict[tuple[int, str], Credential] = {}
        self._lock = threading.RLock()

    def state(self) -> dict[str, tuple[object, ...]]:
        """Everything there is, in one order, for comparing two moments or two appliances."""
        return {
            "datasets": tuple(self._datasets[path] for path in sorted(self._datasets)),
            "volumes": tuple(self._volumes[path] for path in sorted(self._volumes)),
            "extents": tuple(self._extents[name] for name in sorted(self._extents)),
            "targets": tuple(self._targets[iqn] for iqn in sorted(self._targets)),
            "mappings": tuple(self._mappings[key] for key in sorted(self._mappings)),
            "credentials": tuple(self._credentials[key] for key in sorted(self._credentials)),
            "snapshots": tuple(str(kept.snapshot) for kept in sorted(self.kept, key=lambda kept: str(kept.snapshot))),
        }

    def count(self, *, writes: bool) -> int:
        """How many writes (or reads) were made."""
        return sum(call.when == "before" and call.writes == writes for call in self.calls)

    @contextmanager
    def _call(self, method: str, *arguments: object) -> Iterator[None]:
        self._tell(Call(method, arguments, "before"))
        with self._lock:
            yield
        self._tell(Call(method, arguments, "after"))

    def _tell(self, call: Call) -> None:
        self.calls.append(call)
        self.watch(call)

    # about the appliance

    def capabilities(self) -> NasCapabilities:
        return NasCapabilities(
            "fake", "memory", marks=True, delete_target_with_extents=True, rename_dataset=self.renames_datasets
        )

    def basename(self) -> Iqn:
        with self._call("basename"):
            return BASENAME

    # datasets and volumes

    def _marks_of(self, path: DatasetPath) -> dict[str, str]:
        inherited = self._marks_of(path.parent) if path.parent else {}
        thing = self._datasets.get(path) or self._volumes.get(path)
        return {**inherited, **(thing.marks if thing else {})}

    def _refuse_taken(self, path: DatasetPath) -> None:
        if path in self._datasets or path in self._volumes:
            raise AlreadyExistsError(f"dataset {path}: already exists")
        if path.parent not in self._datasets:
            raise NasRefusedError(f"dataset {path}: parent does not exist")

    def find_dataset(self, path: DatasetPath) -> Dataset | None:
        with self._call("find_dataset", path):
            return Dataset(path, self._marks_of(path)) if path in self._datasets else None

    def create_dataset(self, path: DatasetPath, marks: Mapping[str, str]) -> Dataset:
        with self._call("create_dataset", path, marks):
            self._refuse_taken(path)
            self._datasets[path] = Dataset(path, dict(marks))
            return Dataset(path, self._marks_of(path))

    def delete_dataset(self, path: DatasetPath) -> None:
        with self._call("delete_dataset", path):
            if any(other.is_below(path) for other in (*self._datasets, *self._volumes)):
                raise BusyError(f"dataset {path}: has children")
            self._refuse_with_snapshots(path)
            self._datasets.pop(path, None)

    def _refuse_with_snapshots(self, path: DatasetPath) -> None:
        if self._kept_of(path):
            raise BusyError(f"dataset {path}: has snapshots")

    def find_volume(self, path: DatasetPath) -> Volume | None:
        with self._call("find_volume", path):
            volume = self._volumes.get(path)
            return replace(volume, marks=self._marks_of(path)) if volume else None

    def create_volume(self, volume: Volume) -> Volume:
        with self._call("create_volume", volume):
            self._refuse_taken(volume.path)
            block = volume.block_size or _BLOCK
            if not volume.size.is_multiple_of(block):
                raise NasRefusedError(f"volume {volume.path}: size {volume.size} is not a multiple of {block}")
            if volume.thick and volume.size.bytes > self._available() * 8 // 10:
                raise NasSpaceError(f"volume {volume.path}: more than 80% of the available space")
            made = replace(volume, block_size=block, marks=dict(volume.marks), used=Size(0))
            self._volumes[volume.path] = made
            self.contents[volume.path] = b""
            return replace(made, marks=self._marks_of(volume.path))

    def _available(self) -> int:
        return self._pool_size.bytes - sum(volume.size.bytes for volume in self._volumes.values() if volume.thick)

    def delete_volume(self, path: DatasetPath) -> None:
        with self._call("delete_volume", path):
            if any(extent.volume == path for extent in self._extents.values()):
                raise BusyError(f"volume {path}: an extent uses it")
            self._refuse_with_snapshots(path)
            self._volumes.pop(path, None)
            self.contents.pop(path, None)

    def change_marks(self, path: DatasetPath, changes: Mapping[str, str | None]) -> None:
        with self._call("change_marks", path, changes):
            thing = self._datasets.get(path) or self._volumes.get(path)
            if thing is None:
                raise NotFoundError(f"dataset {path}: does not exist")
            changed = {**thing.marks, **changes}
            marks = {key: value for key, value in changed.items() if value is not None}
            if isinstance(thing, Dataset):
                self._datasets[path] = replace(thing, marks=marks)
            else:
                self._volumes[path] = replace(thing, marks=marks)

    def grow_volume(self, path: DatasetPath, size: Size) -> Volume:
        with self._call("grow_volume", path, size):
            volume = self._volumes.get(path)
            if volume is None:
                raise NotFoundError(f"volume {path}: does not exist")
            if size.bytes < volume.size.bytes:
                raise ConflictError(f"volume {path}: it cannot be made smaller")
            if not size.is_multiple_of(volume.block_size or _BLOCK):
                raise NasRefusedError(f"volume {path}: size {size} is not a multiple of its block")
            if volume.thick and size.bytes > (self._available() + volume.size.bytes) * 8 // 10:
                raise NasSpaceError(f"volume {path}: more than 80% of the available space")
            self._volumes[path] = replace(volume, size=size)
            return replace(self._volumes[path], marks=self._marks_of(path))

    # snapshots

    def _kept_of(self, path: DatasetPath) -> list[Kept]:
        return [kept for kept in self.kept if kept.snapshot.path == path]

    def kept_as(self, full: str) -> Kept | None:
        """The snapshot of this full name, `tank/vm/web1@monday`."""
        return next((kept for kept in self.kept if str(kept.snapshot) == full), None)

    def _shown(self, kept: Kept) -> Snapshot:
        handed_down = self._marks_of(kept.snapshot.path)
        return replace(kept.snapshot, marks={**handed_down, **kept.snapshot.marks})

    def _at_or_below(self, path: DatasetPath, *, recursive: bool) -> list[DatasetPath]:
        every = (*self._datasets, *self._volumes)
        return [other for other in every if other == path or (recursive and other.is_below(path))]

    def snapshots(self, path: DatasetPath) -> tuple[Snapshot, ...]:
        with self._call("snapshots", path):
            return tuple(self._shown(kept) for kept in self._kept_of(path))

    def find_snapshot(self, path: DatasetPath, name: SnapshotName) -> Snapshot | None:
        with self._call("find_snapshot", path, name):
            kept = self.kept_as(f"{path}@{name}")
            return self._shown(kept) if kept else None

    def create_snapshot(
        self, path: DatasetPath, name: SnapshotName, *, marks: Mapping[str, str] | None = None, recursive: bool = False
    ) -> Snapshot:
        with self._call("create_snapshot", path, name, marks, recursive):
            if path not in self._datasets and path not in self._volumes:
                raise NotFoundError(f"dataset {path}: does not exist")
            chosen = self._at_or_below(path, recursive=recursive)
            if any(self.kept_as(f"{one}@{name}") for one in chosen):
                raise AlreadyExistsError(f"snapshot {path}@{name}: already exists")
            now = datetime.now(UTC).replace(microsecond=0)
            for one in chosen:
                volume = self._volumes.get(one)
                snapshot = Snapshot(one, name, now, dict(marks or {}))
                self.kept.append(Kept(snapshot, self.contents.get(one, b""), volume.size if volume else None))
            return self._shown(next(kept for kept in self.kept if str(kept.snapshot) == f"{path}@{name}"))

    def delete_snapshot(self, path: DatasetPath, name: SnapshotName, *, recursive: bool = False) -> None:
        with self._call("delete_snapshot", path, name, recursive):
            if self.kept_as(f"{path}@{name}") is None:
                return
            names = {f"{one}@{name}" for one in self._at_or_below(path, recursive=recursive)}
            doomed = [kept for kept in self.kept if str(kept.snapshot) in names]
            keepers = [f"clone {path}" for path in sorted(self._volumes) if self._volumes[path].origin in names]
            keepers += [f"hold {tag}" for kept in doomed for tag in kept.holds]
            if keepers:
                raise BusyError(f"snapshot {path}@{name}: kept by {', '.join(keepers)}")
            self.kept = [kept for kept in self.kept if kept not in doomed]

    def rollback(self, path: DatasetPath, name: SnapshotName) -> None:
        with self._call("rollback", path, name):
            kept = self.kept_as(f"{path}@{name}")
            if kept is None:
                raise NotFoundError(f"snapshot {path}@{name}: does not exist")
            siblings = self._kept_of(path)
            newer = [str(other.snapshot.name) for other in siblings[siblings.index(kept) + 1 :]]
            if newer:
                raise ConflictError(f"snapshot {path}@{name}: there are newer ones, {', '.join(newer)}")
            if kept.size is not None:
                self._volumes[path] = replace(self._volumes[path], size=kept.size)
                self.contents[path] = kept.content

    def clone(self, path: DatasetPath, name: SnapshotName, to: DatasetPath, marks: Mapping[str, str]) -> Volume:
        with self._call("clone", path, name, to, marks):
            kept = self.kept_as(f"{path}@{name}")
            if kept is None or kept.size is None:
                raise NotFoundError(f"snapshot {path}@{name}: does not exist")
            self._refuse_taken(to)
            block = self._volumes[path].block_size
            self._volumes[to] = Volume(
                to, kept.size, block_size=block, marks=dict(marks), used=Size(0), origin=str(kept.snapshot)
            )
            self.contents[to] = kept.content
            return replace(self._volumes[to], marks=self._marks_of(to))

    def promote(self, path: DatasetPath) -> None:
        with self._call("promote", path):
            clone = self._volumes.get(path)
            if clone is None:
                raise NotFoundError(f"volume {path}: does not exist")
            origin = self.kept_as(clone.origin) if clone.origin else None
            if origin is None:
                raise ConflictError(f"volume {path}: not a clone")
            source = origin.snapshot.path
            older = self._kept_of(source)
            moving = older[: older.index(origin) + 1]
            if {kept.snapshot.name for kept in moving} & {kept.snapshot.name for kept in self._kept_of(path)}:
                raise ConflictError(f"volume {path}: it has a snapshot of the same name as its origin's")
            self._volumes[path] = replace(clone, origin=self._volumes[source].origin)
            self._volumes[source] = replace(self._volumes[source], origin=str(origin.snapshot))
            for kept in moving:
                self._move_snapshot(kept, path)

    def _move_snapshot(self, kept: Kept, to: DatasetPath) -> None:
        """Give a snapshot to another dataset; the clones that came of it follow."""
        before = str(kept.snapshot)
        kept.snapshot = replace(kept.snapshot, path=to)
        for path, volume in self._volumes.items():
            if volume.origin == before:
                self._volumes[path] = replace(volume, origin=str(kept.snapshot))

    # another name

    def rename_dataset(self, old: DatasetPath, new: DatasetPath) -> None:
        with self._call("rename_dataset", old, new):
            if not self.renames_datasets:
                raise UnsupportedError(f"dataset {old}: this nas cannot rename it")
            if old not in self._datasets and old not in self._volumes:
                raise NotFoundError(f"dataset {old}: does not exist")
            self._refuse_taken(new)
            for one in self._at_or_below(old, recursive=True):
                moved = DatasetPath(new.text + one.text.removeprefix(old.text))
                if one in self._datasets:
                    self._datasets[moved] = replace(self._datasets.pop(one), path=moved)
                else:
                    self._volumes[moved] = replace(self._volumes.pop(one), path=moved)
                    self.contents[moved] = self.contents.pop(one)
                for kept in self._kept_of(one):
                    self._move_snapshot(kept, moved)

    # exports

    def find_extent(self, name: str) -> Extent | None:
        with self._call("find_extent", name):
            return self._extents.get(name)

    def extents_of(self, volume: DatasetPath) -> tuple[Extent, ...]:
        with self._call("extents_of", volume):
            return tuple(extent for extent in self._extents.values() if extent.volume == volume)

    def create_extent(self, extent: Extent) -> Extent:
        with self._call("create_extent", extent):
            if extent.name in self._extents:
                raise AlreadyExistsError(f"extent {extent.name}: already exists")
            if extent.volume not in self._volumes:
                raise NasRefusedError(f"extent {extent.name}: volume {extent.volume} does not exist")
            for other in self._extents.values():
                if other.volume == extent.volume or other.serial == extent.serial:
                    raise ConflictError(f"extent {extent.name}: {other.name} has the same volume or serial")
            self._extents[extent.name] = replace(extent, naa=f"0x6589cfc000000{len(self.calls):019x}")
            return self._extents[extent.name]

    def change_extent(
        self, name: str, *, volume: DatasetPath | None = None, new_name: str | None = None, comment: str | None = None
    ) -> Extent:
        with self._call("change_extent", name, volume, new_name, comment):
            before = self._extents.get(name)
            if before is None:
                raise NotFoundError(f"extent {name}: does not exist")
            after = replace(
                before,
                name=new_name or name,
                volume=volume or before.volume,
                comment=before.comment if comment is None else comment,
            )
            others = [extent for extent in self._extents.values() if extent != before]
            if any(other.name == after.name for other in others):
                raise AlreadyExistsError(f"extent {after.name}: already exists")
            if any(other.volume == after.volume for other in others):
                raise ConflictError(f"extent {name}: another offers volume {after.volume}")
            if after.volume not in self._volumes:
                raise NasRefusedError(f"extent {name}: volume {after.volume} does not exist")
            del self._extents[name]
            self._extents[after.name] = after
            for mapping in [mapping for mapping in self._mappings.values() if mapping.extent == name]:
                del self._mappings[mapping.target, name]
                self._mappings[mapping.target, after.name] = replace(mapping, extent=after.name)
            return after

    def delete_extent(self, name: str) -> None:
        with self._call("delete_extent", name):
            mapped = [key for key in self._mappings if key[1] == name]
            for target, _ in mapped:
                self._refuse_in_use(target)
            for key in mapped:
                del self._mappings[key]
            self._extents.pop(name, None)

    def _refuse_in_use(self, target: Iqn) -> None:
        if any(session.target == target for session in self.sessions_now):
            raise BusyError(f"target {target}: is in use")

    def find_target(self, iqn: Iqn) -> Target | None:
        with self._call("find_target", iqn):
            return self._targets.get(iqn)

    def create_target(self, target: Target) -> Target:
        with self._call("create_target", target):
            if target.iqn in self._targets:
                raise AlreadyExistsError(f"target {target.iqn}: already exists")
            self._targets[target.iqn] = target
            return target

    def rename_target(self, old: Iqn, new: Iqn) -> Target:
        with self._call("rename_target", old, new):
            if old not in self._targets:
                raise NotFoundError(f"target {old}: does not exist")
            if new in self._targets and new != old:
                raise AlreadyExistsError(f"target {new}: already exists")
            self._targets[new] = replace(self._targets.pop(old), iqn=new)
            for mapping in [mapping for mapping in self._mappings.values() if mapping.target == old]:
                del self._mappings[old, mapping.extent]
                self._mappings[new, mapping.extent] = replace(mapping, target=new)
            return self._targets[new]

    def delete_target(self, iqn: Iqn) -> None:
        with self._call("delete_target", iqn):
            self._refuse_in_use(iqn)
            for key in [key for key in self._mappings if key[0] == iqn]:
                del self._mappings[key]
            self._targets.pop(iqn, None)

    def find_mapping(self, target: Iqn, extent: str) -> LunMapping | None:
        with self._call("find_mapping", target, extent):
            return self._mappings.get((target, extent))

    def create_mapping(self, mapping: LunMapping) -> LunMapping:
        with self._call("create_mapping", mapping):
            if mapping.target not in self._targets:
                raise NotFoundError(f"target {mapping.target}: does not exist")
            if mapping.extent not in self._extents:
                raise NotFoundError(f"extent {mapping.extent}: does not exist")
            for other in self._mappings.values():
                if other.extent == mapping.extent or (other.target, other.lun) == (mapping.target, mapping.lun):
                    raise AlreadyExistsError(f"extent {mapping.extent}: it or its LUN is already in use")
            self._mappings[mapping.target, mapping.extent] = mapping
            return mapping

    def delete_mapping(self, target: Iqn, extent: str) -> None:
        with self._call("delete_mapping", target, extent):
            self._refuse_in_use(target)
            self._mappings.pop((target, extent), None)

    def find_credentials(self, *, tag: int) -> tuple[Credential, ...]:
        with self._call("find_credentials", tag):
            return tuple(account for account in self._credentials.values() if account.tag == tag)

    def create_credential(self, credential: Credential) -> Credential:
        with self._call("create_credential", credential):
            key = (credential.tag, credential.user)
            if key in self._credentials:
                raise AlreadyExistsError(f"credential {credential.user}: already exists under tag {credential.tag}")
            if not 12 <= len(credential.secret.reveal()) <= 16:
                raise NasRefusedError(f"credential {credential.user}: the secret must have 12 to 16 characters")
            self._credentials[key] = credential
            return credential

    def delete_credential(self, *, tag: int, user: str) -> None:
        with self._call("delete_credential", tag, user):
            last = all(account.user == user for account in self._credentials.values() if account.tag == tag)
            if last and any(target.chap_tag == tag for target in self._targets.values()):
                raise BusyError(f"credential {user}: a target uses tag {tag}")
            self._credentials.pop((tag, user), None)

    def sessions(self, targets: Iterable[Iqn] | None = None) -> tuple[NasSession, ...]:
        wanted = None if targets is None else frozenset(targets)
        with self._call("sessions", wanted):
            return tuple(session for session in self.sessions_now if wanted is None or session.target in wanted)

    # the whole

    def inventory(self, parent: DatasetPath) -> Inventory:
        with self._call("inventory", parent):
            extents = tuple(extent for extent in self._extents.values() if extent.volume.is_below(parent))
            names = {extent.name for extent in extents}
            mappings = tuple(mapping for mapping in self._mappings.values() if mapping.extent in names)
            ours = {mapping.target for mapping in mappings}
            mapped = {mapping.target for mapping in self._mappings.values()}
            targets = tuple(t for t in self._targets.values() if t.iqn in ours or t.iqn not in mapped)
            shown = {target.iqn for target in targets}
            return Inventory(
                datasets=tuple(Dataset(p, self._marks_of(p)) for p in sorted(self._datasets) if p.is_below(parent)),
                volumes=tuple(
                    replace(self._volumes[p], marks=self._marks_of(p))
                    for p in sorted(self._volumes)
                    if p.is_below(parent)
                ),
                extents=extents,
                targets=targets,
                mappings=mappings,
                sessions=tuple(session for session in self.sessions_now if session.target in shown),
            )

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class FakeNasBench:
    """What a test does to the nas in memory beside its port."""

    nas: FakeNas

    def write(self, volume: DatasetPath, data: bytes) -> None:
        self.nas.contents[volume] = data

    def read(self, volume: DatasetPath) -> bytes:
        return self.nas.contents[volume]

    def hold(self, snapshot: str) -> None:
        self._kept(snapshot).holds.append("truenas")

    def release(self, snapshot: str) -> None:
        self._kept(snapshot).holds.clear()

    def _kept(self, snapshot: str) -> Kept:
        kept = self.nas.kept_as(snapshot)
        assert kept is not None, snapshot
        return kept
