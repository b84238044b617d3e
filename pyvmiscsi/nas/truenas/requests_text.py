"""What we ask of a TrueNAS, and how each release wants it said. Pure.

Every delete sends all of its flags: REST appends only the arguments that are present, in order, so that a lone `force`
would arrive as `remove` (nas-wire.md 1.6). No delete is ever forced, and no dataset deleted with what is in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pyvmiscsi.errors import NasRefusedError
from pyvmiscsi.model import Credential, Extent, Target, Volume
from pyvmiscsi.model import Mapping as LunMapping
from pyvmiscsi.names import DatasetPath, Iqn, SnapshotName
from pyvmiscsi.nas.truenas.releases import Traits
from pyvmiscsi.nas.truenas.rpc import Json, Request
from pyvmiscsi.secrets import Secret
from pyvmiscsi.units import Size

MARK_PREFIX = "org.pyvmiscsi:"

_PROPERTIES = ["volsize", "volblocksize", "refreservation", "used", "origin", "compression"]
_EXTENT_FIELDS = ["id", "name", "disk", "serial", "blocksize", "comment", "naa", "enabled", "ro"]
"""Without `locked`, which costs one look-up for each row (nas-wire.md 4.3)."""
_TARGET_FIELDS = ["id", "name", "groups"]
_SECRET_LENGTH = (12, 16)
_TOO_MANY_TO_NAME = 100
"""More names than this in a filter, and the answer is sifted here: a request has 64 KiB (nas-wire.md 1.8)."""


def basename() -> Request:
    return Request("iscsi.global.config")


def version() -> Request:
    return Request("system.version")


# datasets and volumes


def find_dataset(path: DatasetPath) -> Request:
    options = {"extra": {"retrieve_children": False, "properties": _PROPERTIES}}
    return Request("pool.dataset.query", ([["id", "=", str(path)]], options))


def all_below(parent: DatasetPath, traits: Traits) -> Request:
    """Everything below `parent`, scoped to its path, which is what keeps it cheap (nas-wire.md 4.3)."""
    if traits.resource_query:
        wanted = {"paths": [str(parent)], "properties": _PROPERTIES, "get_user_properties": True, "get_children": True}
        return Request("zfs.resource.query", (wanted,))
    options = {"extra": {"retrieve_children": True, "properties": _PROPERTIES}}
    return Request("pool.dataset.query", ([["id", "=", str(parent)]], options))


def create_dataset(path: DatasetPath, marks: Mapping[str, str]) -> Request:
    return Request(
        "pool.dataset.create",
        ({"name": str(path), "type": "FILESYSTEM", "comments": "", "user_properties": _properties(marks)},),
    )


def create_volume(volume: Volume) -> Request:
    """A sparse volume may promise more than the pool holds; a thick one may not take the last fifth of it.

    `comments` is sent because 26 otherwise stores the text "INHERIT" (nas-wire.md 2.3).
    """
    entry: dict[str, Json] = {
        "name": str(volume.path),
        "type": "VOLUME",
        "volsize": volume.size.bytes,
        "sparse": not volume.thick,
        "force_size": not volume.thick,
        "comments": "",
        "user_properties": _properties(volume.marks),
    }
    if volume.block_size is not None:
        entry["volblocksize"] = str(volume.block_size)
    if volume.compression is not None:
        entry["compression"] = volume.compression.upper()
    return Request("pool.dataset.create", (entry,))


def _properties(marks: Mapping[str, str]) -> list[Json]:
    return [{"key": key, "value": value} for key, value in marks.items()]


def change_marks(path: DatasetPath, changes: Mapping[str, str | None]) -> Request:
    updates: list[Json] = [
        {"key": key, "remove": True} if value is None else {"key": key, "value": value}
        for key, value in changes.items()
    ]
    return Request("pool.dataset.update", (str(path), {"user_properties_update": updates}))


def grow_volume(path: DatasetPath, size: Size, *, thick: bool) -> Request:
    """By the rule of `create_volume`: only a sparse one may promise more than the pool holds."""
    return Request("pool.dataset.update", (str(path), {"volsize": size.bytes, "force_size": not thick}))


def rename_dataset(old: DatasetPath, new: DatasetPath) -> Request:
    """`force` says no more than that we know of the extents which go stale: without it every rename is refused."""
    return Request("pool.dataset.rename", (str(old), {"new_name": str(new), "recursive": False, "force": True}))


def delete_dataset(path: DatasetPath, traits: Traits) -> Request:
    if traits.resource_destroy:
        return Request("zfs.resource.destroy", ({"path": str(path), "recursive": False},))
    return Request("pool.dataset.delete", (str(path), {"recursive": False, "force": False}))


# snapshots


def snapshots(path: DatasetPath, traits: Traits, *, holds: bool = False) -> Request:
    """All of one dataset or volume.

    Up to 25.10 the appliance reads every snapshot it has to answer this, and so is asked for one property alone; user
    properties come with every answer. From 26 it looks at this path only, and its older call tells neither time nor
    marks (nas-wire.md 2.12).
    """
    if traits.resource_snapshots:
        wanted = {"paths": [str(path)], "properties": ["creation"], "get_user_properties": True, "get_holds": holds}
        return Request("zfs.resource.snapshot.query", (wanted,))
    return _snapshot_query([["dataset", "=", str(path)]], traits, holds=holds)


def find_snapshot(path: DatasetPath, name: SnapshotName, traits: Traits, *, holds: bool = False) -> Request:
    """At least the one of this name: from 26 only datasets can be asked for, and that is as quick."""
    if traits.resource_snapshots:
        return snapshots(path, traits, holds=holds)
    return _snapshot_query([["id", "=", f"{path}@{name}"]], traits, holds=holds)


def _snapshot_query(filters: list[Json], traits: Traits, *, holds: bool) -> Request:
    options = {"extra": {"properties": ["creation"], "holds": holds}}
    return Request(f"{traits.snapshots}.query", (filters, options))


def create_snapshot(
    path: DatasetPath, name: SnapshotName, marks: Mapping[str, str], traits: Traits, *, recursive: bool
) -> Request:
    entry: dict[str, Json] = {"dataset": str(path), "name": str(name), "recursive": recursive}
    if traits.resource_snapshots:
        return Request("zfs.resource.snapshot.create", ({**entry, "user_properties": dict(marks)},))
    return Request(f"{traits.snapshots}.create", ({**entry, "properties": dict(marks)},))


def delete_snapshot(path: DatasetPath, name: SnapshotName, traits: Traits, *, recursive: bool) -> Request:
    return Request(f"{traits.snapshots}.delete", (f"{path}@{name}", {"defer": False, "recursive": recursive}))


def rollback(path: DatasetPath, name: SnapshotName, traits: Traits) -> Request:
    options = {"recursive": False, "recursive_clones": False, "force": False, "recursive_rollback": False}
    return Request(f"{traits.snapshots}.rollback", (f"{path}@{name}", options))


def clone(path: DatasetPath, name: SnapshotName, to: DatasetPath, marks: Mapping[str, str], traits: Traits) -> Request:
    """With its marks, where the release takes them in this call: see `Traits.clones_with_marks`."""
    if not traits.clones_with_marks:
        return Request("zfs.resource.snapshot.clone", ({"snapshot": f"{path}@{name}", "dataset": str(to)},))
    wanted = {"snapshot": f"{path}@{name}", "dataset_dst": str(to), "dataset_properties": dict(marks)}
    return Request(f"{traits.snapshots}.clone", (wanted,))


def promote(path: DatasetPath) -> Request:
    return Request("pool.dataset.promote", (str(path),))


# extents


def find_extent(name: str) -> Request:
    return Request("iscsi.extent.query", ([["name", "=", name]], {"select": _EXTENT_FIELDS}))


def all_extents() -> Request:
    return Request("iscsi.extent.query", ([], {"select": _EXTENT_FIELDS}))


def extents_of(volume: DatasetPath) -> Request:
    return Request("iscsi.extent.query", ([["disk", "=", f"zvol/{volume}"]], {"select": _EXTENT_FIELDS}))


def create_extent(extent: Extent) -> Request:
    return Request(
        "iscsi.extent.create",
        (
            {
                "name": extent.name,
                "type": "DISK",
                "disk": f"zvol/{extent.volume}",
                "blocksize": extent.sector.bytes,
                "serial": str(extent.serial),
                "comment": extent.comment,
                "ro": extent.read_only,
                "enabled": extent.enabled,
            },
        ),
    )


def change_extent(
    number: int, *, volume: DatasetPath | None = None, new_name: str | None = None, comment: str | None = None
) -> Request:
    changes = {"disk": f"zvol/{volume}" if volume else None, "name": new_name, "comment": comment}
    return Request("iscsi.extent.update", (number, {key: value for key, value in changes.items() if value is not None}))


def delete_extent(number: int) -> Request:
    remove_file, force = False, False
    return Request("iscsi.extent.delete", (number, remove_file, force))


# targets and mappings


def short_name(iqn: Iqn, base: Iqn) -> str:
    """How the nas stores a target's name: without its own basename, else in full."""
    return iqn.name_below(base) or str(iqn)


def find_target(iqn: Iqn, base: Iqn) -> Request:
    """Both spellings are looked for: somebody may have typed the full name of one below the basename."""
    names = list(dict.fromkeys((short_name(iqn, base), str(iqn))))
    return Request("iscsi.target.query", ([["name", "in", names]], {"select": _TARGET_FIELDS}))


def all_targets() -> Request:
    return Request("iscsi.target.query", ([], {"select": _TARGET_FIELDS}))


def create_target(target: Target, base: Iqn) -> Request:
    method = "NONE" if target.chap_tag is None else "CHAP_MUTUAL" if target.mutual else "CHAP"
    group = {
        "portal": target.portal_group,
        "initiator": target.initiator_group,
        "authmethod": method,
        "auth": target.chap_tag,
    }
    entry = {"name": short_name(target.iqn, base), "alias": None, "mode": "ISCSI", "groups": [group]}
    return Request("iscsi.target.create", (entry,))


def rename_target(number: int, new: Iqn, base: Iqn) -> Request:
    return Request("iscsi.target.update", (number, {"name": short_name(new, base)}))


def delete_target(number: int, traits: Traits) -> Request:
    force, extents_too = False, False
    flags = (force, extents_too) if traits.delete_target_with_extents else (force,)
    return Request("iscsi.target.delete", (number, *flags))


def find_mapping(target: int, extent: int) -> Request:
    return Request("iscsi.targetextent.query", ([["target", "=", target], ["extent", "=", extent]], {}))


def all_mappings() -> Request:
    return Request("iscsi.targetextent.query", ([], {}))


def create_mapping(mapping: LunMapping, target: int, extent: int) -> Request:
    return Request("iscsi.targetextent.create", ({"target": target, "extent": extent, "lunid": mapping.lun.number},))


def delete_mapping(number: int) -> Request:
    force = False
    return Request("iscsi.targetextent.delete", (number, force))


# credentials


def find_credentials(*, tag: int) -> Request:
    return Request("iscsi.auth.query", ([["tag", "=", tag]], {}))


def create_credential(credential: Credential) -> Request:
    """Targets name the tag, never the row's id; every release wants 12 to 16 characters (nas-wire.md 2.7)."""
    for secret in (credential.secret, credential.peer_secret) if credential.is_mutual else (credential.secret,):
        _refuse_length(credential.user, secret)
    return Request(
        "iscsi.auth.create",
        (
            {
                "tag": credential.tag,
                "user": credential.user,
                "secret": credential.secret.reveal(),
                "peeruser": credential.peer_user,
                "peersecret": credential.peer_secret.reveal(),
            },
        ),
    )


def change_credential(
    number: int,
    user: str,
    *,
    new_user: str | None = None,
    secret: Secret | None = None,
    peer_user: str | None = None,
    peer_secret: Secret | None = None,
) -> Request:
    """Only what changes is sent, never a secret that was read: to some accounts they come redacted."""
    for given in (secret, peer_secret if peer_secret and peer_secret.reveal() else None):
        if given is not None:
            _refuse_length(user, given)
    changes = {
        "user": new_user,
        "secret": secret.reveal() if secret else None,
        "peeruser": peer_user,
        "peersecret": peer_secret.reveal() if peer_secret else None,
    }
    return Request("iscsi.auth.update", (number, {key: value for key, value in changes.items() if value is not None}))


def _refuse_length(user: str, secret: Secret) -> None:
    if not _SECRET_LENGTH[0] <= len(secret.reveal()) <= _SECRET_LENGTH[1]:
        raise NasRefusedError(f"account {user}: a CHAP secret has 12 to 16 characters")


def delete_credential(number: int) -> Request:
    return Request("iscsi.auth.delete", (number,))


# sessions


def sessions(targets: Iterable[Iqn] | None = None) -> Request:
    """Who is logged in to these targets; to any, when there are too many to say."""
    names = sorted(str(target) for target in targets or ())
    filters = [["target", "in", names]] if 0 < len(names) <= _TOO_MANY_TO_NAME else []
    return Request("iscsi.global.sessions", (filters, {}))
