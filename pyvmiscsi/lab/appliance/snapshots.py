"""zfs.snapshot.* (25.04 and before), pool.snapshot.* (25.10+) and zfs.resource.snapshot.* (26) (nas-wire.md 2.12)."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from typing import Any

from pyvmiscsi.lab.appliance import properties, queries
from pyvmiscsi.lab.appliance.errors import CallError, missing, refuse
from pyvmiscsi.lab.appliance.releases import Release
from pyvmiscsi.lab.appliance.shapes import (
    Boolean,
    Integer,
    ListOf,
    Nullable,
    Parameter,
    Record,
    Text,
    optional,
    required,
)
from pyvmiscsi.lab.appliance.state import Dataset, Row, Snapshot, State
from pyvmiscsi.lab.appliance.zfs import Zfs, ZfsError

_OPEN = Record({}, open=True)
_RECURSIVE = Record({"recursive": optional(Boolean(), False)})
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.: ")
_HOLD = "truenas"
"""The one tag that the API's holds have."""


def snapshot_methods_parameters(release: Release) -> dict[str, tuple[Parameter, ...]]:
    """By verb; `rename` came with 25.10, `suspend_vms` went then."""
    number = Parameter("id", Text())
    made = {
        "dataset": required(Text(shortest=1)),
        "name": optional(Text(shortest=1)),
        "naming_schema": optional(Text(shortest=1)),
        "recursive": optional(Boolean(), False),
        "exclude": optional(ListOf(Text()), []),
        "vmware_sync": optional(Boolean(), False),
        "properties": optional(_OPEN, {}),
    }
    if release.snapshot_service == "zfs.snapshot" or release.number >= (26,):
        made["suspend_vms"] = optional(Boolean(), False)
    change = Record({"key": required(Text(pattern=".*:.*")), "value": required(Text())})
    if not release.strict_datasets:
        change = Record({"key": required(Text()), "value": optional(Text()), "remove": optional(Boolean())})
    changes = Record(
        {"user_properties_update": optional(ListOf(change), []), "user_properties_remove": optional(ListOf(Text()), [])}
    )
    back = Record(
        {
            "recursive": optional(Boolean(), False),
            "recursive_clones": optional(Boolean(), False),
            "force": optional(Boolean(), False),
            "recursive_rollback": optional(Boolean(), False),
        }
    )
    cloned = Record(
        {
            "snapshot": required(Text(shortest=1)),
            "dataset_dst": required(Text(shortest=1)),
            "dataset_properties": optional(_OPEN, {}),
        }
    )
    gone = Record({"defer": optional(Boolean(), False), "recursive": optional(Boolean(), False)})
    verbs: dict[str, tuple[Parameter, ...]] = {
        "query": queries.PARAMETERS,
        "get_instance": (number, Parameter("options", queries.OPTIONS, {})),
        "create": (Parameter("data" if release.strict_datasets else "snapshot_create", Record(made)),),
        "update": (number, Parameter("data" if release.strict_datasets else "snapshot_update", changes)),
        "delete": (number, Parameter("options", gone, {})),
        "clone": (Parameter("data" if release.strict_datasets else "snapshot_clone", cloned),),
        "rollback": (number, Parameter("options", back, {})),
        "hold": (number, Parameter("options", _RECURSIVE, {})),
        "release": (number, Parameter("options", _RECURSIVE, {})),
    }
    if release.number >= (25, 10):
        renamed = {"new_name": required(Text(shortest=1)), "force": optional(Boolean(), False)}
        if release.number >= (26,):
            renamed["recursive"] = optional(Boolean(), False)
        verbs["rename"] = (number, Parameter("options", Record(renamed)))
    return verbs


class Snapshots:
    """The calls."""

    def __init__(self, state: State, zfs: Zfs, release: Release) -> None:
        self._state = state
        self._zfs = zfs
        self._release = release
        self._class = "PoolSnapshot" if release.number >= (25, 10) else "ZFSSnapshot"

    def _all(self) -> Iterator[tuple[Dataset, Snapshot]]:
        for dataset in self._zfs.all():
            for snapshot in dataset.snapshots.values():
                yield dataset, snapshot

    def _find(self, full: str) -> tuple[Dataset, Snapshot]:
        try:
            return self._zfs.split_snapshot(full)
        except ZfsError as error:
            raise missing(self._class, full) from error

    def _entry(self, dataset: Dataset, snapshot: Snapshot, extra: Row, *, bare: bool = False) -> Row:
        full = f"{dataset.name}@{snapshot.name}"
        row: Row = {
            "id": full,
            "name": full,
            "snapshot_name": snapshot.name,
            "dataset": dataset.name,
            "pool": dataset.pool,
            "type": "SNAPSHOT",
            "createtxg": str(snapshot.createtxg),
        }
        if not bare:
            shown: Row = {}
            if self._release.number < (26,):
                shown = dict(properties.snapshot_properties(snapshot, self._size(snapshot)))
                wanted = extra.get("properties")
                if wanted is not None:  # of the native ones: user properties come with every answer
                    shown = {key: value for key, value in shown.items() if key in wanted or ":" in key}
                for key, value in self._zfs.user_properties(dataset).items():
                    inherited = {"value": value.raw, "rawvalue": value.raw, "parsed": value.raw, "source": "INHERITED"}
                    shown.setdefault(key, inherited)
            row["properties"] = shown
        if extra.get("holds"):
            row["holds"] = dict(snapshot.holds)
        if extra.get("retention"):
            row["retention"] = None
        return row

    def _size(self, snapshot: Snapshot) -> int:
        path = self._zfs.file_of(snapshot)
        return path.stat().st_blocks * 512 if path.exists() else 0

    def query(self, filters: list[Any], options: Row) -> Any:
        extra = options["extra"]
        low, high = extra.get("min_txg", 0), extra.get("max_txg", 0)
        bare = options["count"] or options["select"] == ["name"]
        rows = (
            self._entry(dataset, snapshot, extra, bare=bare)
            for dataset, snapshot in self._all()
            if snapshot.createtxg >= low and (not high or snapshot.createtxg <= high)
        )
        return queries.run(rows, filters, options, highest=10000 if self._release.limits_query_limit else 0)

    def get_instance(self, full: str, options: Row) -> Row:
        return self._entry(*self._find(full), options.get("extra", {}))

    def create(self, data: Row) -> Row:
        dataset = data["dataset"]
        if self._zfs.find(dataset) is None:
            raise refuse("snapshot_create.dataset", f"{dataset} not found", errno.ENOENT)
        if ("name" in data) == ("naming_schema" in data):
            raise refuse("snapshot_create.name", "Either name or naming_schema is required")
        leaf = data["name"] if "name" in data else time.strftime(data["naming_schema"], time.gmtime())
        if not leaf or set(leaf) - _NAME_CHARACTERS:
            raise refuse("snapshot_create.name", "Invalid snapshot name")
        user = {key: str(value) for key, value in data["properties"].items() if ":" in key}
        try:
            self._zfs.snapshot(dataset, leaf, user, recursive=data["recursive"])
        except ZfsError as error:
            text = f"Failed to snapshot {dataset}@{leaf}: dataset already exists"
            raise CallError(text if error.number == errno.EEXIST else error.text, error.number) from error
        return self._entry(*self._find(f"{dataset}@{leaf}"), {})

    def update(self, full: str, data: Row) -> Row:
        dataset, snapshot = self._find(full)
        if self._release.number < (26,):  # 26.0 beta accepts and ignores it
            for one in data["user_properties_update"]:
                if one.get("remove"):
                    snapshot.user.pop(one["key"], None)
                else:
                    snapshot.user[one["key"]] = one["value"]
            for key in data["user_properties_remove"]:
                snapshot.user.pop(key, None)
        return self._entry(dataset, snapshot, {})

    def delete(self, full: str, options: Row) -> bool:
        self._find(full)
        clones = ", ".join(clone.name for clone in self._zfs.clones_of(full))
        if clones and not options["defer"]:
            text = f"Please set this attribute as '{full}' snapshot has dependent clones: {clones}"
            raise refuse("options.defer", text)
        try:
            self._destroy(full, recursive=options["recursive"], defer=options["defer"])
        except ZfsError as error:
            raise CallError(error.text, error.number) from error
        return True

    def _destroy(self, full: str, *, recursive: bool, defer: bool) -> None:
        """All or none, as lzc_destroy_snaps() does it."""
        name, _, leaf = full.partition("@")
        below = self._zfs.below(name) if recursive else []
        doomed = [f"{child.name}@{leaf}" for child in below if leaf in child.snapshots] + [full]
        for one in sorted(doomed, key=self._may_go):  # so that what must stay is refused before anything goes
            self._zfs.destroy_snapshot(one, defer=defer)

    def _may_go(self, full: str) -> bool:
        return not self._zfs.clones_of(full) and not self._zfs.split_snapshot(full)[1].holds

    def clone(self, data: Row) -> bool:
        self._find(data["snapshot"])
        local, user = self._of_clone(data["dataset_properties"])
        try:
            self._zfs.clone(data["snapshot"], data["dataset_dst"], local, user)
        except ZfsError as error:
            raise CallError(f"Failed to clone snapshot: {error.text}", error.number) from error
        return True

    def _of_clone(self, given: Row) -> tuple[dict[str, str], dict[str, str]]:
        """Native and user properties; from 26 the library beneath takes native ones alone."""
        user = {key: str(value) for key, value in given.items() if ":" in key}
        if user and self._release.number >= (26,):
            raise CallError(f"{next(iter(user))}: not a valid ZFS property.", errno.EINVAL)
        return {key: str(value) for key, value in given.items() if key not in user}, user

    def rollback(self, full: str, options: Row) -> None:
        self._find(full)
        try:
            self._zfs.rollback(full, recursive=options["recursive"], recursive_clones=options["recursive_clones"])
        except ZfsError as error:
            raise CallError(f"Failed to rollback snapshot: {error.text}") from error

    def hold(self, full: str, options: Row) -> None:
        for snapshot in self._same_named(full, recursive=options["recursive"]):
            snapshot.holds[_HOLD] = int(time.time())

    def release(self, full: str, options: Row) -> None:
        for snapshot in self._same_named(full, recursive=options["recursive"]):
            snapshot.holds.pop(_HOLD, None)

    def _same_named(self, full: str, *, recursive: bool) -> list[Snapshot]:
        dataset, snapshot = self._find(full)
        below = self._zfs.below(dataset.name) if recursive else []
        return [snapshot, *(one.snapshots[snapshot.name] for one in below if snapshot.name in one.snapshots)]

    def rename(self, full: str, options: Row) -> None:
        if not options["force"]:
            raise refuse(
                "options.force",
                "No safety checks are performed when renaming ZFS resources; this may break existing usages."
                " If you understand the risks, please set force and proceed.",
            )
        dataset, _ = self._find(full)
        name, _, leaf = options["new_name"].partition("@")
        if name != dataset.name or not leaf:
            raise refuse("options.new_name", "Only the part after @ may change")
        try:
            self._zfs.rename_snapshot(full, leaf)
        except ZfsError as error:
            raise CallError(error.text, error.number) from error

    # zfs.resource.snapshot.*, 26

    def resource_methods(self) -> dict[str, tuple[tuple[Parameter, ...], Callable[..., Any], str]]:
        """By verb: parameters, what runs, and `read` or `write`."""
        path, yes_no = required(Text(shortest=1)), optional(Boolean(), False)

        def data(**keys: Any) -> tuple[Parameter, ...]:
            return (Parameter("data", Record(keys)),)

        texts = ListOf(Text())
        looking = {
            "paths": optional(texts, []),
            "recursive": yes_no,
            "properties": optional(Nullable(texts), []),
            "get_user_properties": yes_no,
            "get_source": yes_no,
            "get_holds": yes_no,
            "min_txg": optional(Integer(), 0),
            "max_txg": optional(Integer(), 0),
        }
        return {
            "query": ((Parameter("data", Record(looking), {}),), self.resource_query, "read"),
            "count": (
                (Parameter("data", Record({"paths": optional(texts, []), "recursive": yes_no}), {}),),
                self.resource_count,
                "read",
            ),
            "create": (
                data(
                    dataset=path,
                    name=path,
                    recursive=yes_no,
                    exclude=optional(texts, []),
                    user_properties=optional(_OPEN, {}),
                ),
                self.resource_create,
                "write",
            ),
            "destroy": (
                data(path=path, recursive=yes_no, all_snapshots=yes_no, defer=yes_no),
                self.resource_destroy,
                "write",
            ),
            "clone": (
                data(snapshot=path, dataset=path, properties=optional(_OPEN, {})),
                self.resource_clone,
                "write",
            ),
            "rollback": (
                data(path=path, recursive=yes_no, recursive_clones=yes_no, force=yes_no, recursive_rollback=yes_no),
                self.resource_rollback,
                "write",
            ),
        }

    def resource_query(self, data: Row) -> list[Row]:
        return [self._resource(dataset, snapshot, data) for dataset, snapshot in self._chosen(data)]

    def resource_count(self, data: Row) -> dict[str, int]:
        counts: dict[str, int] = {}
        for dataset, _ in self._chosen({**data, "min_txg": 0, "max_txg": 0}):
            counts[dataset.name] = counts.get(dataset.name, 0) + 1
        return counts

    def _chosen(self, data: Row) -> list[tuple[Dataset, Snapshot]]:
        paths = data["paths"]

        def wanted(dataset: Dataset, snapshot: Snapshot) -> bool:
            full = f"{dataset.name}@{snapshot.name}"
            inside = not paths or any(
                path in {dataset.name, full} or (data["recursive"] and dataset.name.startswith(f"{path}/"))
                for path in paths
            )
            high = data["max_txg"]
            return inside and snapshot.createtxg >= data["min_txg"] and (not high or snapshot.createtxg <= high)

        return [(dataset, snapshot) for dataset, snapshot in self._all() if wanted(dataset, snapshot)]

    def _resource(self, dataset: Dataset, snapshot: Snapshot, data: Row) -> Row:
        values = {"creation": snapshot.creation, "used": self._size(snapshot), "referenced": self._size(snapshot)}
        source = {"type": "NONE", "value": None} if data["get_source"] else None
        wanted = data["properties"]
        shown = None
        if wanted is not None:
            shown = {
                key: {"raw": str(value), "source": source, "value": value}
                for key, value in values.items()
                if not wanted or key in wanted
            }
        return {
            "createtxg": snapshot.createtxg,
            "guid": snapshot.guid,
            "name": f"{dataset.name}@{snapshot.name}",
            "snapshot_name": snapshot.name,
            "dataset": dataset.name,
            "pool": dataset.pool,
            "type": "SNAPSHOT",
            "properties": shown,
            "user_properties": self._user_properties(dataset, snapshot) if data["get_user_properties"] else None,
            "holds": list(snapshot.holds) if data["get_holds"] else None,
        }

    def _user_properties(self, dataset: Dataset, snapshot: Snapshot) -> dict[str, str]:
        """The snapshot's own over those of its dataset, which it inherits (zfsprops(7))."""
        return {key: value.raw for key, value in self._zfs.user_properties(dataset).items()} | snapshot.user

    def _resource_call(self, attribute: str, call: Callable[[], None]) -> None:
        try:
            call()
        except ZfsError as error:
            raise refuse(f"zfs.resource.snapshot.{attribute}", error.text, error.number) from error

    def resource_create(self, data: Row) -> Row:
        user = {key: str(value) for key, value in data["user_properties"].items()}
        name, leaf = data["dataset"], data["name"]
        self._resource_call("create", lambda: self._zfs.snapshot(name, leaf, user, recursive=data["recursive"]))
        looking = {"properties": [], "get_user_properties": True, "get_source": False, "get_holds": False}
        return self._resource(*self._find(f"{name}@{leaf}"), looking)

    def resource_destroy(self, data: Row) -> None:
        path = data["path"]
        if data["all_snapshots"]:
            dataset = self._zfs.find(path)
            for leaf in list(dataset.snapshots) if dataset else []:
                full = f"{path}@{leaf}"
                self._resource_call("destroy", lambda full=full: self._destroy(full, recursive=False, defer=False))  # type: ignore[misc]
            return
        self._resource_call("destroy", lambda: self._destroy(path, recursive=data["recursive"], defer=data["defer"]))

    def resource_clone(self, data: Row) -> None:
        local, user = self._of_clone(data["properties"])
        self._resource_call("clone", lambda: self._zfs.clone(data["snapshot"], data["dataset"], local, user))

    def resource_rollback(self, data: Row) -> None:
        self._resource_call(
            "rollback",
            lambda: self._zfs.rollback(
                data["path"], recursive=data["recursive"], recursive_clones=data["recursive_clones"]
            ),
        )
