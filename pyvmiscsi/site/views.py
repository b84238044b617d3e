"""What the SDK answers: plain frozen records, each with a JSON form."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pyvmiscsi.units import Size


@dataclass(frozen=True, slots=True)
class DiskView:
    """A disk from the guest's side to the nas's: sizes in bytes, `sessions` are initiator names on the nas."""

    name: str
    volume: str
    size: int
    used: int | None
    thick: bool
    extent: str | None
    serial: str | None
    naa: str | None
    sector: int | None
    target: str | None
    lun: int | None
    portal: str
    chap_tag: int | None
    sessions: tuple[str, ...]
    device: str | None = None
    """On the host that has it; None when none does, or when hosts were not asked."""

    @property
    def size_text(self) -> str:
        return str(Size(self.size))


@dataclass(frozen=True, slots=True)
class GuestView:
    """A guest in one view. `state` is vm-bhyve's word: `Running`, `Stopped` or `Locked`; `host` says where."""

    name: str
    datastore: str
    uuid: str | None
    state: str
    host: str | None
    loader: str | None
    cpu: str | None
    memory: str | None
    configuration: str | None
    disks: tuple[DiskView, ...]
    operations: tuple[str, ...]
    """Ids of unfinished operations on it."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ResizedView:
    """A disk that has grown: its size in bytes, and the hosts that see it."""

    guest: str
    disk: str
    size: int
    hosts: tuple[str, ...]
    seen_at_once: bool | None
    """Whether bhyve tells the running guest; None when it does not run."""

    @property
    def size_text(self) -> str:
        return str(Size(self.size))

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class DatastoreView:
    """A datastore as the site file has it."""

    name: str
    spec: str
    nas: str
    parent: str
    portal: str
    lun: int
    layout: str
    hosts: tuple[str, ...]
    default: bool

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class SnapshotView:
    """A snapshot of a guest; `created` is ISO 8601, UTC."""

    guest: str
    name: str
    created: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class OperationView:
    """An unfinished operation: what, on which guest, by whom, since when, and whether it can still be taken back."""

    id: str
    verb: str
    guest: str
    datastore: str
    by: str
    since: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)
