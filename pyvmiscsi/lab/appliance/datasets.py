"""pool.dataset.*, pool.query and zfs.resource.*: their rules, texts and answers (nas-wire.md 2.1 and 2.3)."""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping
from typing import Any, Protocol

from pyvmiscsi.lab.appliance import properties, queries
from pyvmiscsi.lab.appliance.dataset_shapes import FILESYSTEM_KEYS, VOLUME_KEYS
from pyvmiscsi.lab.appliance.errors import CallError, Verdict, missing, refuse
from pyvmiscsi.lab.appliance.releases import Release
from pyvmiscsi.lab.appliance.state import Dataset, Row, State
from pyvmiscsi.lab.appliance.zfs import DESCRIPTION, Usage, Zfs, ZfsError

_LONGEST_NAME = 200
_COMPONENT = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.:-]*")
_PROPERTY_NAME = re.compile(r"[a-z0-9:._-]{1,255}")
_LONGEST_PROPERTY = 8192
"""zfsprops(7): a user property's value has at most 8,192 bytes."""

_NATIVE = {
    "sync": "sync", "snapdev": "snapdev", "compression": "compression", "exec": "exec", "copies": "copies",
    "snapdir": "snapdir", "deduplication": "dedup", "checksum": "checksum", "readonly": "readonly",
    "reservation": "reservation", "refreservation": "refreservation", "aclmode": "aclmode", "acltype": "acltype",
    "atime": "atime", "casesensitivity": "casesensitivity", "quota": "quota", "refquota": "refquota",
    "recordsize": "recordsize", "special_small_block_size": "special_small_blocks",
}  # fmt: skip
"""API key to ZFS property."""


class Exports(Protocol):
    """What the datasets must know of iSCSI: who exports a volume, and how to take that away."""

    def detach(self, names: list[str]) -> None:
        """Remove the enabled DISK extents of these volumes, their mappings, and targets left without any."""

    def names_of(self, dataset: str) -> list[str]:
        """The extents of a volume."""

    def busy(self, dataset: str) -> bool:
        """The target still holds the volume for a moment after its mapping went."""

    def resize(self, dataset: str) -> None:
        """Publish the volume's new size."""


class Datasets:
    """The calls. Each method is one API method, given parameters that were already read by its shapes."""

    def __init__(self, state: State, zfs: Zfs, release: Release, exports: Exports) -> None:
        self._state = state
        self._zfs = zfs
        self._release = release
        self._exports = exports

    # pools

    def pools(self, filters: list[Any], options: Row) -> Any:
        return queries.run((self._pool(row) for row in self._state.pools), filters, options)

    def _pool(self, row: Row) -> Row:
        usage = self._zfs.usage()
        numbers = {"size": usage.capacity, "allocated": usage.total, "free": usage.free, "freeing": 0}
        pool = {
            "id": row["id"],
            "name": row["name"],
            "guid": row["guid"],
            "path": f"/mnt/{row['name']}",
            "status": "ONLINE",
            "scan": None,
            "expand": None,
            "topology": {"data": [], "log": [], "cache": [], "spare": [], "special": [], "dedup": []},
            "is_upgraded": True,
            "healthy": True,
            "warning": False,
            "status_code": "OK",
            "status_detail": None,
            **numbers,
            **{f"{name}_str": str(size) for name, size in numbers.items()},
            "fragmentation": "0",
            "autotrim": {"value": "off", "rawvalue": "off", "parsed": "off", "source": "DEFAULT"},
        }
        if self._release.number >= (25, 4):
            pool |= {"dedup_table_size": 0, "dedup_table_quota": "auto"}
        if self._release.number >= (26,):
            pool["all_sed"] = False
        return pool

    # looking

    def query(self, filters: list[Any], options: Row) -> Any:
        """Rows by the rules of the release: what is listed without children, and what `count` counts."""
        extra = options["extra"]
        chosen = self._zfs.all()
        if options["count"] and self._release.counts_all_datasets:
            return len(chosen)
        with_children = extra.get("retrieve_children", True)
        scope = _path_scope(filters)
        if scope is not None and len(filters) == 1:
            chosen = [dataset for dataset in chosen if dataset.name in scope]
        elif (not with_children and (self._release.scopes_dataset_queries or not filters)) or not extra.get(
            "flat", True
        ):
            chosen = [dataset for dataset in chosen if dataset.parent is None]
        rows = self._rows(chosen, extra, with_children=with_children)
        return queries.run(rows, filters, options, highest=10000 if self._release.limits_query_limit else 0)

    def _rows(self, chosen: list[Dataset], extra: Row, *, with_children: bool) -> list[Row]:
        usage = self._zfs.usage()
        made: dict[str, Row] = {}

        def row(dataset: Dataset) -> Row:
            if dataset.name not in made:
                made[dataset.name] = self._entry(dataset, usage, extra)
            return made[dataset.name]

        if with_children:
            by_parent: dict[str, list[Dataset]] = {}
            for dataset in self._zfs.all():
                if dataset.parent is not None:
                    by_parent.setdefault(dataset.parent, []).append(dataset)
            waiting = list(chosen)
            while waiting:
                dataset = waiting.pop()
                children = by_parent.pop(dataset.name, [])
                if children:
                    row(dataset)["children"] = [row(child) for child in children]
                    waiting += children
        return [row(dataset) for dataset in chosen]

    def _entry(self, dataset: Dataset, usage: Usage, extra: Row) -> Row:
        row = properties.entry(
            self._zfs,
            dataset,
            usage,
            properties=extra.get("properties"),
            user_properties=extra.get("retrieve_user_props", True),
        )
        if extra.get("snapshots") or extra.get("snapshots_recursive"):
            row["snapshots"] = [
                {"id": f"{dataset.name}@{leaf}", "name": f"{dataset.name}@{leaf}", "snapshot_name": leaf}
                for leaf in dataset.snapshots
            ]
        if extra.get("snapshots_count"):
            row["snapshot_count"] = len(dataset.snapshots)
        return row

    def get_instance(self, name: str, options: Row) -> Row:
        dataset = self._find(name)
        extra = options.get("extra", {})
        return self._rows([dataset], extra, with_children=extra.get("retrieve_children", True))[0]

    def attachments(self, name: str) -> list[Row]:
        self._find(name)
        extents = self._exports.names_of(name)
        return [{"type": "iSCSI Extent", "service": "iscsitarget", "attachments": extents}] if extents else []

    def recommended_blocksize(self, pool: str) -> str:
        if not self._state.pools.having("name", pool):
            raise missing("Pool", pool)
        return "16K"

    def snapshot_count(self, name: str) -> int:
        return len(self._find(name).snapshots)

    def _find(self, name: str) -> Dataset:
        dataset = self._zfs.find(name)
        if dataset is None:
            raise missing("PoolDataset", name)
        return dataset

    # making

    def create(self, data: Row) -> Row:
        verdict = Verdict("pool_dataset_create")
        name: str = data["name"]
        parent = name.rpartition("/")[0]
        self._check_name(verdict, name)
        if data["create_ancestors"] and parent:
            self._make_ancestors(parent)
        above = self._zfs.find(parent)
        if above is None:
            verdict.add("name", "Please specify a pool which exists for the dataset/volume to be created")
        elif above.is_volume:
            verdict.add("name", f"{parent}: parent is not a filesystem")
        self._check_user_properties(verdict, data["user_properties"])
        volume = data["type"] == "VOLUME"
        if volume:
            for key in FILESYSTEM_KEYS & data.keys():
                verdict.add(key, "This field is not valid for VOLUME")
            self._check_new_volume(verdict, data, parent if above else None)
        else:
            for key in VOLUME_KEYS & data.keys():
                verdict.add(key, "This field is not valid for FILESYSTEM")
            if self._zfs.find(name) is not None:
                verdict.add("name", f"Path /mnt/{name} already exists")
        verdict.check()
        if volume and data.get("snapdir", "INHERIT") != "INHERIT":
            raise CallError(
                f"Failed to create dataset: cannot create '{name}': 'snapdir' does not apply to datasets of this type"
            )
        self._make(data)
        return self.get_instance(name, {})

    def _check_name(self, verdict: Verdict, name: str) -> None:
        if "/" not in name:
            verdict.add("name", "You need a full name, e.g. pool/newdataset")
        if len(name) > _LONGEST_NAME:
            verdict.add("name", f"Dataset name length should be less than or equal to {_LONGEST_NAME}")
        if name.endswith(" "):
            verdict.add("name", "Trailing spaces are not permitted in dataset names")
        elif not all(_COMPONENT.fullmatch(part) for part in name.split("/")):
            verdict.add("name", "Invalid dataset name")

    def _check_user_properties(self, verdict: Verdict, entries: list[Row], key: str = "user_properties") -> None:
        for number, entry in enumerate(entries):
            if ":" not in entry["key"]:
                verdict.add(f"{key}.{number}.key", "User property needs a colon (:) in its name")
            elif self._release.number >= (25, 10) and not _PROPERTY_NAME.fullmatch(entry["key"]):
                verdict.add(f"{key}.{number}.key", "User property name may hold a-z, 0-9 and : . _ - only")
            if len(entry.get("value", "").encode()) > _LONGEST_PROPERTY:
                verdict.add(f"{key}.{number}.value", "User property value is too long")

    def _check_new_volume(self, verdict: Verdict, data: Row, parent: str | None) -> None:
        volsize = data.get("volsize")
        if volsize is None:
            verdict.add("volsize", "This field is required for VOLUME")
            return
        block = block_size(data.get("volblocksize", "16K"))
        if volsize <= 0 or volsize % block:
            verdict.add("volsize", "Volume size should be a multiple of volume block size")
        if parent is not None and not data.get("force_size", False):
            room = self._zfs.available(parent, self._zfs.usage())
            if volsize > room * 0.8:
                verdict.add("volsize", _EIGHTY)

    def _make_ancestors(self, parent: str) -> None:
        parts = parent.split("/")
        for depth in range(2, len(parts) + 1):
            name = "/".join(parts[:depth])
            if self._zfs.find(name) is None and self._zfs.find("/".join(parts[: depth - 1])) is not None:
                self._zfs.create_filesystem(name, {}, {})

    def _make(self, data: Row) -> None:
        name = data["name"]
        local = _native_of(data)
        user = {entry["key"]: entry["value"] for entry in data["user_properties"]}
        user |= self._described(data)
        try:
            if data["type"] == "VOLUME":
                self._zfs.create_volume(
                    name,
                    volsize=data["volsize"],
                    volblocksize=block_size(data.get("volblocksize", "16K")),
                    sparse=data.get("sparse", False),
                    local=local,
                    user=user,
                )
            else:
                self._zfs.create_filesystem(name, local, user)
        except ZfsError as error:
            number = error.number if error.number in {errno.EEXIST, errno.ENOSPC} else errno.EFAULT
            raise CallError(f"Failed to create dataset: {error.text}", number) from error

    def _described(self, data: Row) -> dict[str, str]:
        """`comments` and `managedby` as user properties; omitted they are inherited, but see the habit of 26."""
        user = {}
        comments = data.get("comments", "INHERIT")
        if comments != "INHERIT" or self._release.stores_inherit_as_comment:
            user[DESCRIPTION] = comments
        if data.get("managedby", "INHERIT") != "INHERIT":
            user["org.truenas:managedby"] = data["managedby"]
        return user

    # changing

    def update(self, name: str, data: Row) -> Row:
        dataset = self._find(name)
        verdict = Verdict("pool_dataset_update")
        if "user_properties" in data and "user_properties_update" in data:
            verdict.add(
                "user_properties_update",
                'Should not be specified when "user_properties" are explicitly specified',
            )
        self._check_user_properties(verdict, data.get("user_properties", []))
        self._check_user_properties(verdict, data.get("user_properties_update", []), "user_properties_update")
        for number, entry in enumerate(data.get("user_properties_update", [])):
            if ("value" in entry) == bool(entry.get("remove", False)):
                verdict.add(f"user_properties_update.{number}.value", "Either value or remove must be specified")
        if dataset.is_volume:
            for key in FILESYSTEM_KEYS & data.keys():
                verdict.add(key, "This field is not valid for VOLUME")
            if "volsize" in data:
                self._check_new_size(verdict, dataset, data)
        else:
            for key in {"volsize", "force_size"} & data.keys():
                verdict.add(key, "This field is not valid for FILESYSTEM")
        verdict.check()
        self._change(dataset, data)
        return self.get_instance(name, {})

    def _check_new_size(self, verdict: Verdict, dataset: Dataset, data: Row) -> None:
        volsize = data["volsize"]
        if volsize < dataset.volsize:
            verdict.add("volsize", "You cannot shrink a zvol from GUI, this may lead to data loss.")
        if volsize % dataset.volblocksize:
            verdict.add("volsize", "Volume size should be a multiple of volume block size")
        usage = self._zfs.usage()
        parent = dataset.parent or dataset.name
        room = self._zfs.available(parent, usage) + usage.used[dataset.name]
        if volsize > room * 0.8 and volsize != dataset.volsize and not data.get("force_size", False):
            verdict.add("volsize", _EIGHTY)

    def _change(self, dataset: Dataset, data: Row) -> None:
        for key, own in _NATIVE.items():
            if key not in data:
                continue
            if data[key] == "INHERIT":
                dataset.local.pop(own, None)
            else:
                dataset.local[own] = _native_text(data[key])
        if "comments" in data:
            if data["comments"] == "INHERIT":
                dataset.user.pop(DESCRIPTION, None)
            else:
                dataset.user[DESCRIPTION] = data["comments"]
        for entry in [*data.get("user_properties", []), *data.get("user_properties_update", [])]:
            if entry.get("remove", False):
                # zfs inherit: the dataset's own value goes, an ancestor's shows again
                dataset.user.pop(entry["key"], None)
            else:
                dataset.user[entry["key"]] = entry["value"]
        if dataset.is_volume and data.get("volsize", dataset.volsize) != dataset.volsize:
            try:
                self._zfs.grow(dataset.name, data["volsize"])
            except ZfsError as error:
                raise CallError(f"Failed to update dataset: {error.text}", error.number) from error
            self._exports.resize(dataset.name)

    def rename(self, name: str, data: Row) -> None:
        if not data["force"]:
            raise refuse(
                "pool.dataset.rename.force",
                "No safety checks are performed when renaming ZFS resources; this may break existing usages."
                " If you understand the risks, please set force and proceed.",
            )
        self._find(name)
        try:
            self._zfs.rename(name, data["new_name"])
        except ZfsError as error:
            raise CallError(f"Failed to rename dataset: {error.text}", error.number) from error

    def promote(self, name: str) -> None:
        self._find(name)
        try:
            self._zfs.promote(name)
        except ZfsError as error:
            raise CallError(f"Failed to promote dataset: {error.text}") from error

    # taking away

    def delete(self, name: str, options: Row) -> bool | None:
        """Delete by the release's own rules; its exports go first, whatever then happens to the dataset."""
        dataset = self._find(name)
        if dataset.parent is None:
            raise refuse("id", "Root dataset cannot be deleted")
        recursive, modern = options["recursive"], self._release.number >= (26,)
        doomed = [dataset, *(self._zfs.below(name) if recursive else [])]
        if modern and not recursive and (dataset.snapshots or self._zfs.children(name)):
            raise refuse("options.recursive", f"{name} has children", errno.ENOTEMPTY)
        if not recursive and self._zfs.children(name):
            text = f"Failed to delete dataset: cannot destroy '{name}': filesystem has children"
            raise CallError(text, errno.ENOTEMPTY)
        self._exports.detach([one.name for one in doomed if one.is_volume])
        try:
            if any(self._exports.busy(one.name) for one in doomed):
                raise ZfsError(errno.EBUSY, f"cannot destroy '{name}': dataset is busy")
            self._zfs.destroy(name, recursive=recursive, clones_too=modern and recursive)
        except ZfsError as error:
            if self._release.swallows_destroy_errors:
                return True
            if error.number == errno.ENOENT:
                return None
            number = error.number if error.number in {errno.EBUSY, errno.ENOTEMPTY} else errno.EFAULT
            raise CallError(f"Failed to delete dataset: {error.text}", number) from error
        return True

    # zfs.resource

    def resource_query(self, data: Row) -> list[Row]:
        """Rows of these paths and, asked for, of all below; an unknown path is not listed."""
        usage = self._zfs.usage()
        found = [self._zfs.find(path) for path in data["paths"]] if data["paths"] else [self._zfs.find(self._root())]
        rows = []
        for dataset in found:
            if dataset is None:
                continue
            rows.append(dataset)
            if data["get_children"]:
                deepest = data.get("max_depth", 0)
                for child in self._zfs.below(dataset.name):
                    if not deepest or child.name.count("/") - dataset.name.count("/") <= deepest:
                        rows.append(child)
        wanted = data["properties"]
        chosen = _DEFAULT_RESOURCE if wanted == [] else ([] if wanted is None else wanted)
        made = {
            dataset.name: properties.resource(
                self._zfs,
                dataset,
                usage,
                properties=chosen,
                user=data["get_user_properties"],
                source=data["get_source"],
            )
            for dataset in rows
        }
        if not data["nest_results"]:
            return list(made.values())
        top: list[Row] = []
        for name, row in made.items():
            above = made.get(name.rpartition("/")[0])
            (top if above is None else above["children"]).append(row)
        return top

    def _root(self) -> str:
        return next(str(row["name"]) for row in self._state.pools)

    def resource_destroy(self, data: Row) -> None:
        name = data["path"]
        if "@" in name:
            raise refuse("zfs.resource.destroy.path", "Use zfs.resource.snapshot.destroy for snapshots")
        if self._zfs.find(name) is None:
            raise refuse("zfs.resource.destroy", f"{name} does not exist", errno.ENOENT)
        try:
            if self._exports.busy(name) or self._exports.names_of(name):
                raise ZfsError(errno.EBUSY, f"cannot destroy '{name}': dataset is busy")
            self._zfs.destroy(name, recursive=data["recursive"], clones_too=data["recursive"])
        except ZfsError as error:
            raise refuse("zfs.resource.destroy", error.text, error.number) from error


_EIGHTY = "It is not recommended to use more than 80% of your available space for VOLUME"
_DEFAULT_RESOURCE = (
    "available", "compression", "creation", "origin", "quota", "readonly", "recordsize", "referenced", "refquota",
    "refreservation", "reservation", "used", "usedbysnapshots", "volblocksize", "volsize",
)  # fmt: skip


def block_size(text: str) -> int:
    """`16K` in bytes."""
    return int(text[:-1]) * 1024 if text.endswith("K") else int(text.removesuffix("B"))


def _path_scope(filters: list[Any]) -> set[str] | None:
    """The paths a filter on id or name asks for, which the older releases look up instead of scanning."""
    if len(filters) == 1 and len(filters[0]) == 3 and filters[0][0] in {"id", "name"}:
        _, operator, wanted = filters[0]
        if operator == "=" and isinstance(wanted, str):
            return {wanted}
        if operator == "in" and isinstance(wanted, list):
            return set(wanted)
    return None


def _native_of(data: Mapping[str, Any]) -> dict[str, str]:
    return {
        own: _native_text(data[key])
        for key, own in _NATIVE.items()
        if key in data and data[key] not in {"INHERIT", None} and own != "special_small_blocks"
    }


def _native_text(value: Any) -> str:
    return str(value or 0) if isinstance(value, int) or value is None else str(value).lower()
