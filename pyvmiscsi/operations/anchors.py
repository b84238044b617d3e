"""The object on the nas that carries a guest's marks, and the journals of operations on a guest that is there. Pure."""

from __future__ import annotations

from pyvmiscsi.model import DatastoreRecord, Volume
from pyvmiscsi.names import DatasetPath
from pyvmiscsi.operations.scene import Scene
from pyvmiscsi.plan.journal import Anchor, ChangeJournal, DatasetAnchor, Owner, VolumeAnchor
from pyvmiscsi.units import Size


def anchor_at(path: DatasetPath, datastore: DatastoreRecord, scene: Scene) -> Anchor:
    """A guest's dataset (nested layout) or its disk0's volume (flat), which is there already."""
    nas = scene.nas(datastore)
    if datastore.layout == "flat":
        return VolumeAnchor(nas, Volume(path, Size(0)))
    return DatasetAnchor(nas, path)


def change_journal(path: DatasetPath, datastore: DatastoreRecord, scene: Scene, of: Owner) -> ChangeJournal:
    """The journal of an operation that leaves the guest in place."""
    return ChangeJournal(anchor_at(path, datastore, scene), of=of)
