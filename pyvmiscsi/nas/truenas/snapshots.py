"""The snapshots of a TrueNAS: names in, names out, one call for each method that changes something."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from pyvmiscsi.errors import BusyError, ConflictError
from pyvmiscsi.model import Snapshot
from pyvmiscsi.names import DatasetPath, SnapshotName
from pyvmiscsi.nas.truenas import requests_text as ask
from pyvmiscsi.nas.truenas import shapes
from pyvmiscsi.nas.truenas.calls import Calls, nothing_to_delete
from pyvmiscsi.nas.truenas.releases import Traits


class Snapshots:
    """See `pyvmiscsi.ports.Nas` for what each method does.

    Refusals are the appliance's own, so that nothing can happen between a look and a deed; what stood in the way is
    looked up afterwards, since only some releases say it.
    """

    def __init__(self, calls: Calls, traits: Traits, below: Callable[[DatasetPath], list[shapes.Resource]]) -> None:
        self._calls = calls
        self._traits = traits
        self._below = below

    def all_of(self, path: DatasetPath) -> tuple[Snapshot, ...]:
        return shapes.snapshots(self._calls.rows(ask.snapshots(path, self._traits)), path)

    def find(self, path: DatasetPath, name: SnapshotName) -> Snapshot | None:
        found = self._calls.rows(ask.find_snapshot(path, name, self._traits))
        return next((one for one in shapes.snapshots(found, path) if one.name == name), None)

    def create(self, path: DatasetPath, name: SnapshotName, marks: Mapping[str, str], *, recursive: bool) -> Snapshot:
        """Looks again for an answer that keeps the time to itself."""
        made = shapes.snapshot(
            self._calls.made(ask.create_snapshot(path, name, marks, self._traits, recursive=recursive))
        )
        if made.created is not None:
            return made.snapshot()
        return self.find(path, name) or made.snapshot()

    def delete(self, path: DatasetPath, name: SnapshotName, *, recursive: bool) -> None:
        try:
            with nothing_to_delete():
                self._calls.call(ask.delete_snapshot(path, name, self._traits, recursive=recursive))
        except BusyError as busy:
            keepers = self._keepers(path, name, recursive=recursive)
            if not keepers:
                raise
            raise BusyError(f"snapshot {path}@{name}: kept by {', '.join(keepers)}") from busy

    def keepers(self, paths: Iterable[DatasetPath]) -> Mapping[str, tuple[str, ...]]:
        """Clones are looked for in whole pools, but only where there is a snapshot at all."""
        rows = [
            row
            for path in paths
            for row in map(shapes.snapshot, self._calls.rows(ask.snapshots(path, self._traits, holds=True)))
            if row.path == path
        ]
        pools = sorted({row.path.pool for row in rows})
        clones = [(found.origin, found.name) for pool in pools for found in self._below(DatasetPath(pool))]
        found = {}
        for row in rows:
            full = f"{row.path}@{row.name}"
            found[full] = (
                *(f"clone {clone}" for origin, clone in sorted(clones, key=str) if origin == full),
                *(f"hold {tag}" for tag in sorted(row.holds)),
            )
        return {full: keepers for full, keepers in found.items() if keepers}

    def _keepers(self, path: DatasetPath, name: SnapshotName, *, recursive: bool) -> list[str]:
        """The clones and holds that keep a snapshot, or with `recursive` those of its name below as well."""
        datasets = [path, *(DatasetPath.parse(found.name) for found in self._below(path) if recursive)]
        wanted = {f"{dataset}@{name}" for dataset in datasets}
        clones = {found.name for found in self._below(DatasetPath(path.pool)) if found.origin in wanted}
        rows = [
            shapes.snapshot(row)
            for dataset in datasets
            for row in self._calls.rows(ask.find_snapshot(dataset, name, self._traits, holds=True))
        ]
        holds = {tag for row in rows if row.name == str(name) for tag in row.holds}
        return [*(f"clone {clone}" for clone in sorted(clones)), *(f"hold {tag}" for tag in sorted(holds))]

    def rollback(self, path: DatasetPath, name: SnapshotName) -> None:
        try:
            self._calls.call(ask.rollback(path, name, self._traits))
        except ConflictError as refused:
            names = [snapshot.name for snapshot in self.all_of(path)]
            newer = names[names.index(name) + 1 :] if name in names else []
            if not newer:
                raise
            newest = ", ".join(map(str, newer))
            raise ConflictError(f"snapshot {path}@{name}: there are newer ones, {newest}") from refused

    def clone(self, path: DatasetPath, name: SnapshotName, to: DatasetPath, marks: Mapping[str, str]) -> None:
        self._calls.call(ask.clone(path, name, to, marks, self._traits))
