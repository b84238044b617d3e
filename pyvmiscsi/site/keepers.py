"""Clones and holds that keep snapshots, told with the words that free them."""

from __future__ import annotations

from collections.abc import Iterable

from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.names import DatasetPath
from pyvmiscsi.operations.lineage import owners_of
from pyvmiscsi.ports import Nas
from pyvmiscsi.steps.snapshots import refuse_kept_snapshots


def refuse_kept(volumes: Iterable[DatasetPath], datastore: DatastoreRecord, nas: Nas) -> None:
    """BusyError, before anything is touched, when a snapshot of one of these could not be deleted; how to free it.

    Clones are named wherever they are; those of the datastore with the guest or image that they belong to.
    """
    keepers = nas.snapshot_keepers(volumes)
    if not keepers:
        return
    owners = owners_of(datastore, nas.inventory(datastore.parent))
    ways = {
        str(volume): f"vm promote {guest}" if guest else f"image destroy {image}"
        for volume, (guest, _, image) in owners.items()
    }
    refuse_kept_snapshots(keepers, ways)
