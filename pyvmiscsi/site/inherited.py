"""Datastores that a host's vm-bhyve has, beside the site's own, and how the site would write them down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from pyvmiscsi.bhyve.vm_bhyve.datastores import ixnas_on, vm_bhyve_on
from pyvmiscsi.bhyve.vm_bhyve.datastores_text import KnownDatastore, VmBhyve
from pyvmiscsi.config import DatastoreEntry
from pyvmiscsi.config.ixnas_ini import IxnasNas
from pyvmiscsi.errors import ConflictError, InputError, NotFoundError
from pyvmiscsi.model import DatastoreRecord, Site
from pyvmiscsi.names import DatasetPath, DatastoreSpec, Lun, Portal
from pyvmiscsi.site.connections import Connections
from pyvmiscsi.site.views import HostDatastoreView

ANCESTORS_LUN = Lun(1)
"""The LUN that the helper scripts give every disk (freebsd.md 5.9)."""
ANCESTORS_LAYOUT = "flat"


def datastores_on(name: str, connections: Connections) -> tuple[HostDatastoreView, ...]:
    """What vm-bhyve on this host has, then those of the site that it has not; what it would trip over is warned of."""
    site, found = connections.record, vm_bhyve_on(connections.host(name))
    for mistake in found.mistakes if found else ():
        connections.warn(mistake)
    theirs = [_view(name, known, site) for known in (found.datastores if found else ())]
    shown = {view.datastore for view in theirs}
    ours = [
        HostDatastoreView(name, None, "iscsi", str(_spec(record)), record.config_path, site.source, record.name)
        for record in site.datastores.values()
        if (not record.hosts or name in record.hosts) and record.name not in shown
    ]
    return (*theirs, *ours)


def _view(host: str, known: KnownDatastore, site: Site) -> HostDatastoreView:
    record = _ours(known, site)
    return HostDatastoreView(
        host, known.name, known.kind, known.spec, known.path, known.origin, record.name if record else None
    )


def _ours(known: KnownDatastore, site: Site) -> DatastoreRecord | None:
    """The site's datastore that this is; plain vm-bhyve knows it by its config path alone."""
    for record in site.datastores.values():
        if known.iscsi is not None:
            nas = _nas_of(known.iscsi.nas, site)
            if (record.nas, record.basename, record.config_path) == (
                nas,
                known.iscsi.basename,
                known.iscsi.config_path,
            ):
                return record
        elif known.kind == "directory" and known.path == record.config_path:
            return record
    return None


def inherited_entries(
    hosts: Iterable[str],
    connections: Connections,
    *,
    only: str | None = None,
    parent: DatasetPath | None = None,
    portal: Portal | None = None,
) -> tuple[DatastoreEntry, ...]:
    """How the site would write down the iSCSI datastores of these hosts' vm-bhyve that it has not yet.

    Under vm-bhyve's names, the default one first; the same on several hosts is one, shared by them. Where volumes go
    and through which groups is taken from the ancestor's ini file on the host, unless `parent` says it; disks are
    found where its helper scripts made them: layout `flat`, LUN 1. NotFoundError when there is none, or no nas of the
    site for one; ConflictError when a name means two things.
    """
    entries: dict[str, DatastoreEntry] = {}
    seen: list[str] = []
    for host in hosts:
        for known, ixnas in _iscsi_on(host, connections, only):
            seen.append(known.name)
            if _ours(known, connections.record) is None:
                entry = _entry(known, ixnas, connections.record, parent=parent, portal=portal)
                _merge(entries, entry, host)
    if not seen:
        raise NotFoundError(f"host {', '.join(hosts)}: vm-bhyve has no iSCSI datastore{f' {only}' if only else ''}")
    return tuple(entries.values())


def _iscsi_on(
    host: str, connections: Connections, only: str | None
) -> Iterator[tuple[KnownDatastore, IxnasNas | None]]:
    found = vm_bhyve_on(connections.host(host))
    for mistake in found.mistakes if found else ():
        connections.warn(mistake)
    chosen = [one for one in (found.datastores if found else ()) if one.iscsi and only in (None, one.name)]
    ixnas = ixnas_on(connections.host(host)) if chosen else {}
    for known in chosen:
        yield known, ixnas.get(known.iscsi.nas if known.iscsi else "")
    if found is not None:
        _tell_of_helpers(found, host, connections)


def _tell_of_helpers(found: VmBhyve, host: str, connections: Connections) -> None:
    if found.helpers:
        connections.warn(f"host {host}: {', '.join(found.helpers)}: not needed, pyvmiscsi speaks with the nas itself")


def _entry(
    known: KnownDatastore, ixnas: IxnasNas | None, site: Site, *, parent: DatasetPath | None, portal: Portal | None
) -> DatastoreEntry:
    spec = known.iscsi
    if spec is None:
        raise InputError(f"{known.origin}: {known.spec}: no iSCSI datastore")
    nas = _nas_of(spec.nas, site)
    if nas is None:
        raise NotFoundError(
            f"{known.origin}: nas {spec.nas!r}: not in {site.source}", hint=f"add a [nas.{spec.nas}] table with its url"
        )
    below = parent or (ixnas.parent if ixnas else None)
    if below is None:
        raise InputError(
            f"{known.origin}: where on nas {spec.nas} its volumes are is not in any ixnas-api.ini", hint="say --parent"
        )
    return DatastoreEntry(
        name=known.name,
        spec=DatastoreSpec(nas, spec.basename, spec.config_path),
        parent=below,
        portal=portal or Portal.parse(spec.nas),
        portal_group=ixnas.portal_group if ixnas else 1,
        initiator_group=ixnas.initiator_group if ixnas else None,
        lun=ANCESTORS_LUN,
        layout=ANCESTORS_LAYOUT,
    )


def _merge(entries: dict[str, DatastoreEntry], entry: DatastoreEntry, host: str) -> None:
    """Add what one host has to what others have."""
    from dataclasses import replace

    for name, other in entries.items():
        if other.spec == entry.spec:  # the same place, under whatever name
            entries[name] = replace(other, hosts=tuple(dict.fromkeys((*other.hosts, host))))
            return
    if entry.name in entries:
        raise ConflictError(
            f"host {host}: {entry.name} is {entry.spec}, and elsewhere {entries[entry.name].spec}",
            hint="add them one by one: pyvmiscsi datastore add NAME SPEC",
        )
    entries[entry.name] = replace(entry, hosts=(host,))


def _nas_of(name: str, site: Site) -> str | None:
    """What the site calls a nas of the ancestor's specs: by the same name, or by its address."""
    if name in site.nases:
        return name
    return next((one.name for one in site.nases.values() if urlsplit(one.url).hostname == name.lower()), None)


def _spec(record: DatastoreRecord) -> DatastoreSpec:
    return DatastoreSpec(record.nas, record.basename, record.config_path)
