"""What a plan is built from: the ports of one site, by the names of its configuration."""

from __future__ import annotations

from typing import Protocol

from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.ports import BlockAccess, Host, Initiator, Nas


class Scene(Protocol):
    """Hands out ports; none of them is connected before it is used."""

    def datastore(self, name: str) -> DatastoreRecord:
        """The site's datastore of this name; NotFoundError when it has none."""

    def nas(self, datastore: DatastoreRecord) -> Nas: ...

    def host(self, name: str) -> Host: ...

    def initiator(self, name: str) -> Initiator: ...

    def block_access(self) -> BlockAccess:
        """LUNs opened from this process."""

    def host_names(self, datastore: DatastoreRecord) -> tuple[str, ...]:
        """The hosts that share the datastore's config path."""


def datastore_of(name: str | None, home: DatastoreRecord, scene: Scene) -> DatastoreRecord:
    """The datastore that a disk of a guest is in: its guest's own, unless another is named."""
    return home if name in (None, home.name) else scene.datastore(str(name))
