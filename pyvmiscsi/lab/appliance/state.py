"""Everything the appliance remembers: rows as its database keeps them, datasets as ZFS does.

Rows are dictionaries of the API's own field names. Row ids are SQLite's: the largest plus one, so that the id of
the row deleted last comes back (nas-wire.md section 6).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

Row = dict[str, Any]


@dataclass(slots=True)
class Table:
    """Rows by id."""

    rows: dict[int, Row] = field(default_factory=dict)

    def insert(self, **values: Any) -> Row:
        number = max(self.rows, default=0) + 1
        row = {"id": number, **values}
        self.rows[number] = row
        return row

    def get(self, number: int) -> Row | None:
        return self.rows.get(number)

    def change(self, number: int, **changes: Any) -> Row:
        """Rows are replaced, never altered in place, so that a copy of the table is a copy of its dictionary."""
        self.rows[number] = {**self.rows[number], **changes}
        return self.rows[number]

    def remove(self, number: int) -> Row:
        return self.rows.pop(number)

    def where(self, match: Callable[[Row], bool]) -> list[Row]:
        return [row for row in self.rows.values() if match(row)]

    def having(self, name: str, value: object) -> list[Row]:
        return [row for row in self.rows.values() if row[name] == value]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows.values())

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(slots=True)
class Snapshot:
    """A snapshot: its own file holds what a volume held then."""

    name: str
    guid: int
    createtxg: int
    creation: int
    volsize: int = 0
    user: dict[str, str] = field(default_factory=dict)
    holds: dict[str, int] = field(default_factory=dict)
    deferred: bool = False


@dataclass(slots=True)
class Dataset:
    """A filesystem or a volume. `local` holds the native properties set on it, by their ZFS names."""

    name: str
    type: str
    guid: int
    createtxg: int
    creation: int
    local: dict[str, str] = field(default_factory=dict)
    user: dict[str, str] = field(default_factory=dict)
    volsize: int = 0
    """Bytes of a volume; 0 for a filesystem, as is the block size."""
    volblocksize: int = 0
    origin: str | None = None
    snapshots: dict[str, Snapshot] = field(default_factory=dict)

    @property
    def pool(self) -> str:
        return self.name.partition("/")[0]

    @property
    def parent(self) -> str | None:
        head, slash, _ = self.name.rpartition("/")
        return head if slash else None

    @property
    def is_volume(self) -> bool:
        return self.type == "VOLUME"


_ISCSI_TABLES = ("portals", "initiators", "credentials", "targets", "extents", "mappings")
_TABLES = (*_ISCSI_TABLES, "pools", "users", "api_keys", "services")


@dataclass(slots=True)
class State:
    """One appliance's whole memory; `save` and `load` keep it across a restart."""

    iscsi: Row = field(default_factory=dict)
    portals: Table = field(default_factory=Table)
    initiators: Table = field(default_factory=Table)
    credentials: Table = field(default_factory=Table)
    targets: Table = field(default_factory=Table)
    extents: Table = field(default_factory=Table)
    mappings: Table = field(default_factory=Table)
    pools: Table = field(default_factory=Table)
    users: Table = field(default_factory=Table)
    api_keys: Table = field(default_factory=Table)
    services: Table = field(default_factory=Table)
    datasets: dict[str, Dataset] = field(default_factory=dict)
    txg: int = 1000
    """ZFS's transaction counter: grows with every dataset and snapshot."""

    def next_txg(self) -> int:
        self.txg += 1
        return self.txg

    def new_guid(self) -> int:
        """A 64-bit number above 2**53, as real ones mostly are: a client must not read it as a float."""
        return secrets.randbits(63) | 1 << 60

    def clear_iscsi(self) -> None:
        for name in _ISCSI_TABLES:
            getattr(self, name).rows = {}

    def become(self, other: State) -> None:
        """Remember what the other remembers, and nothing else; whoever holds this state goes on with it."""
        for each in fields(self):
            setattr(self, each.name, getattr(other, each.name))

    @contextmanager
    def unchanged_on_error(self) -> Iterator[None]:
        """The iSCSI tables are as they were when the body raises."""
        before = {name: dict(getattr(self, name).rows) for name in _ISCSI_TABLES}
        settings = dict(self.iscsi)
        try:
            yield
        except BaseException:
            for name, rows in before.items():
                getattr(self, name).rows = rows
            self.iscsi = settings
            raise

    def save(self, path: Path) -> None:
        """Write everything to a file of mode 0600 (it holds CHAP secrets), whole or not at all."""
        data: dict[str, Any] = {"iscsi": self.iscsi, "txg": self.txg}
        data |= {name: list(getattr(self, name)) for name in _TABLES}
        data["datasets"] = [asdict(dataset) for dataset in self.datasets.values()]
        beside = path.with_suffix(".new")
        beside.touch(mode=0o600)
        beside.write_text(json.dumps(data))
        beside.replace(path)

    @classmethod
    def load(cls, path: Path) -> State:
        data = json.loads(path.read_text())
        state = cls(iscsi=data["iscsi"], txg=data["txg"])
        for name in _TABLES:
            setattr(state, name, Table({row["id"]: row for row in data[name]}))
        for row in data["datasets"]:
            row["snapshots"] = {name: Snapshot(**snapshot) for name, snapshot in row["snapshots"].items()}
            state.datasets[row["name"]] = Dataset(**row)
        return state
