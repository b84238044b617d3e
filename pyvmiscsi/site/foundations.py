"""What a datastore stands on: the dataset and the groups on its nas, the directory on its hosts."""

from __future__ import annotations

import ipaddress
from concurrent.futures import ThreadPoolExecutor

from pyvmiscsi.bhyve.configuration.config_path import guest_directories
from pyvmiscsi.errors import DeadlineError, HostError, NotFoundError
from pyvmiscsi.model import AccessGroups, Dataset, DatastoreRecord, Finding, Volume
from pyvmiscsi.operations.guests import guest_records
from pyvmiscsi.plan.intent import PREFIX, read_intents, read_mark
from pyvmiscsi.site.connections import Connections
from pyvmiscsi.site.views import ConfigPathView, DatastoreContentView, ReadinessView

_AT_ONCE = 8
_ANYWHERE = ("0.0.0.0", "::")  # noqa: S104 - as the nas spells it


def check_foundations(datastore: DatastoreRecord, connections: Connections) -> None:
    """NotFoundError naming all that a guest would miss there: dataset, groups, directories.

    A host that does not answer is passed over with a warning, and so is a portal that the group does not show: there
    may be address translation in between.
    """
    lacking = [*_lacking_on_nas(datastore, connections)]
    for seen in config_paths(datastore, connections):
        if seen.state == "no answer":
            connections.warn(f"host {seen.host}: no answer, so {datastore.config_path} was not looked for")
        elif seen.state == "missing":
            lacking.append(f"host {seen.host} has no directory {datastore.config_path}")
    if lacking:
        raise NotFoundError(
            f"datastore {datastore.name}: {'; '.join(lacking)}", hint="make what is missing, or say --no-check"
        )


def _lacking_on_nas(datastore: DatastoreRecord, connections: Connections) -> list[str]:
    nas, who = connections.nas(datastore.nas), f"nas {datastore.nas}"
    groups, lacking = nas.access_groups(), list[str]()
    if nas.find_dataset(datastore.parent) is None:
        lacking.append(f"{who} has no dataset {datastore.parent}")
    if datastore.portal_group not in groups.portals:
        there = ", ".join(map(str, sorted(groups.portals))) or "none"
        lacking.append(f"{who} has no portal group {datastore.portal_group} (there: {there})")
    elif not _listens(groups, datastore):
        addresses = ", ".join(groups.portals[datastore.portal_group])
        connections.warn(
            f"portal group {datastore.portal_group} listens at {addresses}, not at {datastore.portal.host}"
        )
    if datastore.initiator_group is not None and datastore.initiator_group not in groups.initiators:
        there = ", ".join(map(str, sorted(groups.initiators))) or "none"
        lacking.append(f"{who} has no initiator group {datastore.initiator_group} (there: {there})")
    return lacking


def _listens(groups: AccessGroups, datastore: DatastoreRecord) -> bool:
    """Whether the group has the portal's address; of a portal by name nobody here knows."""
    addresses = groups.portals[datastore.portal_group]
    try:
        ipaddress.ip_address(datastore.portal.host)
    except ValueError:
        return True
    return datastore.portal.host in addresses or any(one in addresses for one in _ANYWHERE)


def config_paths(datastore: DatastoreRecord, connections: Connections) -> tuple[ConfigPathView, ...]:
    """How each host of the datastore sees the config path."""
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="config-path") as pool:
        names = shared_by(datastore, connections)
        return tuple(pool.map(lambda name: _config_path(name, datastore.config_path, connections), names))


def readiness(datastore: DatastoreRecord, connections: Connections) -> tuple[ReadinessView, ...]:
    """What each host of the datastore lacks for attaching disks, and what will bite later there."""
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="readiness") as pool:
        return tuple(pool.map(lambda name: _readiness(name, connections), shared_by(datastore, connections)))


def _readiness(name: str, connections: Connections) -> ReadinessView:
    try:
        return ReadinessView(name, connections.initiator(name).preflight())
    except (HostError, DeadlineError) as error:
        return ReadinessView(name, (Finding(f"no answer: {error.message}", error.hint, fatal=True),))


def shared_by(datastore: DatastoreRecord, connections: Connections) -> tuple[str, ...]:
    """The hosts that share its config path; none in a site without hosts."""
    return datastore.hosts or tuple(connections.record.hosts)


def _config_path(name: str, path: str, connections: Connections) -> ConfigPathView:
    try:
        host = connections.host(name)
        if host.run(["/bin/test", "-d", path], ok=(0, 1)).status:
            return ConfigPathView(name, "missing")
        return ConfigPathView(name, "there", tuple(sorted(guest_directories(host, path))))
    except (HostError, DeadlineError):
        return ConfigPathView(name, "no answer")


def content(datastore: DatastoreRecord, connections: Connections) -> DatastoreContentView:
    """What the nas has in the datastore: guests, their disks, unfinished operations, and what else bears our marks."""
    nas = connections.nas(datastore.nas)
    parent, inventory = nas.find_dataset(datastore.parent), nas.inventory(datastore.parent)
    below: tuple[Dataset | Volume, ...] = (*inventory.datasets, *inventory.volumes)
    records = guest_records(datastore, inventory)
    volumes = [disk.volume for record in records for disk in record.disks]
    guests = {record.anchor for record in records} | {volume.path for volume in volumes}
    places = (*((parent,) if parent else ()), *below)
    return DatastoreContentView(
        guests=tuple(str(record.name) for record in records),
        disks=len(volumes),
        size=sum(volume.size.bytes for volume in volumes),
        used=sum(volume.used.bytes for volume in volumes if volume.used),
        operations=tuple(intent.id for place in places for intent in read_intents(place.path, place.marks)),
        others=tuple(
            str(place.path)
            for place in below
            if place.path not in guests
            and any(read_mark(place.path, key.removeprefix(PREFIX), place.marks) is not None for key in place.marks)
        ),
    )
