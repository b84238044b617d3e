"""The pool of the nas in memory: datasets, volumes, snapshots and clones by the rules of ZFS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from pyvmiscsi.errors import (
    AlreadyExistsError,
    BusyError,
    ConflictError,
    NasRefusedError,
    NasSpaceError,
    NotFoundError,
    UnsupportedError,
)
from pyvmiscsi.model import Dataset, Snapshot, Volume
from pyvmiscsi.names import DatasetPath, SnapshotName
from pyvmiscsi.units import KIB, Size
from tests.fakes.calls import Watch, Watched

PARENT = DatasetPath.parse("tank/vm")
_BLOCK = Size(16 * KIB.bytes)


@dataclass
class Kept:
    """A snapshot as the nas keeps it: with what was on the volume, how large it was, and who holds it."""

    snapshot: Snapshot
    content: bytes
    size: Size | None
    holds: list[str] = field(default_factory=list)


class FakeZfs(Watched):
    """One pool, `tank`, and in it `tank/vm`.

    Marks are inherited by what lies below and by snapshots, as ZFS does, and shown without their source. `contents` is
    what is on each volume: any bytes will do.
    """

    def __init__(self, *, watch: Watch, pool_size: Size | None, renames_datasets: bool) -> None:
        super().__init__(watch)
        self.renames_datasets = renames_datasets
        self.marks_clones = True
        """Whether a clone is marked by the call that makes it; on TrueNAS 26 it is by a second one."""
        self.contents: dict[DatasetPath, bytes] = {}
        self.kept: list[Kept] = []
        """All snapshots, in the order in which they were taken."""
        self._pool_size = pool_size or Size.parse("100G")
        self._datasets = {path: Dataset(path) for path in (DatasetPath("tank"), PARENT)}
        self._volumes: dict[DatasetPath, Volume] = {}

    def is_exported(self, path: DatasetPath) -> bool:
        """Whether an extent offers this volume."""
        raise NotImplementedError

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
            compression = volume.compression or "lz4"
            made = replace(volume, block_size=block, marks=dict(volume.marks), used=Size(0), compression=compression)
            self._volumes[volume.path] = made
            self.contents[volume.path] = b""
            return replace(made, marks=self._marks_of(volume.path))

    def _available(self) -> int:
        return self._pool_size.bytes - sum(volume.size.bytes for volume in self._volumes.values() if volume.thick)

    def delete_volume(self, path: DatasetPath) -> None:
        with self._call("delete_volume", path):
            if self.is_exported(path):
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

    def snapshot_keepers(self, paths: Iterable[DatasetPath]) -> Mapping[str, tuple[str, ...]]:
        asked = tuple(paths)
        with self._call("snapshot_keepers", asked):
            found = {
                str(kept.snapshot): (
                    *(
                        f"clone {path}"
                        for path, one in sorted(self._volumes.items())
                        if one.origin == str(kept.snapshot)
                    ),
                    *(f"hold {tag}" for tag in sorted(kept.holds)),
                )
                for kept in self.kept
                if kept.snapshot.path in asked
            }
            return {name: keepers for name, keepers in found.items() if keepers}

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
            first = dict(marks) if self.marks_clones else {}
            self._volumes[to] = Volume(
                to, kept.size, block_size=block, marks=first, used=Size(0), origin=str(kept.snapshot)
            )
            self.contents[to] = kept.content
        if not self.marks_clones:
            self.change_marks(to, marks)
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
