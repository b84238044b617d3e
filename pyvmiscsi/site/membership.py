"""Which datastores a site has: its file with one more, one less, or another default, once all was looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from pyvmiscsi.bhyve.vm_bhyve.datastores import tell_vm_bhyve, untell_vm_bhyve
from pyvmiscsi.config import (
    DatastoreEntry,
    SiteFile,
    rendered,
    save,
    with_datastore,
    with_default,
    without_datastore,
)
from pyvmiscsi.errors import BusyError, NotFoundError
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.model import Site as SiteRecord
from pyvmiscsi.names import Portal
from pyvmiscsi.site.connections import Connections
from pyvmiscsi.site.foundations import check_foundations, content, shared_by
from pyvmiscsi.site.survey import sharing
from pyvmiscsi.site.views import SiteChangeView
from pyvmiscsi.steps.difference import refuse_difference

_FEW = 5


class Membership:
    """The datastores of a site file, and the site that is read from it."""

    def __init__(self, file: SiteFile, connections: Connections, saved: Callable[[SiteFile], None]) -> None:
        self._file = file
        self._connections = connections
        self._saved = saved

    def add(self, entry: DatastoreEntry, *, check: bool, on_hosts: bool) -> SiteChangeView:
        file, done = self._file, list[str]()
        there = file.site.datastores.get(entry.name)
        if there is not None:
            _refuse_difference(there, entry, file.site.source)
        else:
            file = with_datastore(file, entry)
            done.append(f"{file.site.source}: [datastores.{entry.name}]")
        record = file.site.datastores[entry.name]
        if done and (others := sharing(record, file.site)):
            done.append(f"shares {record.config_path} with {', '.join(others)}: a guest's name is taken in all of them")
        if check:
            check_foundations(record, self._connections)
        self._save(file)
        if on_hosts:
            done += self.tell_hosts(record).done
        return SiteChangeView(record.name, file.site.source, tuple(done))

    def tell_hosts(self, record: DatastoreRecord) -> SiteChangeView:
        hosts = [self._connections.host(name) for name in shared_by(record, self._connections)]
        said = [tell_vm_bhyve(host, record.name, record.config_path, spec_of(record)) for host in hosts]
        return SiteChangeView(record.name, self._file.site.source, tuple(one for one in said if one))

    def preview(self, entries: Iterable[DatastoreEntry]) -> str:
        file = self._file
        tables = []
        for entry in entries:
            file = with_datastore(file, entry)
            tables.append(rendered(entry))
        return "\n".join(tables)

    def remove(self, name: str, *, force: bool, on_hosts: bool) -> SiteChangeView:
        file = without_datastore(self._file, name)
        record = self._file.site.datastores[name]
        if not force:
            self._refuse_content(record)
        hosts = shared_by(record, self._connections)
        done = []
        if on_hosts:  # first: the site file is what knows which hosts to ask when this is cut short
            said = [untell_vm_bhyve(self._connections.host(host), name, record.config_path) for host in hosts]
            done += [one for one in said if one]
        self._save(file)
        done.append(f"{file.site.source}: [datastores.{name}] is gone")
        where = f", {record.config_path} on {', '.join(hosts)}" if hosts else ""
        done.append(f"stays: dataset {record.parent} on nas {record.nas}{where}")
        return SiteChangeView(name, file.site.source, tuple(done))

    def make_default(self, name: str) -> SiteChangeView:
        file = with_default(self._file, name)
        self._save(file)
        return SiteChangeView(name, file.site.source, (f"{file.site.source}: {name} is the default datastore",))

    def _refuse_content(self, record: DatastoreRecord) -> None:
        found = content(record, self._connections)
        lives = [
            f"{what} {_few(names)}"
            for what, names in (
                ("guests", found.guests),
                ("unfinished operations", found.operations),
                ("of ours", found.others),
            )
            if names
        ]
        if lives:
            raise BusyError(
                f"datastore {record.name}: not empty: {'; '.join(lives)}",
                hint="with --force the site forgets it, and everything stays where it is",
            )

    def _save(self, file: SiteFile) -> None:
        if file is not self._file:
            save(file, instead_of=self._file)
            self._saved(file)


def usual_portal(nas: str, site: SiteRecord) -> Portal:
    """That of the other datastores of the nas, if they agree, else the nas's own address at port 3260."""
    if nas not in site.nases:
        known = ", ".join(sorted(site.nases)) or "none"
        raise NotFoundError(f"nas {nas}: not in {site.source}", hint=f"known: {known}")
    portals = {one.portal for one in site.datastores.values() if one.nas == nas}
    return portals.pop() if len(portals) == 1 else Portal(urlsplit(site.nases[nas].url).hostname or "")


def spec_of(record: DatastoreRecord) -> str:
    """The ancestor's spec in full, with the config path."""
    return f"iscsi:{record.nas}:{record.basename}:{record.config_path}"


def _refuse_difference(there: DatastoreRecord, entry: DatastoreEntry, source: str) -> None:
    """ConflictError naming the first key in which the site's datastore of this name is another one."""
    spec = entry.spec
    keys = [
        ("nas", there.nas, spec.nas),
        ("basename", there.basename, spec.basename),
        ("config path", there.config_path, spec.config_path or there.config_path),
        *((key, getattr(there, key), getattr(entry, key)) for key in ("parent", "portal", "portal_group")),
        *((key, getattr(there, key), getattr(entry, key)) for key in ("initiator_group", "lun", "layout")),
        ("hosts", ", ".join(there.hosts) or "all", ", ".join(entry.hosts) or "all"),
    ]
    refuse_difference(f"datastore {entry.name} in {source}", keys)


def _few(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return f"{', '.join(names[:_FEW])}{more}"
