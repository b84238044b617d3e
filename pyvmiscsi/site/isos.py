"""Installation media in the stores of a datastore's hosts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from pyvmiscsi.bhyve.installation.iso_store import (
    add_iso_store,
    get_iso,
    iso_stores,
    isos,
    remove_iso,
    remove_iso_store,
)
from pyvmiscsi.bhyve.installation.iso_store_text import IsoFile, IsoStore, iso_name
from pyvmiscsi.errors import AlreadyExistsError, InputError, NotFoundError
from pyvmiscsi.images.source.checksum import Checksum
from pyvmiscsi.images.source.given import STDIN, place_of
from pyvmiscsi.images.source.published import published_checksum
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.plan.step import Plan
from pyvmiscsi.ports import Host
from pyvmiscsi.site.connections import Connections, SiteScene
from pyvmiscsi.site.running import Run, new_intent
from pyvmiscsi.site.views import View
from pyvmiscsi.steps.isos import IsoInStore
from pyvmiscsi.steps.lock import NoJournal
from pyvmiscsi.steps.media import is_packed
from pyvmiscsi.units import Size

FETCH = "fetch"


@dataclass(frozen=True, slots=True)
class IsoView(View):
    """An installation medium on a host: its size in bytes."""

    name: str
    store: str
    host: str
    path: str
    size: int
    digest: str | None = None
    """Of one that was just fetched, as the host read it: `SHA-256 <hex>`."""

    @property
    def size_text(self) -> str:
        return str(Size(self.size))


class Isos:
    """The media that guests of a datastore can be installed from, host by host."""

    def __init__(self, datastore: DatastoreRecord, connections: Connections) -> None:
        self._datastore = datastore
        self._connections = connections

    def list(self, host: str | None = None) -> tuple[IsoView, ...]:
        """What is in every store of a host, or of the datastore's first."""
        there = self._host(host)
        return tuple(_view(one, there) for one in isos(there, self._stores(there)))

    def fetch(
        self,
        place: str,
        *,
        name: str | None = None,
        store: str | None = None,
        sha256: str | None = None,
        checksums: str | None = None,
        host: str | None = None,
        run: Run | None = None,
    ) -> IsoView:
        """Put a medium into a store, from an http or https address or a file of this machine.

        A .gz, .xz or .zst is unpacked on its way. It gets its name, or its file's, once it is whole and has the
        checksum given: `sha256`, or that of a list (`checksums`, a place or `auto`). What is cut short goes on where
        it was when it is asked for again. The digest of what the host has then is in the answer. AlreadyExistsError
        when the store has a file of that name; ImageError for another checksum, and for what is no medium;
        ConflictError without the room.
        """
        there, given = self._host(host), place_of(place)
        if given == STDIN:
            raise InputError("ISO -: cannot come from a pipe", hint="name a file, or an address")
        where = self._store(store, there)
        wanted = iso_name(name or _leaf(given))
        if any(one.name == wanted for one in isos(there, (where,))):
            raise AlreadyExistsError(
                f"ISO {wanted}: is in store {where.name} of {there.name} already",
                hint=f"--name gives it another name; pyvmiscsi vm iso --remove {wanted} lets the other go",
            )
        promised = None
        if sha256 is not None:
            promised = Checksum.parse(sha256)
        elif checksums is not None:
            promised = published_checksum(given, checksums)
        step = IsoInStore(there, where, wanted, given, promised)
        intent = replace(new_intent(FETCH, wanted, {}), kept=False)
        learnt = dict[str, object]()
        noting = replace(run or Run(), note=lambda _title, found: learnt.update(found))
        noting.engine().execute(Plan(FETCH, wanted, (step,)), NoJournal(), intent)
        return replace(_view(get_iso(there, wanted, (where,)), there), digest=str(learnt["digest"]))

    def remove(self, name: str, *, store: str | None = None, host: str | None = None) -> None:
        """Let a medium go, or what has come of it so far; NotFoundError when there is neither.

        A guest that is being installed from it keeps it until it reboots.
        """
        there = self._host(host)
        stores = self._stores(there) if store is None else (self._store(store, there),)
        remove_iso(there, iso_name(name), stores)

    def add_store(self, name: str, path: str, *, host: str | None = None) -> None:
        """Have a directory of the hosts looked in, too; vm-bhyve knows it as well where this is its `vm_dir`.

        NotFoundError when the host has no such directory; ConflictError when the name is taken.
        """
        add_iso_store(self._host(host), self._datastore.config_path, name, path)

    def remove_store(self, name: str, *, host: str | None = None) -> None:
        """Look there no longer; what is in there stays. NotFoundError for a store that the datastore does not know."""
        remove_iso_store(self._host(host), self._datastore.config_path, name)

    def _host(self, name: str | None) -> Host:
        scene = SiteScene(self._connections)
        known = scene.host_names(self._datastore)
        if name is not None and name not in known:
            raise NotFoundError(
                f"host {name}: does not share datastore {self._datastore.name}", hint=f"known: {', '.join(known)}"
            )
        return scene.host(name or known[0])

    def _stores(self, host: Host) -> tuple[IsoStore, ...]:
        return iso_stores(host, self._datastore.name, self._datastore.config_path)

    def _store(self, name: str | None, host: Host) -> IsoStore:
        stores = self._stores(host)
        found = next((one for one in stores if name in (None, one.name)), None)
        if found is None:
            raise NotFoundError(
                f"ISO store {name}: not on {host.name}", hint=f"known: {', '.join(one.name for one in stores)}"
            )
        return found


def _view(found: IsoFile, host: Host) -> IsoView:
    return IsoView(found.name, found.store, host.name, found.path, found.size)


def _leaf(place: str) -> str:
    """Its file's name, without what tells how it is packed."""
    leaf = PurePosixPath(unquote(urlsplit(place).path) if "://" in place else place)
    return leaf.stem if is_packed(leaf.name) else leaf.name
