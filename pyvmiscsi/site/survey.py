"""All guests of a datastore in one view: the nas, the config path and the hosts, asked at the same time."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pyvmiscsi.bhyve.conf_text import ConfText
from pyvmiscsi.bhyve.config_path import GuestDirectory, guest_directories
from pyvmiscsi.bhyve.hypervisor import Hypervisor
from pyvmiscsi.errors import HostUnreachableError
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.operations.guests import GuestDisk, GuestRecord, guest_records
from pyvmiscsi.site.connections import Connections, SiteScene
from pyvmiscsi.site.views import DiskView, GuestView

_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class HostGlance:
    """A host that answered: its hostname(1) and the guests that run on it."""

    name: str
    hostname: str
    running: frozenset[str]


def survey_guests(datastore: DatastoreRecord, connections: Connections) -> tuple[GuestView, ...]:
    """Every guest that the nas or the config path knows, by name."""
    scene = SiteScene(connections)
    hosts = scene.host_names(datastore)
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="survey") as pool:
        inventory = pool.submit(lambda: scene.nas(datastore).inventory(datastore.parent))
        directories = pool.submit(guest_directories, scene.host(hosts[0]), datastore.config_path)
        glances = [pool.submit(glance, connections, host) for host in hosts]
        records = {str(record.name): record for record in guest_records(datastore, inventory.result())}
        confs = directories.result()
        seen = [found for asked in glances if (found := asked.result()) is not None]
    return tuple(
        guest_view(name, datastore, record=records.get(name), directory=confs.get(name), seen=seen)
        for name in sorted({*records, *confs})
    )


def glance(connections: Connections, name: str) -> HostGlance | None:
    """What runs on a host; None, with a warning, when it does not answer."""
    try:
        hypervisor = Hypervisor(connections.host(name))
        return HostGlance(name, hypervisor.hostname(), frozenset(hypervisor.running()))
    except HostUnreachableError as error:
        connections.warn(f"{error}: guests on it are not seen")
        return None


def guest_view(
    name: str,
    datastore: DatastoreRecord,
    *,
    record: GuestRecord | None,
    directory: GuestDirectory | None,
    seen: list[HostGlance],
    devices: Mapping[str, str] | None = None,
) -> GuestView:
    """A guest's parts put together; `devices` maps a target to the device a host has it under."""
    conf = directory.conf if directory else ConfText()
    state, host = run_state(name, directory.locked_by if directory else None, seen)
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
        disks=tuple(_disk_view(disk, datastore, devices or {}) for disk in record.disks) if record else (),
        operations=tuple(intent.id for intent in record.intents) if record else (),
    )


def run_state(name: str, locked_by: str | None, seen: list[HostGlance]) -> tuple[str, str | None]:
    """vm-bhyve's word for the guest's state, and the host: as the site names it, or as the lock has it."""
    for host in seen:
        if name in host.running:
            return "Running", host.name
    if locked_by is None:
        return "Stopped", None
    return "Locked", next((host.name for host in seen if host.hostname == locked_by), locked_by)


def _disk_view(disk: GuestDisk, datastore: DatastoreRecord, devices: Mapping[str, str]) -> DiskView:
    extent, target, mapping = disk.extent, disk.target, disk.mapping
    return DiskView(
        name=str(disk.name),
        volume=str(disk.volume.path),
        size=disk.volume.size.bytes,
        used=disk.volume.used.bytes if disk.volume.used else None,
        thick=disk.volume.thick,
        extent=extent.name if extent else None,
        serial=str(extent.serial) if extent else None,
        naa=extent.naa if extent else None,
        sector=extent.sector.bytes if extent else None,
        target=str(target.iqn) if target else None,
        lun=mapping.lun.number if mapping else None,
        portal=str(datastore.portal),
        chap_tag=target.chap_tag if target else None,
        sessions=tuple(session.initiator for session in disk.sessions),
        device=devices.get(str(target.iqn)) if target else None,
    )
