"""A TrueNAS as a `Nas`: names in, names out, one call for each method."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from pyvmiscsi.errors import (
    BusyError,
    ConflictError,
    NasProtocolError,
    NotFoundError,
    UnsupportedError,
)
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
from pyvmiscsi.nas.together import begin
from pyvmiscsi.nas.truenas import requests_text as ask
from pyvmiscsi.nas.truenas import shapes
from pyvmiscsi.nas.truenas.access_groups import access_groups
from pyvmiscsi.nas.truenas.calls import Calls, nothing_to_delete
from pyvmiscsi.nas.truenas.credentials import Credentials
from pyvmiscsi.nas.truenas.just_seen import JustSeen
from pyvmiscsi.nas.truenas.refusals import is_device_busy, is_device_missing
from pyvmiscsi.nas.truenas.releases import Release, traits_of
from pyvmiscsi.nas.truenas.rpc import Refused, Rpc
from pyvmiscsi.nas.truenas.snapshots import Snapshots
from pyvmiscsi.nas.truenas.whole import ours, whole
from pyvmiscsi.ports import Clock
from pyvmiscsi.secrets import Secret
from pyvmiscsi.units import Size

_LET_GO = 60.0
"""Seconds in which the target lets go of a volume whose LUN was removed (nas-wire.md 4.2)."""
_APPEAR = 10.0
"""Seconds in which the device node of a new volume appears (nas-wire.md 3, rule 8)."""
_USER_PROPERTIES_SINCE = (22, 2)


class TrueNas:
    """A TrueNAS through one of its APIs; see `pyvmiscsi.ports.Nas` for what each method does.

    Row numbers stay inside. Before a delete the row is looked up by its name, always: the appliance hands the number
    of a deleted row to the next one that is made. Nothing is deleted by force, or with what hangs on it.
    """

    def __init__(self, rpc: Rpc, *, clock: Clock | None = None) -> None:
        self.rpc = rpc
        """For what no port asks of a nas."""
        self._traits = traits_of(rpc.series, rpc.dialect)
        self._calls = Calls(rpc, clock)
        self._snapshots = Snapshots(self._calls, self._traits, self._below)
        self._credentials = Credentials(self._calls, clock)
        self._basename: Iqn | None = None
        self._basename_lock = threading.Lock()
        self._numbers: JustSeen[int] = JustSeen(clock)

    # about the appliance

    def capabilities(self) -> NasCapabilities:
        release = Release.parse(shapes.version(self._calls.call(ask.version())))
        return NasCapabilities(
            release.text,
            self.rpc.dialect,
            marks=not release.core and release.series >= _USER_PROPERTIES_SINCE,
            delete_target_with_extents=self._traits.delete_target_with_extents,
            rename_dataset=self._traits.rename_dataset,
        )

    def basename(self) -> Iqn:
        with self._basename_lock:
            if self._basename is None:
                self._basename = shapes.basename(self._calls.call(ask.basename()))
            return self._basename

    # datasets and volumes

    def _find_resource(self, path: DatasetPath) -> shapes.Resource | None:
        found = self._calls.rows(ask.find_dataset(path))
        return shapes.resource(found[0]) if found else None

    def find_dataset(self, path: DatasetPath) -> Dataset | None:
        found = self._find_resource(path)
        return found.dataset() if found and not found.is_volume else None

    def create_dataset(self, path: DatasetPath, marks: Mapping[str, str]) -> Dataset:
        return shapes.resource(self._calls.made(ask.create_dataset(path, marks))).dataset()

    def delete_dataset(self, path: DatasetPath) -> None:
        if self.find_dataset(path) is not None:
            self._delete_resource(path)

    def find_volume(self, path: DatasetPath) -> Volume | None:
        found = self._find_resource(path)
        return found.volume() if found and found.is_volume else None

    def create_volume(self, volume: Volume) -> Volume:
        return shapes.resource(self._calls.made(ask.create_volume(volume))).volume()

    def delete_volume(self, path: DatasetPath) -> None:
        """Also looks for extents first: up to 25.10 the appliance would take those along, and their sessions."""
        there, extents = begin(lambda: self.find_volume(path)), begin(lambda: self._calls.rows(ask.extents_of(path)))
        for row in extents.result():
            raise BusyError(f"volume {path}: extent {row.take('name', str)} offers it")
        if there.result() is not None:
            self._delete_resource(path)

    def _delete_resource(self, path: DatasetPath) -> None:
        """Remove it, waiting while the target still holds its device."""
        with nothing_to_delete():
            self._calls.when_ready(ask.delete_dataset(path, self._traits), is_device_busy, _LET_GO)

    def change_marks(self, path: DatasetPath, changes: Mapping[str, str | None]) -> None:
        self._calls.call(ask.change_marks(path, changes))

    def grow_volume(self, path: DatasetPath, size: Size) -> Volume:
        there = self.find_volume(path)
        if there is None:
            raise NotFoundError(f"volume {path}: the nas has none of this name")
        if size.bytes < there.size.bytes:
            raise ConflictError(f"volume {path}: it has {there.size}, and cannot be made smaller")
        return shapes.resource(self._calls.made(ask.grow_volume(path, size, thick=there.thick))).volume()

    # snapshots

    def snapshots(self, path: DatasetPath) -> tuple[Snapshot, ...]:
        return self._snapshots.all_of(path)

    def find_snapshot(self, path: DatasetPath, name: SnapshotName) -> Snapshot | None:
        return self._snapshots.find(path, name)

    def create_snapshot(
        self, path: DatasetPath, name: SnapshotName, *, marks: Mapping[str, str] | None = None, recursive: bool = False
    ) -> Snapshot:
        return self._snapshots.create(path, name, marks or {}, recursive=recursive)

    def delete_snapshot(self, path: DatasetPath, name: SnapshotName, *, recursive: bool = False) -> None:
        self._snapshots.delete(path, name, recursive=recursive)

    def snapshot_keepers(self, paths: Iterable[DatasetPath]) -> Mapping[str, tuple[str, ...]]:
        return self._snapshots.keepers(paths)

    def rollback(self, path: DatasetPath, name: SnapshotName) -> None:
        self._snapshots.rollback(path, name)

    def clone(self, path: DatasetPath, name: SnapshotName, to: DatasetPath, marks: Mapping[str, str]) -> Volume:
        """Looks afterwards, since the answer says no more than yes; or marks it then, where it could not be before."""
        self._snapshots.clone(path, name, to, marks)
        if marks and not self._traits.clones_with_marks:
            return shapes.resource(self._calls.made(ask.change_marks(to, marks))).volume()
        made = self.find_volume(to)
        if made is None:
            raise NasProtocolError(f"volume {to}: cloned from {path}@{name}, and then it was not there")
        return made

    def promote(self, path: DatasetPath) -> None:
        self._calls.call(ask.promote(path))

    # another name

    def rename_dataset(self, old: DatasetPath, new: DatasetPath) -> None:
        if not self._traits.rename_dataset:
            raise UnsupportedError(
                f"dataset {old}: this release of TrueNAS has no call that renames it", hint="TrueNAS 25.10 has one"
            )
        self._calls.call(ask.rename_dataset(old, new))

    # exports

    def find_extent(self, name: str) -> Extent | None:
        for row in self._calls.rows(ask.find_extent(name)):
            self._numbers.note(("extent", name), shapes.row_id(row))
            return shapes.extent(row)
        return None

    def extents_of(self, volume: DatasetPath) -> tuple[Extent, ...]:
        return tuple(shapes.extent(row) for row in self._calls.rows(ask.extents_of(volume)))

    def create_extent(self, extent: Extent) -> Extent:
        """Waits for the device of a volume that is there: it can be a little late (nas-wire.md 3, rule 8)."""

        def late(refused: Refused) -> bool:
            return is_device_missing(refused) and self.find_volume(extent.volume) is not None

        request = ask.create_extent(extent)
        row = shapes.Row(request.method, self._calls.when_ready(request, late, _APPEAR))
        self._numbers.note(("extent", extent.name), shapes.row_id(row))
        return shapes.extent(row)

    def change_extent(
        self, name: str, *, volume: DatasetPath | None = None, new_name: str | None = None, comment: str | None = None
    ) -> Extent:
        """Waits for the device of the new volume, as `create_extent` does."""

        def late(refused: Refused) -> bool:
            return volume is not None and is_device_missing(refused) and self.find_volume(volume) is not None

        self._numbers.drop(("extent", name))
        number = self._number_of_extent(name)
        self._numbers.drop(("extent", name))
        if number is None:
            raise NotFoundError(f"extent {name}: the nas has none of this name")
        request = ask.change_extent(number, volume=volume, new_name=new_name, comment=comment)
        changed = shapes.extent(shapes.Row(request.method, self._calls.when_ready(request, late, _APPEAR)))
        self._numbers.note(("extent", changed.name), number)
        return changed

    def delete_extent(self, name: str) -> None:
        self._numbers.drop(("extent", name))
        with nothing_to_delete():
            for row in self._calls.rows(ask.find_extent(name)):
                self._calls.call(ask.delete_extent(shapes.row_id(row)))

    def _find_target_rows(self, iqn: Iqn) -> list[shapes.Row]:
        return self._calls.rows(ask.find_target(iqn, self.basename()))

    def find_target(self, iqn: Iqn) -> Target | None:
        for row in self._find_target_rows(iqn):
            self._numbers.note(("target", iqn), shapes.row_id(row))
            return shapes.target(row, self.basename())
        return None

    def create_target(self, target: Target) -> Target:
        base = self.basename()
        row = self._calls.made(ask.create_target(target, base))
        self._numbers.note(("target", target.iqn), shapes.row_id(row))
        return shapes.target(row, base)

    def rename_target(self, old: Iqn, new: Iqn) -> Target:
        self._numbers.drop(("target", old))
        number = self._number_of_target(old)
        self._numbers.drop(("target", old))
        if number is None:
            raise NotFoundError(f"target {old}: the nas has none of this name")
        base = self.basename()
        renamed = shapes.target(self._calls.made(ask.rename_target(number, new, base)), base)
        self._numbers.note(("target", renamed.iqn), number)
        return renamed

    def delete_target(self, iqn: Iqn) -> None:
        self._numbers.drop(("target", iqn))
        with nothing_to_delete():
            for row in self._find_target_rows(iqn):
                self._calls.call(ask.delete_target(shapes.row_id(row), self._traits))

    def _number_of_target(self, iqn: Iqn) -> int | None:
        if self._numbers.get(("target", iqn)) is None:
            self.find_target(iqn)
        return self._numbers.get(("target", iqn))

    def _number_of_extent(self, name: str) -> int | None:
        if self._numbers.get(("extent", name)) is None:
            self.find_extent(name)
        return self._numbers.get(("extent", name))

    def _find_mapping_row(self, target: Iqn, extent: str) -> shapes.MappingRow | None:
        numbers = self._number_of_target(target), self._number_of_extent(extent)
        if numbers[0] is None or numbers[1] is None:
            return None
        found = self._calls.rows(ask.find_mapping(numbers[0], numbers[1]))
        return shapes.mapping(found[0]) if found else None

    def find_mapping(self, target: Iqn, extent: str) -> LunMapping | None:
        found = self._find_mapping_row(target, extent)
        return found.mapping(target, extent) if found else None

    def create_mapping(self, mapping: LunMapping) -> LunMapping:
        target, extent = self._number_of_target(mapping.target), self._number_of_extent(mapping.extent)
        if target is None:
            raise NotFoundError(f"target {mapping.target}: the nas has none of this name")
        if extent is None:
            raise NotFoundError(f"extent {mapping.extent}: the nas has none of this name")
        made = shapes.mapping(self._calls.made(ask.create_mapping(mapping, target, extent)))
        if (made.target, made.extent) != (target, extent):
            raise NasProtocolError("iscsi.targetextent.create: the answer is another mapping")
        return made.mapping(mapping.target, mapping.extent)

    def delete_mapping(self, target: Iqn, extent: str) -> None:
        self._numbers.drop(("target", target))
        self._numbers.drop(("extent", extent))
        found = self._find_mapping_row(target, extent)
        if found is not None:
            with nothing_to_delete():
                self._calls.call(ask.delete_mapping(found.number))

    def find_credentials(self, *, tag: int) -> tuple[Credential, ...]:
        return self._credentials.find(tag)

    def create_credential(self, credential: Credential) -> Credential:
        return self._credentials.create(credential)

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
        return self._credentials.change(
            tag, user, new_user=new_user, secret=secret, peer_user=peer_user, peer_secret=peer_secret
        )

    def delete_credential(self, *, tag: int, user: str) -> None:
        self._credentials.delete(tag, user)

    def sessions(self, targets: Iterable[Iqn] | None = None) -> tuple[NasSession, ...]:
        wanted = None if targets is None else frozenset(targets)
        if wanted is not None and not wanted:
            return ()
        found = ours(shapes.session, self._calls.rows(ask.sessions(wanted)))
        return tuple(session for session in found if wanted is None or session.target in wanted)

    def access_groups(self) -> AccessGroups:
        return access_groups(self._calls)

    # the whole

    def inventory(self, parent: DatasetPath) -> Inventory:
        below = begin(lambda: self._below(parent))
        extents = begin(lambda: self._calls.rows(ask.all_extents()))
        targets = begin(lambda: self._calls.rows(ask.all_targets()))
        mappings = begin(lambda: self._calls.rows(ask.all_mappings()))
        sessions = begin(lambda: self._calls.rows(ask.sessions()))
        base = begin(self.basename)
        return whole(
            parent,
            below=below.result(),
            extents=extents.result(),
            targets=targets.result(),
            mappings=mappings.result(),
            sessions=sessions.result(),
            base=base.result(),
        )

    def _below(self, parent: DatasetPath) -> list[shapes.Resource]:
        request = ask.all_below(parent, self._traits)
        try:
            answer = self._calls.call(request)
        except NotFoundError:
            return []
        return shapes.zfs_resources(answer) if self._traits.resource_query else shapes.resources(request.method, answer)

    def close(self) -> None:
        self.rpc.close()
