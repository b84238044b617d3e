"""ZFS as far as block volumes need it: datasets, inherited properties, space, snapshots, clones, on sparse files.

A volume is a sparse file named after its guid, so that renaming and promoting move no data and a target keeps its
open file. A snapshot is a second file: a reflink where the file system has them, a sparse copy elsewhere.
Errors carry ZFS's errno and text; who calls decides how the API words them.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pyvmiscsi.lab.appliance.copying import copy_sparse
from pyvmiscsi.lab.appliance.state import Dataset, Snapshot, State

_FILESYSTEM_OVERHEAD = 98304
"""What an empty filesystem uses: 96 KiB, as zfs list shows it."""

DESCRIPTION = "org.freenas:description"
"""The user property behind the API's `comments`."""

NATIVE_DEFAULTS: Mapping[str, str] = {
    "aclinherit": "passthrough",
    "aclmode": "discard",
    "acltype": "posix",
    "atime": "on",
    "canmount": "on",
    "casesensitivity": "sensitive",
    "checksum": "on",
    "compression": "on",
    "copies": "1",
    "dedup": "off",
    "devices": "on",
    "exec": "on",
    "logbias": "latency",
    "mlslabel": "none",
    "primarycache": "all",
    "quota": "0",
    "readonly": "off",
    "recordsize": "131072",
    "redundant_metadata": "all",
    "refquota": "0",
    "refreservation": "0",
    "reservation": "0",
    "secondarycache": "all",
    "setuid": "on",
    "snapdev": "hidden",
    "snapdir": "hidden",
    "special_small_blocks": "0",
    "sync": "standard",
    "volmode": "default",
    "volthreading": "on",
    "xattr": "sa",
}
_NOT_INHERITED = frozenset({"quota", "refquota", "reservation", "refreservation", "canmount", "casesensitivity"})
VOLUME_ONLY = frozenset({"volsize", "volblocksize", "volmode", "volthreading", "snapdev"})
FILESYSTEM_ONLY = frozenset(
    {
        "aclinherit", "aclmode", "acltype", "atime", "canmount", "casesensitivity", "devices", "exec", "quota",
        "recordsize", "refquota", "setuid", "snapdir", "special_small_blocks", "xattr",
    }
)  # fmt: skip


class ZfsError(Exception):
    """ZFS's own refusal: errno and text."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number
        self.text = text


@dataclass(frozen=True, slots=True)
class Value:
    """A property as zfs get shows it: raw text, where it comes from, and from which dataset."""

    raw: str
    source: str
    source_info: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Space of the whole pool, counted once for a whole answer."""

    capacity: int
    referenced: Mapping[str, int]
    snapshots: Mapping[str, int]
    used: Mapping[str, int]
    children: Mapping[str, int]
    total: int

    @property
    def free(self) -> int:
        return max(0, self.capacity - self.total)


class Zfs:
    """One pool's datasets, kept in the state, with their files below `directory`."""

    def __init__(self, state: State, directory: Path, capacity: int) -> None:
        self._state = state
        self._directory = directory
        self.capacity = capacity
        directory.mkdir(parents=True, exist_ok=True)

    # looking

    def find(self, name: str) -> Dataset | None:
        return self._state.datasets.get(name)

    def get(self, name: str) -> Dataset:
        dataset = self.find(name)
        if dataset is None:
            raise ZfsError(errno.ENOENT, f"cannot open '{name}': dataset does not exist")
        return dataset

    def all(self) -> list[Dataset]:
        return [self._state.datasets[name] for name in sorted(self._state.datasets)]

    def children(self, name: str) -> list[Dataset]:
        depth = name.count("/") + 1
        return [dataset for dataset in self.below(name) if dataset.name.count("/") == depth]

    def below(self, name: str) -> list[Dataset]:
        prefix = f"{name}/"
        return [self._state.datasets[key] for key in sorted(self._state.datasets) if key.startswith(prefix)]

    def clones_of(self, snapshot: str) -> list[Dataset]:
        return [dataset for dataset in self._state.datasets.values() if dataset.origin == snapshot]

    def split_snapshot(self, full: str) -> tuple[Dataset, Snapshot]:
        name, _, leaf = full.partition("@")
        dataset = self.get(name)
        snapshot = dataset.snapshots.get(leaf)
        if snapshot is None:
            raise ZfsError(errno.ENOENT, f"cannot open '{full}': dataset does not exist")
        return dataset, snapshot

    def file_of(self, thing: Dataset | Snapshot) -> Path:
        return self._directory / f"{thing.guid:x}.raw"

    def files(self) -> dict[str, Path]:
        """What every volume and every snapshot of one lies in, by name."""
        found = {}
        for volume in self.all():
            if volume.is_volume:
                found[volume.name] = self.file_of(volume)
                found |= {f"{volume.name}@{leaf}": self.file_of(one) for leaf, one in volume.snapshots.items()}
        return found

    def copy_files(self, to: Path) -> None:
        """Copies of all volumes and snapshots, in another directory."""
        for path in self._directory.glob("*.raw"):
            copy_sparse(path, to / path.name)

    def take_files(self, kept: Path) -> None:
        """What `copy_files` kept becomes the contents of all volumes and snapshots; others go."""
        for path in self._directory.glob("*.raw"):
            path.unlink()
        for path in kept.glob("*.raw"):
            copy_sparse(path, self._directory / path.name)

    # properties

    def native(self, dataset: Dataset, name: str) -> Value:
        """A native property, inherited down the tree unless ZFS does not inherit it."""
        if name in dataset.local:
            return Value(dataset.local[name], "LOCAL")
        if name not in _NOT_INHERITED:
            for ancestor in self._ancestors(dataset):
                if name in ancestor.local:
                    return Value(ancestor.local[name], "INHERITED", ancestor.name)
        return Value(NATIVE_DEFAULTS[name], "DEFAULT")

    def user_properties(self, dataset: Dataset) -> dict[str, Value]:
        """All user properties the dataset has, its own and those its ancestors hand down."""
        values: dict[str, Value] = {}
        for ancestor in reversed(list(self._ancestors(dataset))):
            values |= {key: Value(text, "INHERITED", ancestor.name) for key, text in ancestor.user.items()}
        return values | {key: Value(text, "LOCAL") for key, text in dataset.user.items()}

    def _ancestors(self, dataset: Dataset) -> Iterable[Dataset]:
        parent = dataset.parent
        while parent is not None:
            ancestor = self._state.datasets[parent]
            yield ancestor
            parent = ancestor.parent

    # space

    def usage(self) -> Usage:
        referenced: dict[str, int] = {}
        snapshots: dict[str, int] = {}
        used: dict[str, int] = {}
        children: dict[str, int] = {}
        for name in sorted(self._state.datasets):
            dataset = self._state.datasets[name]
            kept = sum(self._allocated(snapshot) for snapshot in dataset.snapshots.values() if dataset.is_volume)
            own = self._allocated(dataset) if dataset.is_volume else _FILESYSTEM_OVERHEAD
            referenced[name], snapshots[name] = own, kept
            # A snapshot pins what is referenced, so a reservation covers a full rewrite on top of it.
            reserved = int(self.native(dataset, "refreservation").raw)
            total = max(own, reserved) + kept
            used[name], children[name] = total, 0
            for ancestor in self._ancestors(dataset):
                used[ancestor.name] += total
                children[ancestor.name] += total
        total = sum(size for name, size in used.items() if "/" not in name)
        return Usage(self.capacity, referenced, snapshots, used, children, total)

    def _allocated(self, thing: Dataset | Snapshot) -> int:
        try:
            return self.file_of(thing).stat().st_blocks * 512
        except FileNotFoundError:
            return 0

    def available(self, name: str, usage: Usage) -> int:
        """Free space, and for a volume its own reservation that is not filled yet."""
        dataset = self.get(name)
        reserved = int(self.native(dataset, "refreservation").raw) if dataset.is_volume else 0
        return usage.free + max(0, reserved - usage.referenced[name])

    # datasets

    def create_pool(self, name: str) -> Dataset:
        dataset = self._new_dataset(name, "FILESYSTEM")
        dataset.local["compression"] = "lz4"
        return self._add(dataset)

    def create_filesystem(self, name: str, local: Mapping[str, str], user: Mapping[str, str]) -> Dataset:
        self._check_free_name(name)
        dataset = self._new_dataset(name, "FILESYSTEM")
        dataset.local.update(local)
        dataset.user.update(user)
        return self._add(dataset)

    def create_volume(
        self,
        name: str,
        *,
        volsize: int,
        volblocksize: int,
        sparse: bool,
        local: Mapping[str, str],
        user: Mapping[str, str],
    ) -> Dataset:
        self._check_free_name(name)
        reserved = int(local.get("refreservation", 0 if sparse else reservation_for(volsize, volblocksize)))
        if reserved and reserved > self.usage().free:
            raise ZfsError(errno.ENOSPC, f"cannot create '{name}': out of space")
        dataset = self._new_dataset(name, "VOLUME")
        dataset.volsize, dataset.volblocksize = volsize, volblocksize
        dataset.local.update(local)
        if reserved:
            dataset.local["refreservation"] = str(reserved)
        dataset.user.update(user)
        try:
            _make_sparse(self.file_of(dataset), volsize)
        except OSError as error:  # longer than this machine's file system allows
            self.file_of(dataset).unlink(missing_ok=True)
            raise ZfsError(errno.ENOSPC, f"cannot create '{name}': {error.strerror}") from error
        return self._add(dataset)

    def grow(self, name: str, volsize: int) -> None:
        """A larger size; a reservation grows with it."""
        dataset = self.get(name)
        old = reservation_for(dataset.volsize, dataset.volblocksize)
        if int(dataset.local.get("refreservation", "0")) >= dataset.volsize:
            new = reservation_for(volsize, dataset.volblocksize)
            if new - old > self.usage().free:
                raise ZfsError(errno.ENOSPC, f"cannot set property for '{name}': out of space")
            dataset.local["refreservation"] = str(new)
        os.truncate(self.file_of(dataset), volsize)
        dataset.volsize = volsize

    def destroy(self, name: str, *, recursive: bool, clones_too: bool = False) -> None:
        """Remove a dataset; with `recursive` all below and its snapshots, with `clones_too` what they begot."""
        dataset = self.get(name)
        doomed = [*reversed(self.below(name)), dataset]
        if not recursive:
            if len(doomed) > 1:
                raise ZfsError(errno.ENOTEMPTY, f"cannot destroy '{name}': filesystem has children")
            if dataset.snapshots:
                kind = "volume" if dataset.is_volume else "filesystem"
                raise ZfsError(errno.ENOTEMPTY, f"cannot destroy '{name}': {kind} has children")
        names = {one.name for one in doomed}
        for one in doomed:
            for leaf, snapshot in one.snapshots.items():
                outside = [clone for clone in self.clones_of(f"{one.name}@{leaf}") if clone.name not in names]
                if outside and not clones_too:
                    raise ZfsError(errno.EBUSY, f"cannot destroy '{one.name}': filesystem has dependent clones")
                if snapshot.holds and not clones_too:
                    tags = ", ".join(snapshot.holds)
                    raise ZfsError(
                        errno.EBUSY, f"cannot destroy '{one.name}@{leaf}': it has the following holds: {tags}"
                    )
                for clone in outside:
                    if self.find(clone.name) is not None:
                        self.destroy(clone.name, recursive=True, clones_too=True)
        for one in doomed:
            for snapshot in one.snapshots.values():
                self.file_of(snapshot).unlink(missing_ok=True)
            self.file_of(one).unlink(missing_ok=True)
            self._state.datasets.pop(one.name, None)
            self._finish_deferred(one.origin)

    def rename(self, name: str, new: str) -> None:
        dataset = self.get(name)
        self._check_free_name(new)
        if dataset.pool != new.partition("/")[0]:
            raise ZfsError(errno.EXDEV, f"cannot rename '{name}': datasets must be within same pool")
        for one in [dataset, *self.below(name)]:
            del self._state.datasets[one.name]
            moved = new + one.name[len(name) :]
            for leaf in one.snapshots:
                for clone in self.clones_of(f"{one.name}@{leaf}"):
                    clone.origin = f"{moved}@{leaf}"
            one.name = moved
            self._state.datasets[moved] = one

    def promote(self, name: str) -> None:
        """The clone becomes the owner of its origin and of every older snapshot; its former parent is now the clone."""
        clone = self.get(name)
        if clone.origin is None:
            raise ZfsError(errno.EINVAL, f"cannot promote '{name}': not a cloned filesystem")
        parent, origin = self.split_snapshot(clone.origin)
        moving = [leaf for leaf, one in parent.snapshots.items() if one.createtxg <= origin.createtxg]
        for leaf in moving:
            if leaf in clone.snapshots:
                raise ZfsError(errno.EEXIST, f"cannot promote '{name}': snapshot name '{leaf}' from origin conflicts")
        mine = dict(clone.snapshots)
        clone.snapshots = {}
        for leaf in moving:
            clone.snapshots[leaf] = parent.snapshots.pop(leaf)
            for other in self.clones_of(f"{parent.name}@{leaf}"):
                other.origin = f"{clone.name}@{leaf}"
        clone.snapshots |= mine
        clone.origin = parent.origin
        parent.origin = f"{clone.name}@{origin.name}"

    # snapshots

    def snapshot(self, name: str, leaf: str, user: Mapping[str, str], *, recursive: bool) -> None:
        """One snapshot of a dataset, or of it and all below, at one transaction."""
        chosen = [self.get(name), *(self.below(name) if recursive else [])]
        for dataset in chosen:
            if leaf in dataset.snapshots:
                raise ZfsError(errno.EEXIST, f"cannot create snapshot '{dataset.name}@{leaf}': dataset already exists")
        txg, now = self._state.next_txg(), int(time.time())
        for dataset in chosen:
            snapshot = Snapshot(leaf, self._state.new_guid(), txg, now, dataset.volsize, dict(user))
            if dataset.is_volume:
                copy_sparse(self.file_of(dataset), self.file_of(snapshot))
            dataset.snapshots[leaf] = snapshot

    def destroy_snapshot(self, full: str, *, defer: bool) -> None:
        dataset, snapshot = self.split_snapshot(full)
        clones = self.clones_of(full)
        if (clones or snapshot.holds) and defer:
            snapshot.deferred = True
            return
        if clones:
            raise ZfsError(errno.EBUSY, f"cannot destroy '{full}': snapshot has dependent clones")
        if snapshot.holds:
            raise ZfsError(
                errno.EBUSY, f"cannot destroy snapshot {full}: it's being held. Run 'zfs holds -r {full}' to see"
            )
        self.file_of(snapshot).unlink(missing_ok=True)
        del dataset.snapshots[snapshot.name]

    def _finish_deferred(self, origin: str | None) -> None:
        """A snapshot whose destruction was deferred goes with its last clone."""
        if origin is None or self.clones_of(origin):
            return
        name, _, leaf = origin.partition("@")
        dataset = self.find(name)
        snapshot = dataset.snapshots.get(leaf) if dataset else None
        if snapshot is not None and snapshot.deferred and not snapshot.holds:
            self.destroy_snapshot(origin, defer=False)

    def rollback(self, full: str, *, recursive: bool, recursive_clones: bool) -> None:
        """The volume's contents as they were; newer snapshots must go, and with `recursive` do."""
        dataset, snapshot = self.split_snapshot(full)
        newer = [leaf for leaf, one in dataset.snapshots.items() if one.createtxg > snapshot.createtxg]
        if newer and not (recursive or recursive_clones):
            raise ZfsError(
                errno.EEXIST, f"cannot rollback to '{full}': more recent snapshots or bookmarks exist\nuse '-r'"
            )
        for leaf in newer:
            clones = self.clones_of(f"{dataset.name}@{leaf}")
            if clones and not recursive_clones:
                raise ZfsError(errno.EBUSY, f"cannot rollback to '{full}': clones of previous snapshots exist")
            for clone in clones:
                self.destroy(clone.name, recursive=True, clones_too=True)
            self.destroy_snapshot(f"{dataset.name}@{leaf}", defer=False)
        if dataset.is_volume:
            copy_sparse(self.file_of(snapshot), self.file_of(dataset))
            dataset.volsize = snapshot.volsize

    def clone(self, full: str, name: str, local: Mapping[str, str], user: Mapping[str, str]) -> None:
        """A new dataset that begins as the snapshot; it has no reservation unless `local` sets one."""
        source, snapshot = self.split_snapshot(full)
        self._check_free_name(name)
        dataset = self._new_dataset(name, source.type)
        dataset.volsize, dataset.volblocksize = snapshot.volsize, source.volblocksize
        dataset.local.update(local)
        dataset.user.update(user)
        dataset.origin = full
        if source.is_volume:
            copy_sparse(self.file_of(snapshot), self.file_of(dataset))
        self._add(dataset)

    def rename_snapshot(self, full: str, leaf: str) -> None:
        dataset, snapshot = self.split_snapshot(full)
        if leaf in dataset.snapshots:
            raise ZfsError(errno.EEXIST, f"cannot rename to '{dataset.name}@{leaf}': dataset already exists")
        clones = self.clones_of(full)
        dataset.snapshots = {(leaf if name == snapshot.name else name): one for name, one in dataset.snapshots.items()}
        snapshot.name = leaf
        for clone in clones:
            clone.origin = f"{dataset.name}@{leaf}"

    # making

    def _check_free_name(self, name: str) -> None:
        if self.find(name) is not None:
            raise ZfsError(errno.EEXIST, f"cannot create '{name}': dataset already exists")
        parent = self.find(name.rpartition("/")[0])
        if parent is None:
            raise ZfsError(errno.ENOENT, f"cannot create '{name}': parent does not exist")
        if parent.is_volume:
            raise ZfsError(errno.EINVAL, f"cannot create '{name}': parent is not a filesystem")

    def _new_dataset(self, name: str, kind: str) -> Dataset:
        return Dataset(name, kind, self._state.new_guid(), self._state.next_txg(), int(time.time()))

    def _add(self, dataset: Dataset) -> Dataset:
        self._state.datasets[dataset.name] = dataset
        return dataset


def reservation_for(volsize: int, volblocksize: int) -> int:
    """What a thick volume reserves: its size and the indirect blocks above it.

    The rule of libzfs's zvol_volsize_to_reservation, for one copy: 1,024 block pointers fill an indirect block of
    128 KiB, and metadata is kept twice.
    """
    blocks, indirect = -(-volsize // volblocksize), 7
    while blocks > 1:
        blocks = (blocks + 1023) // 1024
        indirect += blocks
    return volsize + 2 * indirect * (1 << 17)


def _make_sparse(path: Path, size: int) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    try:
        os.ftruncate(descriptor, size)
    finally:
        os.close(descriptor)
