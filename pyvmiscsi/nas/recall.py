"""A nas that remembers what it has just said, so that a plan can check its work against the nas's own answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from pyvmiscsi.model import (
    AccessGroups,
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
from pyvmiscsi.nas.together import together
from pyvmiscsi.plan.intent import PREFIX, read_intents
from pyvmiscsi.ports import Nas
from pyvmiscsi.secrets import Secret
from pyvmiscsi.units import Size

T = TypeVar("T")
Key = tuple[Hashable, ...]

_MAPPINGS = ("mapping", "mappings of target", "mappings of extent")


class RecallingNas:
    """Another nas, and its answers of this process: each thing is asked for once, until a write touches it.

    What a `create_*` answered is what the next `find_*` says; a dataset, volume, target or extent that was just made
    has nothing below it or mapped to it, and a target that is not there has no mappings, so nothing is asked about that
    either. A write that fails, or whose answer is
    lost, makes its names unknown again. Marks are never remembered past `change_marks`; sessions, inventories, lists
    of snapshots and what keeps them never at all: others write those. Safe to call from several threads at once.
    """

    def __init__(self, nas: Nas) -> None:
        self._nas = nas
        self._known: dict[Key, object] = {}
        self._written: set[Key] = set()
        self._changes = 0
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Ask the nas again for everything."""
        with self._lock:
            self._changes += 1
            self._known.clear()
            self._written.clear()

    def together(self, *reads: Callable[[], T]) -> tuple[T, ...]:
        """The answers of these reads, which are in flight at the same time; the first error of any is raised."""
        return together(*reads)

    def _recall(self, key: Key, ask: Callable[[], T], *, nothing: T | None = None, empty: Key = ()) -> T:
        """What is known of `key`; else `nothing`, if `empty` is known and no write named `key`; else an answer."""
        with self._lock:
            if key in self._known:
                return self._known[key]  # type: ignore[return-value]  # each key is written with one type only
            if empty in self._known and key not in self._written:
                return nothing  # type: ignore[return-value]  # given wherever `empty` is
            before = self._changes
        answer = ask()
        with self._lock:
            if self._changes == before:  # else a write may have made this answer old
                self._known[key] = answer
        return answer

    @contextmanager
    def _changing(self, *keys: Key) -> Iterator[dict[Key, object]]:
        """Forget `keys` while a write runs, and when it fails; else know what the body put in the dict."""
        learnt: dict[Key, object] = {}
        self._learn({}, instead_of=keys)
        try:
            yield learnt
        finally:
            self._learn(learnt, instead_of=keys)

    def _learn(self, learnt: Mapping[Key, object], *, instead_of: Iterable[Key]) -> None:
        with self._lock:
            self._changes += 1
            for key in instead_of:
                self._known.pop(key, None)
                self._written.add(key)
            self._known.update(learnt)

    def _mappings_known(self, *, target: Iqn | None = None, extent: str | None = None) -> list[Key]:
        with self._lock:
            return [key for key in self._known if key[0] == "mapping" and (key[1] == target or key[2] == extent)]

    def _known_of(self, *kinds: str) -> list[Key]:
        with self._lock:
            return [key for key in self._known if key[0] in kinds]

    # about the appliance

    def capabilities(self) -> NasCapabilities:
        return self._recall(("capabilities",), self._nas.capabilities)

    def basename(self) -> Iqn:
        return self._recall(("basename",), self._nas.basename)

    # datasets and volumes

    def find_dataset(self, path: DatasetPath) -> Dataset | None:
        """Always asked: it carries a guest's marks, and others write those."""
        return self._nas.find_dataset(path)

    def create_dataset(self, path: DatasetPath, marks: Mapping[str, str]) -> Dataset:
        with self._changing(("dataset", path)) as learnt:
            made = self._nas.create_dataset(path, marks)
            learnt["dataset", path] = made
            learnt["below", path] = "nothing"
        return made

    def delete_dataset(self, path: DatasetPath) -> None:
        with self._changing(("dataset", path), ("below", path)) as learnt:
            self._nas.delete_dataset(path)
            learnt["dataset", path] = None

    def find_volume(self, path: DatasetPath) -> Volume | None:
        """Always asked while it carries an intent (flat layout), or is being filled: others may be at it, too."""
        with self._lock:
            known = self._known.get(("volume", path))
            if isinstance(known, Volume) and (read_intents(path, known.marks) or f"{PREFIX}filling" in known.marks):
                del self._known["volume", path]
        return self._recall(("volume", path), lambda: self._nas.find_volume(path), empty=("below", path.parent))

    def create_volume(self, volume: Volume) -> Volume:
        path = volume.path
        with self._changing(("volume", path), ("extents of", path)) as learnt:
            made = self._nas.create_volume(volume)
            learnt["volume", path] = made
            learnt["extents of", path] = ()
        return made

    def delete_volume(self, path: DatasetPath) -> None:
        with self._changing(("volume", path), ("extents of", path)) as learnt:
            self._nas.delete_volume(path)
            learnt["volume", path] = None

    def change_marks(self, path: DatasetPath, changes: Mapping[str, str | None]) -> None:
        with self._changing(("dataset", path), ("volume", path)):
            self._nas.change_marks(path, changes)

    def grow_volume(self, path: DatasetPath, size: Size) -> Volume:
        with self._changing(("volume", path)) as learnt:
            grown = self._nas.grow_volume(path, size)
            learnt["volume", path] = grown
        return grown

    # snapshots

    def snapshots(self, path: DatasetPath) -> tuple[Snapshot, ...]:
        return self._nas.snapshots(path)

    def find_snapshot(self, path: DatasetPath, name: SnapshotName) -> Snapshot | None:
        return self._recall(("snapshot", path, name), lambda: self._nas.find_snapshot(path, name))

    def create_snapshot(
        self, path: DatasetPath, name: SnapshotName, *, marks: Mapping[str, str] | None = None, recursive: bool = False
    ) -> Snapshot:
        key = ("snapshot", path, name)
        with self._changing(key, *self._known_of("snapshot")) as learnt:
            made = self._nas.create_snapshot(path, name, marks=marks, recursive=recursive)
            learnt[key] = made
        return made

    def delete_snapshot(self, path: DatasetPath, name: SnapshotName, *, recursive: bool = False) -> None:
        key = ("snapshot", path, name)
        with self._changing(key, *self._known_of("snapshot")) as learnt:
            self._nas.delete_snapshot(path, name, recursive=recursive)
            learnt[key] = None

    def snapshot_keepers(self, paths: Iterable[DatasetPath]) -> Mapping[str, tuple[str, ...]]:
        return self._nas.snapshot_keepers(paths)

    def rollback(self, path: DatasetPath, name: SnapshotName) -> None:
        with self._changing(("volume", path), ("dataset", path)):
            self._nas.rollback(path, name)

    def clone(self, path: DatasetPath, name: SnapshotName, to: DatasetPath, marks: Mapping[str, str]) -> Volume:
        with self._changing(("volume", to), ("extents of", to)) as learnt:
            made = self._nas.clone(path, name, to, marks)
            learnt["volume", to] = made
            learnt["extents of", to] = ()
        return made

    def promote(self, path: DatasetPath) -> None:
        """Origins change, and who owns which snapshot, also of others."""
        with self._changing(*self._known_of("volume", "snapshot")):
            self._nas.promote(path)

    # another name

    def rename_dataset(self, old: DatasetPath, new: DatasetPath) -> None:
        """What lies below moves too, and the origins of clones elsewhere."""
        moved = self._known_of("dataset", "volume", "below", "snapshot")
        with self._changing(("dataset", old), ("volume", old), ("dataset", new), ("volume", new), *moved) as learnt:
            self._nas.rename_dataset(old, new)
            learnt["volume", old] = None

    # exports

    def find_extent(self, name: str) -> Extent | None:
        return self._recall(("extent", name), lambda: self._nas.find_extent(name))

    def extents_of(self, volume: DatasetPath) -> tuple[Extent, ...]:
        return self._recall(("extents of", volume), lambda: self._nas.extents_of(volume))

    def create_extent(self, extent: Extent) -> Extent:
        """A volume that was found is asked for anew once it is offered: others may have had it until then."""
        volume = ("volume", extent.volume)
        with self._lock:
            found = () if volume in self._written else (volume,)
        with self._changing(("extent", extent.name), ("extents of", extent.volume), *found) as learnt:
            made = self._nas.create_extent(extent)
            learnt["extent", extent.name] = made
            learnt["mappings of extent", extent.name] = "nothing"
        return made

    def change_extent(
        self, name: str, *, volume: DatasetPath | None = None, new_name: str | None = None, comment: str | None = None
    ) -> Extent:
        others = self._known_of("extents of", *_MAPPINGS)
        with self._changing(("extent", name), ("extent", new_name or name), *others) as learnt:
            changed = self._nas.change_extent(name, volume=volume, new_name=new_name, comment=comment)
            learnt["extent", name] = None
            learnt["extent", changed.name] = changed
        return changed

    def delete_extent(self, name: str) -> None:
        with self._lock:
            offers = [key for key in self._known if key[0] == "extents of"]
        mapped = self._mappings_known(extent=name)
        with self._changing(("extent", name), ("mappings of extent", name), *offers, *mapped) as learnt:
            self._nas.delete_extent(name)
            learnt.update(dict.fromkeys(mapped))
            learnt["extent", name] = None
            learnt["mappings of extent", name] = "nothing"

    def find_target(self, iqn: Iqn) -> Target | None:
        return self._recall(("target", iqn), lambda: self._nas.find_target(iqn))

    def create_target(self, target: Target) -> Target:
        with self._changing(("target", target.iqn)) as learnt:
            made = self._nas.create_target(target)
            learnt["target", target.iqn] = made
            learnt["mappings of target", target.iqn] = "nothing"
        return made

    def rename_target(self, old: Iqn, new: Iqn) -> Target:
        with self._changing(("target", old), ("target", new), *self._known_of(*_MAPPINGS)) as learnt:
            renamed = self._nas.rename_target(old, new)
            learnt["target", old] = None
            learnt["target", renamed.iqn] = renamed
        return renamed

    def delete_target(self, iqn: Iqn) -> None:
        mapped = self._mappings_known(target=iqn)
        with self._changing(("target", iqn), ("mappings of target", iqn), *mapped) as learnt:
            self._nas.delete_target(iqn)
            learnt.update(dict.fromkeys(mapped))
            learnt["target", iqn] = None
            learnt["mappings of target", iqn] = "nothing"

    def find_mapping(self, target: Iqn, extent: str) -> LunMapping | None:
        with self._lock:
            if self._known.get(("target", target), target) is None:
                return None
            unmapped: Key = ("mappings of target", target)
            if unmapped not in self._known:
                unmapped = ("mappings of extent", extent)
        key = ("mapping", target, extent)
        return self._recall(key, lambda: self._nas.find_mapping(target, extent), empty=unmapped)

    def create_mapping(self, mapping: LunMapping) -> LunMapping:
        key = ("mapping", mapping.target, mapping.extent)
        with self._changing(key) as learnt:
            made = self._nas.create_mapping(mapping)
            learnt[key] = made
        return made

    def delete_mapping(self, target: Iqn, extent: str) -> None:
        key = ("mapping", target, extent)
        with self._changing(key) as learnt:
            self._nas.delete_mapping(target, extent)
            learnt[key] = None

    def find_credentials(self, *, tag: int) -> tuple[Credential, ...]:
        return self._recall(("credentials", tag), lambda: self._nas.find_credentials(tag=tag))

    def create_credential(self, credential: Credential) -> Credential:
        key = ("credentials", credential.tag)
        with self._lock:
            before = self._known.get(key)
        with self._changing(key) as learnt:
            made = self._nas.create_credential(credential)
            if isinstance(before, tuple):
                learnt[key] = (*before, made)
        return made

    def change_credential(
        self,
        tag: int,
        user: str,
        *,
        new_user: str | None = None,
        secret: Secret | None = None,
        peer_user: str | None = None,
        peer_secret: Secret | None = None,
    ) -> Credential:
        with self._changing(("credentials", tag)):
            return self._nas.change_credential(
                tag, user, new_user=new_user, secret=secret, peer_user=peer_user, peer_secret=peer_secret
            )

    def delete_credential(self, *, tag: int, user: str) -> None:
        with self._changing(("credentials", tag)):
            self._nas.delete_credential(tag=tag, user=user)

    def sessions(self, targets: Iterable[Iqn] | None = None) -> tuple[NasSession, ...]:
        return self._nas.sessions(targets)

    def access_groups(self) -> AccessGroups:
        return self._nas.access_groups()

    # the whole

    def inventory(self, parent: DatasetPath) -> Inventory:
        return self._nas.inventory(parent)

    def close(self) -> None:
        self._nas.close()
