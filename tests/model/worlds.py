"""The two worlds that a sequence can be lived in: one in memory, one on the lab; and what stands in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pyvmiscsi import config
from pyvmiscsi.lab import Lab
from pyvmiscsi.lab.hypervisor.control import Control as HypervisorControl
from pyvmiscsi.model import DatastoreRecord, HostRecord, NasRecord
from pyvmiscsi.model import Site as SiteRecord
from pyvmiscsi.names import DatasetPath
from pyvmiscsi.ports import Host, Initiator
from pyvmiscsi.site import DiskView, Guest, Site
from pyvmiscsi.site import connections as real
from pyvmiscsi.site.connections import Connections
from pyvmiscsi.units import SECTOR
from tests.fakes.host import FakeHost
from tests.fakes.luns import FakeLuns
from tests.fakes.nas import PARENT, FakeNas
from tests.model.hypervisor import MemoryHost
from tests.model.initiator import POOL, MemoryInitiator
from tests.model.luck import Luck, unlucky_access, unlucky_host, unlucky_nas
from tests.operations.scenes import datastore_in

CONFIG_PATH = "/vmconfig"
HOSTS = ("hv1", "hv2")


@dataclass(frozen=True)
class Census:
    """How many things of each kind there are on the nas and on the hosts, and every intent that still stands."""

    volumes: int
    extents: int
    targets: int
    mappings: int
    accounts: int
    sessions: int
    """As the nas sees them."""
    host_sessions: int
    directories: tuple[str, ...]
    """In the config path."""
    intents: tuple[str, ...]


class World(Protocol):
    """Where sequences are lived."""

    def site(self, luck: Luck | None = None) -> Site:
        """A process of its own that knows nothing of any other, and has this luck."""

    def census(self) -> Census: ...

    def sector_of(self, guest: Guest, disk: DiskView) -> bytes:
        """The first sector of a disk that nobody has."""


@dataclass
class MemoryWorld:
    """A nas and two hypervisors in memory."""

    layout: str = "nested"
    renames_datasets: bool = True
    nas: FakeNas = field(init=False)
    hosts: dict[str, MemoryHost] = field(init=False)
    shared: FakeHost = field(init=False)

    def __post_init__(self) -> None:
        self.nas = FakeNas(renames_datasets=self.renames_datasets)
        self.shared = FakeHost()
        self.shared.make_directory(CONFIG_PATH)
        self.initiators = {name: MemoryInitiator(self.nas, name) for name in HOSTS}
        self.hosts = {
            name: MemoryHost(name, initiator=self.initiators[name], shared=self.shared, config_path=CONFIG_PATH)
            for name in HOSTS
        }

    def site(self, luck: Luck | None = None) -> Site:
        lucky = luck or Luck()
        self.nas.calls.clear()  # nobody looks at them, and a life is long
        record = SiteRecord(
            source="site.toml",
            nases={"nas1": NasRecord("nas1", "https://nas1.example.net", "root")},
            hosts={name: HostRecord(name) for name in HOSTS},
            datastores={"iscsi1": self._datastore()},
        )
        return Site(
            Connections(
                record,
                connect_nas=lambda _record, _warn: unlucky_nas(self.nas, lucky),
                connect_host=lambda host: unlucky_host(self.hosts[host.name], lucky),
                initiator_of=lambda _record, host, _warn: unlucky_host(self.initiators[host.name], lucky),
                block_access=lambda: unlucky_access(FakeLuns(self.nas), lucky),
            )
        )

    def census(self) -> Census:
        state = self.nas.state()
        found = self.nas.inventory(POOL)
        marked = (*found.datasets, *found.volumes, self.nas.find_dataset(PARENT))
        return Census(
            volumes=len(state["volumes"]),
            extents=len(state["extents"]),
            targets=len(state["targets"]),
            mappings=len(state["mappings"]),
            accounts=len(state["credentials"]),
            sessions=len(self.nas.sessions_now),
            host_sessions=sum(len(one.disks) for one in self.initiators.values()),
            directories=_of_guests(self.shared.list_directory(CONFIG_PATH)),
            intents=tuple(sorted({key for one in marked if one for key in one.marks if ":op." in key})),
        )

    def sector_of(self, guest: Guest, disk: DiskView) -> bytes:  # noqa: ARG002 - the volume says it all
        """Without a session: opening a disk in memory costs more than all else together."""
        return self.nas.contents[DatasetPath(disk.volume)][: SECTOR.bytes].ljust(SECTOR.bytes, b"\0")

    def _datastore(self) -> DatastoreRecord:
        return datastore_in(Path(CONFIG_PATH), layout=self.layout)


@dataclass
class LabWorld:
    """The lab's nas, target and hypervisors. It must be nobody else's as long as a sequence is lived."""

    lab: Lab

    def site(self, luck: Luck | None = None) -> Site:
        lucky = luck or Luck()
        record = config.load(config.find(str(self.lab.site_file))).site
        hosts: dict[int, Host] = {}

        def host_of(host: HostRecord) -> Host:
            connected = real.connect_host(host)
            shown = unlucky_host(connected, lucky)
            hosts[id(shown)] = connected
            return shown

        def initiator_of(record: HostRecord, host: Host, warn: Callable[[str], None]) -> Initiator:
            return unlucky_host(real.initiator_of(record, hosts[id(host)], warn), lucky)

        return Site(
            Connections(
                record,
                connect_nas=lambda nas, warn: unlucky_nas(real.connect_nas(nas, warn), lucky),
                connect_host=host_of,
                initiator_of=initiator_of,
                block_access=lambda: unlucky_access(real.block_access(), lucky),
            )
        )

    def census(self) -> Census:
        facts = self.lab.control.state()["facts"]
        return Census(
            volumes=sum(one["type"] == "VOLUME" for one in facts["datasets"].values()),
            extents=len(facts["extents"]),
            targets=len(facts["targets"]),
            mappings=len(facts["mappings"]),
            accounts=len(facts["credentials"]),
            sessions=len(self.lab.control.sessions()),
            host_sessions=sum(self._on(name, lambda host: len(host.state()["sessions"])) for name in HOSTS),
            directories=self._directories(),
            intents=tuple(sorted({word for word in json.dumps(facts).split('"') if ":op." in word})),
        )

    def sector_of(self, guest: Guest, disk: DiskView) -> bytes:
        with guest.open_disk(disk.name) as lun:
            return lun.pread(SECTOR.bytes, 0)

    def _on(self, name: str, ask: Callable[[HypervisorControl], int]) -> int:
        with HypervisorControl(Path(self.lab.info.hypervisors[name].control_socket)) as host:
            return ask(host)

    def _directories(self) -> tuple[str, ...]:
        with self.site() as site:
            names = site.host("hv1").list_directory(site.datastore().record.config_path)
        return _of_guests(names)


def _of_guests(names: tuple[str, ...]) -> tuple[str, ...]:
    """Without the trash, and vm-bhyve's own."""
    return tuple(name for name in names if not name.startswith("."))
