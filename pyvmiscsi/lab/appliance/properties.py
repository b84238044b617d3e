"""How the API shows a ZFS property: `{"parsed", "rawvalue", "value", "source", "source_info"}` (nas-wire.md 2.3)."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from pyvmiscsi.lab.appliance.state import Dataset, Snapshot
from pyvmiscsi.lab.appliance.zfs import DESCRIPTION, FILESYSTEM_ONLY, VOLUME_ONLY, Usage, Value, Zfs

_API_NAMES = {"dedup": "deduplication", "special_small_blocks": "special_small_block_size"}
"""Where the API has another word for ZFS's property."""

_UPPER = frozenset(
    {
        "aclmode", "acltype", "xattr", "atime", "casesensitivity", "checksum", "exec", "sync", "compression",
        "deduplication", "readonly", "snapdir", "snapdev",
    }
)  # fmt: skip
_SHOWN = frozenset(
    {
        "deduplication", "aclmode", "acltype", "xattr", "atime", "casesensitivity", "checksum", "exec", "sync",
        "compression", "quota", "refquota", "reservation", "refreservation", "copies", "snapdir", "readonly",
        "recordsize", "special_small_block_size", "snapdev",
    }
)  # fmt: skip
"""The native properties of an entry; the rest of ZFS's is not shown by pool.dataset.query."""

_SIZES = frozenset(
    {
        "quota", "refquota", "reservation", "refreservation", "recordsize", "volsize", "volblocksize", "used",
        "available", "referenced", "usedbysnapshots", "usedbydataset", "usedbyrefreservation", "usedbychildren",
        "special_small_block_size",
    }
)  # fmt: skip
_NONE_WHEN_ZERO = frozenset({"quota", "refquota", "reservation", "refreservation"})


def human(size: int) -> str:
    """`10G`, `1.50M`, `512B`: three digits, as zfs list prints."""
    if size < 1024:
        return f"{size}B" if size else "0B"
    value, unit = float(size), ""
    for suffix in "KMGTPE":
        value, unit = value / 1024, suffix
        if value < 1024:
            break
    if value == int(value):
        return f"{int(value)}{unit}"
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f}{unit}"


def shown(name: str, value: Value) -> dict[str, Any]:
    """One property of an entry."""
    parsed: Any = value.raw
    text: str | None = value.raw
    raw = value.raw
    if name in _SIZES:
        number = int(raw)
        parsed, text = (None, None) if name in _NONE_WHEN_ZERO and number == 0 else (number, human(number))
    elif name == "creation":
        seconds = int(raw)
        parsed, text = {"$date": seconds * 1000}, time.strftime("%a %b %e %H:%M %Y", time.gmtime(seconds))
    elif name == "compressratio":
        text = f"{raw}x"
    elif name == "origin":
        text = raw.upper()  # nas-wire.md 2.3: upper-cased, so that clients must read rawvalue
    elif name in _UPPER:
        text = raw.upper()
        parsed = {"on": True, "off": False}.get(raw, raw) if name in {"readonly", "atime", "exec"} else raw
    return {
        "parsed": parsed,
        "rawvalue": raw,
        "value": text,
        "source": value.source,
        "source_info": value.source_info,
    }


def entry(
    zfs: Zfs,
    dataset: Dataset,
    usage: Usage,
    *,
    properties: Collection[str] | None = None,
    user_properties: bool = True,
) -> dict[str, Any]:
    """A row of pool.dataset.query without its children; `properties` None means all, an empty list none."""
    row: dict[str, Any] = {
        "id": dataset.name,
        "type": dataset.type,
        "name": dataset.name,
        "pool": dataset.pool,
        "encrypted": False,
        "encryption_root": None,
        "key_loaded": False,
        "children": [],
    }
    if user_properties:
        values = zfs.user_properties(dataset)
        row["user_properties"] = {
            key: shown(key, value) for key, value in values.items() if key != DESCRIPTION and ":managedby" not in key
        }
        if DESCRIPTION in values:
            row["comments"] = shown("comments", values[DESCRIPTION])
        if "org.truenas:managedby" in values:
            row["managedby"] = shown("managedby", values["org.truenas:managedby"])
    for name, read in _readers(zfs, dataset, usage).items():
        if name == "referenced":  # zfs.resource.query has it, no published entry does
            continue
        if properties is None or name in properties or _ZFS_NAMES.get(name, name) in properties:
            row[name] = shown(name, read())
    row["mountpoint"] = None if dataset.is_volume else f"/mnt/{dataset.name}"
    row["locked"] = False
    return row


_ZFS_NAMES = {api: zfs for zfs, api in _API_NAMES.items()}


def _readers(zfs: Zfs, dataset: Dataset, usage: Usage) -> dict[str, Callable[[], Value]]:
    """By API name, how to read each property the dataset has."""

    def native(name: str) -> Callable[[], Value]:
        return lambda: zfs.native(dataset, name)

    def number(value: Callable[[], int], source: str = "NONE") -> Callable[[], Value]:
        return lambda: Value(str(value()), source)

    name = dataset.name
    hidden = FILESYSTEM_ONLY if dataset.is_volume else VOLUME_ONLY
    readers: dict[str, Callable[[], Value]] = {}
    for api in sorted(_SHOWN):
        own = _ZFS_NAMES.get(api, api)
        if own not in hidden:
            readers[api] = native(own)
    if dataset.is_volume:
        readers["volsize"] = number(lambda: dataset.volsize, "LOCAL")
        readers["volblocksize"] = number(
            lambda: dataset.volblocksize, "DEFAULT" if dataset.volblocksize == 16384 else "LOCAL"
        )
    readers["used"] = number(lambda: usage.used[name])
    readers["available"] = number(lambda: zfs.available(name, usage))
    readers["referenced"] = number(lambda: usage.referenced[name])
    readers["usedbydataset"] = number(lambda: usage.referenced[name])
    readers["usedbysnapshots"] = number(lambda: usage.snapshots[name])
    readers["usedbyrefreservation"] = number(
        lambda: max(0, int(zfs.native(dataset, "refreservation").raw) - usage.referenced[name])
    )
    readers["usedbychildren"] = number(lambda: usage.children[name])
    readers["compressratio"] = lambda: Value("1.00", "NONE")
    readers["origin"] = lambda: Value(dataset.origin or "", "NONE")
    readers["creation"] = lambda: Value(str(dataset.creation), "NONE")
    readers["key_format"] = lambda: Value("none", "DEFAULT")
    readers["encryption_algorithm"] = lambda: Value("off", "DEFAULT")
    readers["pbkdf2iters"] = lambda: Value("0", "DEFAULT")
    return readers


def resource(
    zfs: Zfs, dataset: Dataset, usage: Usage, *, properties: Collection[str] | None, user: bool, source: bool
) -> dict[str, Any]:
    """A row of zfs.resource.query: numbers as numbers, user properties as bare texts that hide their source."""
    values: dict[str, Any] | None = None
    if properties is None or properties:
        values = {}
        for api, read in _readers(zfs, dataset, usage).items():
            name = _ZFS_NAMES.get(api, api)
            if properties is None or name in properties:
                values[name] = _resource_value(name, read(), source=source)
    users: dict[str, str] | None = None
    if user:
        found = zfs.user_properties(dataset)
        users = {("comments" if key == DESCRIPTION else key): value.raw for key, value in found.items()}
    return {
        "createtxg": dataset.createtxg,
        "guid": dataset.guid,
        "name": dataset.name,
        "pool": dataset.pool,
        "type": dataset.type,
        "properties": values,
        "user_properties": users,
        "children": [],
    }


def _resource_value(name: str, value: Value, *, source: bool) -> dict[str, Any]:
    """`{"raw", "value", "source"}`; a filesystem's absent origin is `none` (live rows of 26.0)."""
    raw = (value.raw or "none") if name == "origin" else value.raw
    parsed: Any = None if raw == "none" else int(raw) if raw.isdigit() else raw
    return {
        "raw": raw,
        "source": {"type": value.source, "value": value.source_info} if source else None,
        "value": parsed,
    }


def snapshot_properties(snapshot: Snapshot, used: int) -> Mapping[str, Any]:
    """The properties of a snapshot's entry."""
    created = shown("creation", Value(str(snapshot.creation), "NONE"))
    values = {"creation": created, "used": shown("used", Value(str(used), "NONE"))}
    values["referenced"] = shown("referenced", Value(str(used), "NONE"))
    values["createtxg"] = shown("createtxg", Value(str(snapshot.createtxg), "NONE"))
    values |= {key: shown(key, Value(text, "LOCAL")) for key, text in snapshot.user.items()}
    for value in values.values():
        value.pop("source_info", None)
    return values
