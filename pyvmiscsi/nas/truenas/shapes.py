"""What a TrueNAS answers, read into nouns. Pure.

Unknown fields are let be; a field that is used and missing, or of another type, is a NasProtocolError that names it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from pyvmiscsi.errors import ConflictError, NasAuthError, NasProtocolError
from pyvmiscsi.model import Credential, Dataset, Extent, Marks, NasSession, Snapshot, Target, Volume
from pyvmiscsi.model import Mapping as LunMapping
from pyvmiscsi.names import DatasetPath, Iqn, Lun, Serial, SnapshotName
from pyvmiscsi.nas.truenas.requests_text import MARK_PREFIX
from pyvmiscsi.nas.truenas.rpc import Json
from pyvmiscsi.secrets import REDACTED, Secret
from pyvmiscsi.units import Size

T = TypeVar("T")

_ZVOL = "zvol/"
_AUTH_METHODS = ("NONE", "CHAP", "CHAP_MUTUAL")


class Row:
    """One object of an answer, whose fields are taken by name and type."""

    def __init__(self, method: str, value: Json) -> None:
        if not isinstance(value, dict):
            raise NasProtocolError(f"{method}: an object was expected, and {_kind(value)} came")
        self.method = method
        self._fields: dict[str, Json] = value

    def take(self, name: str, kind: type[T]) -> T:
        if name not in self._fields:
            raise NasProtocolError(f"{self.method}: the answer has no {name!r}")
        value = self._fields[name]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise NasProtocolError(f"{self.method}: {name!r} is {_kind(value)}, not {kind.__name__}")
        return value

    def take_or_none(self, name: str, kind: type[T]) -> T | None:
        return None if self._fields.get(name) is None else self.take(name, kind)

    def has(self, name: str) -> bool:
        return self._fields.get(name) is not None

    def row(self, name: str) -> Row:
        return Row(f"{self.method}: {name!r}", self.take(name, dict))


def _kind(value: Json) -> str:
    return "nothing" if value is None else f"a value of type {type(value).__name__}"


def rows(method: str, answer: Json) -> list[Row]:
    """The objects of a list answer."""
    if not isinstance(answer, list):
        raise NasProtocolError(f"{method}: a list was expected, and {_kind(answer)} came")
    return [Row(method, value) for value in answer]


def row_id(row: Row) -> int:
    """The row's number in the appliance's tables, which never leaves the adapter."""
    return row.take("id", int)


def basename(answer: Json) -> Iqn:
    return Iqn.parse(Row("iscsi.global.config", answer).take("basename", str))


def version(answer: Json) -> str:
    if not isinstance(answer, str):
        raise NasProtocolError(f"system.version: a text was expected, and {_kind(answer)} came")
    return answer


# datasets and volumes


@dataclass(frozen=True, slots=True)
class Resource:
    """A filesystem or zvol as `pool.dataset.*` or `zfs.resource.query` tells it, before it is a noun."""

    name: str
    is_volume: bool
    numbers: dict[str, int | None]
    origin: str | None
    compression: str | None
    marks: Marks
    method: str

    def is_below(self, parent: DatasetPath) -> bool:
        return self.name.startswith(f"{parent}/")

    def dataset(self) -> Dataset:
        return Dataset(DatasetPath.parse(self.name), self.marks)

    def volume(self) -> Volume:
        size, used = self._number("volsize"), self.numbers.get("used")
        block = self.numbers.get("volblocksize")
        return Volume(
            DatasetPath.parse(self.name),
            Size(size),
            thick=bool(self.numbers.get("refreservation")),
            block_size=Size(block) if block else None,
            marks=self.marks,
            used=None if used is None else Size(used),
            origin=self.origin,
            compression=self.compression,
        )

    def _number(self, name: str) -> int:
        number = self.numbers.get(name)
        if number is None:
            raise NasProtocolError(f"{self.method}: the answer has no {name!r} for {self.name}")
        return number


_TEXTS = ("origin", "compression")


def resource(row: Row) -> Resource:
    """One row of `pool.dataset.query`, or the answer to a create or update, without its children."""
    properties = {
        name: row.row(name) for name in ("volsize", "volblocksize", "refreservation", "used") if _has(row, name)
    }
    texts = {name: row.row(name).take_or_none("rawvalue", str) for name in _TEXTS if _has(row, name)}
    return Resource(
        row.take("id", str),
        row.take("type", str) == "VOLUME",
        {name: _number(found) for name, found in properties.items()},
        _origin(texts.get("origin")),
        texts.get("compression"),
        _marks(row),
        row.method,
    )


def _has(row: Row, name: str) -> bool:
    return row.take_or_none(name, dict) is not None


def _number(found: Row) -> int | None:
    """`parsed` is the number, or None for "none"; some releases leave it a text there and give `rawvalue` digits."""
    with suppress(NasProtocolError):
        return found.take_or_none("parsed", int)
    raw = found.take("rawvalue", str)
    if not raw.isdecimal():
        raise NasProtocolError(f"{found.method}: {raw!r} is not a number")
    return int(raw)


def _origin(raw: str | None) -> str | None:
    return None if raw in (None, "", "none", "-") else raw


def _marks(row: Row, place: str = "user_properties") -> Marks:
    """The object's own marks; those it inherits too where the answer does not tell them apart."""
    marks: dict[str, str] = {}
    properties = row.take_or_none(place, dict) or {}
    for key, value in properties.items():
        if not key.startswith(MARK_PREFIX):
            continue
        if isinstance(value, str):
            marks[key] = value
            continue
        found = Row(f"{row.method}: {key!r}", value)
        if found.take_or_none("source", str) != "INHERITED":
            marks[key] = found.take("rawvalue", str)
    return marks


def resources(method: str, answer: Json) -> list[Resource]:
    """Every row of `pool.dataset.query`, with what is nested in each."""
    found: list[Resource] = []
    waiting = rows(method, answer)
    while waiting:
        row = waiting.pop()
        found.append(resource(row))
        waiting += rows(method, row.take_or_none("children", list) or [])
    return found


def zfs_resources(answer: Json) -> list[Resource]:
    """Every row of `zfs.resource.query`."""
    return [_zfs_resource(row) for row in rows("zfs.resource.query", answer)]


def _zfs_resource(row: Row) -> Resource:
    properties = row.row("properties")
    names = ("volsize", "volblocksize", "refreservation", "used")
    numbers = {name: properties.row(name).take_or_none("value", int) for name in names if _has(properties, name)}
    texts = {name: properties.row(name).take_or_none("raw", str) for name in _TEXTS if _has(properties, name)}
    return Resource(
        row.take("name", str),
        row.take("type", str) == "VOLUME",
        numbers,
        _origin(texts.get("origin")),
        texts.get("compression"),
        _marks(row),
        row.method,
    )


# snapshots


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """A snapshot as `*.snapshot.*` tells it, before it is a noun: an answer to a create may keep its time to itself."""

    path: DatasetPath
    name: str
    order: int
    """The transaction in which it was taken: later ones have higher numbers, within one second too."""
    created: datetime | None
    marks: Marks
    holds: tuple[str, ...]
    method: str

    def snapshot(self) -> Snapshot:
        if self.created is None:
            raise NasProtocolError(f"{self.method}: the answer has no 'creation' for {self.path}@{self.name}")
        return Snapshot(self.path, SnapshotName.parse(self.name), self.created, self.marks)


def snapshot(row: Row) -> SnapshotRow:
    """One row of a release up to 25.10, where marks are among the properties, or of `zfs.resource.snapshot.*`."""
    properties = row.row("properties") if _has(row, "properties") else None
    created = properties.row("creation") if properties and _has(properties, "creation") else None
    return SnapshotRow(
        DatasetPath.parse(row.take("dataset", str)),
        row.take("snapshot_name", str),
        _digits(row, "createtxg"),
        None if created is None else datetime.fromtimestamp(_seconds(created), UTC),
        {**_marks(row, "properties"), **_marks(row)},
        _holds(row),
        row.method,
    )


def _holds(row: Row) -> tuple[str, ...]:
    """The tags; up to 25.10 they are the keys of an object."""
    tags = row.take_or_none("holds", object)
    return tuple(str(tag) for tag in tags) if isinstance(tags, (list, dict)) else ()


def snapshots(found: list[Row], path: DatasetPath) -> tuple[Snapshot, ...]:
    """Those of one dataset or volume, oldest first."""
    told = [row for row in map(snapshot, found) if row.path == path]
    return tuple(row.snapshot() for row in sorted(told, key=lambda row: row.order))


def _digits(row: Row, name: str) -> int:
    """A number, which some calls tell as a text."""
    value = row.take(name, object)
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return row.take(name, int)


def _seconds(creation: Row) -> int:
    """Since 1970. Its parsed form is a date in some answers, a number in others: the raw one is always seconds."""
    return _digits(creation, "raw" if creation.has("raw") else "rawvalue")


# extents


def extent(row: Row) -> Extent:
    """A LUN backed by a zvol; ConflictError for one that is not, since no guest can have it."""
    name = row.take("name", str)
    disk = row.take_or_none("disk", str)
    if disk is None or not disk.startswith(_ZVOL):
        raise ConflictError(f"extent {name}: it offers a file or a whole disk, not a volume")
    return Extent(
        name,
        DatasetPath.parse(disk.removeprefix(_ZVOL)),
        Serial.parse(row.take("serial", str)),
        Size(row.take("blocksize", int)),
        row.take("comment", str),
        naa=row.take_or_none("naa", str),
        enabled=row.take("enabled", bool),
        read_only=row.take("ro", bool),
    )


# targets and mappings


def target(row: Row, base: Iqn) -> Target:
    """A target by its weakest group, so that one without CHAP beside one with it is not taken for guarded.

    A target without groups cannot be reached; its portal group is shown as 0.
    """
    groups = rows(f"{row.method}: 'groups'", row.take("groups", list))
    if not groups:
        return Target(target_iqn(row, base), portal_group=0)
    group = min(groups, key=_strength)
    strength = _strength(group)
    return Target(
        target_iqn(row, base),
        group.take("portal", int),
        group.take_or_none("initiator", int),
        group.take("auth", int) if strength else None,
        mutual=_AUTH_METHODS[strength] == "CHAP_MUTUAL",
    )


def target_iqn(row: Row, base: Iqn) -> Iqn:
    name = row.take("name", str)
    return Iqn.parse(name) if name.startswith("iqn.") else base.child(name)


def _strength(group: Row) -> int:
    method = group.take("authmethod", str)
    if method not in _AUTH_METHODS:
        raise NasProtocolError(f"{group.method}: 'authmethod' is {method!r}")
    return _AUTH_METHODS.index(method)


@dataclass(frozen=True, slots=True)
class MappingRow:
    """A mapping by row numbers, before it is a noun."""

    number: int
    target: int
    extent: int
    lun: Lun

    def mapping(self, target: Iqn, extent: str) -> LunMapping:
        return LunMapping(target, extent, self.lun)


def mapping(row: Row) -> MappingRow:
    lun = Lun(row.take("lunid", int))
    return MappingRow(row_id(row), row.take("target", int), row.take("extent", int), lun)


# credentials and sessions


def credential(row: Row) -> Credential:
    """A CHAP account with its secret; NasAuthError when the appliance hides it from this account."""
    secret, peer_secret = row.take("secret", str), row.take_or_none("peersecret", str) or ""
    user = row.take("user", str)
    if REDACTED in (secret, peer_secret):
        raise NasAuthError(
            f"{row.method}: the secret of {user} comes redacted",
            hint="give the account of this key the role SHARING_ISCSI_AUTH_WRITE",
        )
    peer_user = row.take_or_none("peeruser", str) or ""
    return Credential(row.take("tag", int), user, Secret(secret), peer_user, Secret(peer_secret))


def session(row: Row) -> NasSession:
    return NasSession(Iqn.parse(row.take("target", str)), row.take("initiator", str), row.take("initiator_addr", str))
