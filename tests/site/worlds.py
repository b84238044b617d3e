"""A site whose nas is in memory and whose hosts are this machine, with a real directory as config path."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pyvmiscsi.model import HostRecord, NasRecord, Volume
from pyvmiscsi.model import Site as SiteRecord
from pyvmiscsi.names import DatasetPath, GuestName
from pyvmiscsi.operations.create import CreateRequest, DiskRequest
from pyvmiscsi.site import Site
from pyvmiscsi.site.connections import Connections
from pyvmiscsi.units import Size
from tests.fakes.access import FakeAccess
from tests.fakes.nas import FakeNas
from tests.fakes.quick_host import QuickHost
from tests.operations.scenes import RememberingInitiator, datastore_in


@dataclass
class World:
    """One nas and one config path; every `site()` is a process of its own that knows nothing of the others."""

    directory: Path
    layout: str = "nested"
    nas: FakeNas = field(default_factory=FakeNas)
    initiator: RememberingInitiator = field(default_factory=RememberingInitiator)

    @cached_property
    def access(self) -> FakeAccess:
        """The LUNs of the nas, as this machine opens them."""
        return FakeAccess(self.nas)

    def site(self) -> Site:
        record = SiteRecord(
            source="site.toml",
            nases={"nas1": NasRecord("nas1", "https://nas1.example.net", "root")},
            hosts={"hv1": HostRecord("hv1")},
            datastores={"iscsi1": datastore_in(self.directory, layout=self.layout)},
        )
        return Site(
            Connections(
                record,
                connect_nas=lambda _record, _warn: self.nas,
                connect_host=QuickHost,
                initiator_of=lambda _record, _host, _warn: self.initiator,
                block_access=lambda: self.access,
            )
        )

    @staticmethod
    def volume(path: DatasetPath) -> Volume:
        """A volume that is nobody's."""
        return Volume(path, Size.parse("1G"))


def web1(*sizes: str, **changes: object) -> CreateRequest:
    """A request for guest web1 with disks of these sizes (one of 1G)."""
    disks = tuple(DiskRequest(Size.parse(size)) for size in sizes or ("1G",))
    return CreateRequest(GuestName.parse("web1"), disks, **changes)  # type: ignore[arg-type]
