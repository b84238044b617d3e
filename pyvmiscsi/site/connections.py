"""Connections of one site, opened when first used, shared by all its operations, closed together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from pyvmiscsi.errors import NotFoundError
from pyvmiscsi.model import DatastoreRecord, HostRecord, NasRecord
from pyvmiscsi.model import Site as SiteRecord
from pyvmiscsi.nas.recall import RecallingNas
from pyvmiscsi.ports import BlockAccess, Host, Initiator, Nas

T = TypeVar("T")


def connect_nas(record: NasRecord, warn: Callable[[str], None]) -> Nas:
    """The adapter for the dialect this nas speaks."""
    from pyvmiscsi.nas.connect import connect

    return connect(record, warn=warn)


def connect_host(record: HostRecord) -> Host:
    """By SSH, or this very machine."""
    from pyvmiscsi.hosts import connect

    return connect(record)


def initiator_of(record: HostRecord, host: Host, warn: Callable[[str], None]) -> Initiator:
    """The adapter for the system that this host runs."""
    from pyvmiscsi.initiator.connect import connect

    return connect(record, host, warn=warn)


def block_access() -> BlockAccess:
    """LUNs opened from this process, by libiscsi."""
    from pyvmiscsi.initiator.libiscsi.access import LibiscsiAccess

    return LibiscsiAccess()


def say_nothing(_warning: str) -> None:
    """Drop a warning."""


@dataclass
class Connections:
    """Ports by the names of the site's configuration; this is the only place that picks backends."""

    record: SiteRecord
    warn: Callable[[str], None] = say_nothing
    connect_nas: Callable[[NasRecord, Callable[[str], None]], Nas] = connect_nas
    connect_host: Callable[[HostRecord], Host] = connect_host
    initiator_of: Callable[[HostRecord, Host, Callable[[str], None]], Initiator] = initiator_of
    block_access: Callable[[], BlockAccess] = block_access
    _nases: dict[str, Nas] = field(default_factory=dict)
    _hosts: dict[str, Host] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def nas(self, name: str) -> Nas:
        with self._lock:
            if name not in self._nases:
                self._nases[name] = self.connect_nas(_named(self.record.nases, name, "nas"), self.warn)
            return self._nases[name]

    def host(self, name: str) -> Host:
        with self._lock:
            if name not in self._hosts:
                self._hosts[name] = self.connect_host(_named(self.record.hosts, name, "host"))
            return self._hosts[name]

    def initiator(self, name: str) -> Initiator:
        record = _named(self.record.hosts, name, "host")
        return self.initiator_of(record, self.host(name), self.warn)

    def close(self) -> None:
        with self._lock:
            for nas in self._nases.values():
                nas.close()
            for host in self._hosts.values():
                host.close()
            self._nases.clear()
            self._hosts.clear()


class SiteScene:
    """What one operation is built from: what it has seen or been answered by a nas is remembered, for it alone."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._recalled: dict[str, RecallingNas] = {}

    def datastore(self, name: str) -> DatastoreRecord:
        return datastore_named(self._connections.record, name)

    def nas(self, datastore: DatastoreRecord) -> Nas:
        return self.recalling(datastore)

    def recalling(self, datastore: DatastoreRecord) -> RecallingNas:
        if datastore.nas not in self._recalled:
            self._recalled[datastore.nas] = RecallingNas(self._connections.nas(datastore.nas))
        return self._recalled[datastore.nas]

    def host(self, name: str) -> Host:
        return self._connections.host(name)

    def initiator(self, name: str) -> Initiator:
        return self._connections.initiator(name)

    def block_access(self) -> BlockAccess:
        return self._connections.block_access()

    def host_names(self, datastore: DatastoreRecord) -> tuple[str, ...]:
        names = datastore.hosts or tuple(self._connections.record.hosts)
        if not names:
            raise NotFoundError(f"datastore {datastore.name}: no host shares it", hint="add a [hosts.NAME] table")
        return names


def datastore_named(site: SiteRecord, name: str) -> DatastoreRecord:
    """The site's datastore of this name; NotFoundError when it has none."""
    return _named(site.datastores, name, "datastore")


def _named(table: Mapping[str, T], name: str, kind: str) -> T:
    if name not in table:
        known = ", ".join(sorted(table)) or "none"
        raise NotFoundError(f"{kind} {name}: not in the site", hint=f"known: {known}")
    return table[name]
