"""Guests as everybody who knows of them shows them, in one view: the nas, the config path, the hosts."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.vm_bhyve.autostart import Autostart, autostart_of
from pyvmiscsi.errors import ConfigError, DeadlineError, HostError, NasError
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.operations.guests import GuestDisk, GuestRecord, guest_records
from pyvmiscsi.site.connections import Connections, SiteScene
from pyvmiscsi.site.elsewhere import as_whole_as_seen
from pyvmiscsi.site.survey import HostSurvey, sharing, survey_hosts
from pyvmiscsi.site.views import DiskView, GuestView

_AT_ONCE = 8


def neighbours(datastore: DatastoreRecord, connections: Connections) -> frozenset[str]:
    """The guests of those that it shares its config path with, as far as their nases answer."""
    found: set[str] = set()
    for name in sharing(datastore, connections.record):
        other = connections.record.datastores[name]
        with suppress(NasError):
            inventory = connections.nas(other.nas).inventory(other.parent)
            found |= {str(record.name) for record in guest_records(other, inventory)}
    return frozenset(found)


def survey_guests(datastore: DatastoreRecord, connections: Connections) -> tuple[GuestView, ...]:
    """Every guest that the nas or the config path knows, by name."""
    with ThreadPoolExecutor(2, thread_name_prefix="survey") as pool:
        inventory = pool.submit(connections.nas(datastore.nas).inventory, datastore.parent)
        lists = pool.submit(autostarts, datastore, connections)
        hosts = survey_hosts(datastore, connections)
        found = as_whole_as_seen(guest_records(datastore, inventory.result()), connections)
        records = {str(record.name): record for record in found}
    return tuple(
        guest_view(name, datastore, records.get(name), hosts, lists.result())
        for name in sorted({*records, *hosts.directories})
    )


def autostarts(datastore: DatastoreRecord, connections: Connections) -> dict[str, Autostart]:
    """What each host is to start at boot. One that does not answer has none; a mistake in an rc.conf is warned of."""

    def ask(name: str) -> Autostart:
        try:
            return autostart_of(connections.host(name))
        except (HostError, DeadlineError):
            return Autostart()
        except ConfigError as error:
            connections.warn(f"{error}: what {name} starts at boot is not known")
            return Autostart()

    names = SiteScene(connections).host_names(datastore)
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="autostart") as pool:
        return dict(zip(names, pool.map(ask, names), strict=True))


def guest_view(
    name: str,
    datastore: DatastoreRecord,
    record: GuestRecord | None,
    hosts: HostSurvey,
    lists: Mapping[str, Autostart],
) -> GuestView:
    """A guest's parts put together; `lists` is what the hosts start at boot."""
    directory = hosts.directories.get(name)
    conf = directory.conf if directory else ConfText()
    state, host = hosts.state_of(name)
    devices = hosts.devices()
    return GuestView(
        name=name,
        datastore=datastore.name,
        uuid=str(record.uuid) if record else conf.get("uuid"),
        state=state,
        host=host,
        loader=conf.get("loader"),
        cpu=conf.get("cpu"),
        memory=conf.get("memory"),
        configuration=f"{datastore.config_path}/{name}/{name}.conf" if directory else None,
        disks=tuple(_disk_view(disk, datastore, devices) for disk in record.disks) if record else (),
        operations=tuple(intent.id for intent in record.intents) if record else (),
        autostart={host: number for host, one in lists.items() if (number := one.number_of(name)) is not None},
    )


def _disk_view(disk: GuestDisk, datastore: DatastoreRecord, devices: Mapping[str, str]) -> DiskView:
    extent, target, mapping = disk.extent, disk.target, disk.mapping
    return DiskView(
        name=str(disk.name),
        volume=str(disk.volume.path),
        size=disk.volume.size.bytes,
        used=disk.volume.used.bytes if disk.volume.used else None,
        thick=disk.volume.thick,
        compression=disk.volume.compression,
        extent=extent.name if extent else None,
        serial=str(extent.serial) if extent else None,
        naa=extent.naa if extent else None,
        sector=extent.sector.bytes if extent else None,
        target=str(target.iqn) if target else None,
        lun=mapping.lun.number if mapping else None,
        portal=str(disk.datastore(datastore).portal),
        datastore=disk.elsewhere.name if disk.elsewhere else None,
        chap_tag=target.chap_tag if target else None,
        sessions=tuple(session.initiator for session in disk.sessions),
        origin=disk.volume.origin,
        device=devices.get(str(target.iqn)) if target else None,
    )
