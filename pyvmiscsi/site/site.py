"""A site: everything one configuration file describes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from pyvmiscsi.errors import NotFoundError
from pyvmiscsi.model import Site as SiteRecord
from pyvmiscsi.ports import Host
from pyvmiscsi.site.connections import Connections, say_nothing
from pyvmiscsi.site.datastore import Datastore
from pyvmiscsi.site.guest import Guest
from pyvmiscsi.site.pending import PendingOperation, pending_operations
from pyvmiscsi.site.views import GuestView

T = TypeVar("T")

_AT_ONCE = 8


class Site:
    """Datastores, guests and unfinished operations of one site; leaving it as a context closes all connections."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    @classmethod
    def load(cls, path: str | Path | None = None, *, warn: Callable[[str], None] = say_nothing) -> Self:
        """The site of this file, or of the first one found; ConfigError names every mistake in it."""
        from pyvmiscsi import config

        return cls.of(config.load(config.find(str(path) if path else None)).site, warn=warn)

    @classmethod
    def of(cls, record: SiteRecord, *, warn: Callable[[str], None] = say_nothing) -> Self:
        """The site of a record made by a script, without any file."""
        return cls(Connections(record, warn))

    @property
    def record(self) -> SiteRecord:
        return self._connections.record

    def datastores(self) -> tuple[Datastore, ...]:
        """All of them, the default one first."""
        names = sorted(self.record.datastores, key=lambda name: (name != self._default, name))
        return tuple(self.datastore(name) for name in names)

    def datastore(self, name: str | None = None) -> Datastore:
        """The datastore of this name, or the default one; NotFoundError when there is none."""
        wanted = name or self._default
        record = self.record.datastores.get(wanted or "")
        if record is None:
            known = ", ".join(sorted(self.record.datastores)) or "none"
            raise NotFoundError(f"datastore {wanted}: not in {self.record.source}", hint=f"known: {known}")
        return Datastore(record, self._connections, default=record.name == self._default)

    def guest(self, name: str, datastore: str | None = None) -> Guest:
        """The guest of this name, in the named datastore or wherever it is; NotFoundError when it is nowhere."""
        places = (self.datastore(datastore),) if datastore else self.datastores()
        guests = [place.guest(name) for place in places]
        for guest in guests:
            if guest.exists():
                return guest
        raise NotFoundError(f"guest {name}: not in {', '.join(place.record.name for place in places)}")

    def configured_guest(self, name: str, datastore: str | None = None) -> Guest:
        """The same by what the hosts show, so that a guest can be stopped while its nas is lost."""
        places = (self.datastore(datastore),) if datastore else self.datastores()
        for place in places:
            guest = place.guest(name)
            if guest.is_configured():
                return guest
        raise NotFoundError(f"guest {name}: no configuration in {', '.join(place.record.name for place in places)}")

    def guests(self) -> tuple[GuestView, ...]:
        """Every guest of every datastore."""
        return tuple(guest for found in self._each(Datastore.guests) for guest in found)

    def host(self, name: str) -> Host:
        """A hypervisor of the site, for scripts of one's own."""
        return self._connections.host(name)

    def operations(self) -> tuple[PendingOperation, ...]:
        """Every unfinished operation, the oldest first."""
        found = [
            operation
            for some in self._each(lambda datastore: pending_operations(datastore, self._connections))
            for operation in some
        ]
        return tuple(sorted(found, key=lambda operation: (operation.intent.since, operation.intent.id)))

    def operation(self, id_: str) -> PendingOperation:
        """The unfinished operation of this id; NotFoundError when it is finished, or never was."""
        for operation in self.operations():
            if operation.intent.id == id_:
                return operation
        raise NotFoundError(f"operation {id_}: not unfinished on any nas of the site", hint="pyvmiscsi ops list")

    def close(self) -> None:
        self._connections.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _default(self) -> str | None:
        return self.record.default_datastore or next(iter(self.record.datastores), None)

    def _each(self, ask: Callable[[Datastore], T]) -> list[T]:
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="datastore") as pool:
            return list(pool.map(ask, self.datastores()))
