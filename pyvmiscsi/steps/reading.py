"""What a volume had at a snapshot, read by this process through a clone that is there only as long as it is read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from pyvmiscsi.errors import ConflictError, PyvmiscsiError
from pyvmiscsi.images.blocks.content import Content
from pyvmiscsi.images.lun import LunContent
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.names import DatasetPath, SnapshotName
from pyvmiscsi.plan.intent import mark
from pyvmiscsi.ports import BlockAccess, Nas
from pyvmiscsi.steps.offers import Offer, exported
from pyvmiscsi.steps.signature import Signature


@dataclass(frozen=True, slots=True)
class SnapshotSource:
    """A volume as it was at a snapshot."""

    nas: Nas
    datastore: DatastoreRecord
    volume: DatasetPath
    snapshot: SnapshotName

    def __str__(self) -> str:
        return f"{self.volume}@{self.snapshot}"


@dataclass(frozen=True, slots=True)
class SnapshotReading:
    """One reading of it: by way of the clone `<parent>/<name>`, a name that no guest can have, offered read-only."""

    source: SnapshotSource
    name: str
    signature: Signature

    @contextmanager
    def content(self, access: BlockAccess) -> Iterator[Content]:
        """All of it. Afterwards the clone is gone; when the block fails, as far as the nas lets us.

        What is left of an earlier reading goes first; ConflictError when something else is in the clone's place.
        """
        source, offer = self.source, self._offer
        self.remove()
        note = mark(offer.volume, "transfer", {"op": self.signature.operation})
        source.nas.clone(source.volume, source.snapshot, offer.volume, note)
        try:
            with exported(offer, access) as device:
                yield LunContent(str(source), device)
        except BaseException:
            with suppress(PyvmiscsiError):
                self.remove()
            raise
        self.remove()

    def remove(self) -> None:
        """The clone goes, and its offer; ConflictError when what bears its name is no clone of that snapshot."""
        self._offer.withdraw()
        found = self.find()
        if found is None:
            return
        if found != str(self.source):
            raise ConflictError(
                f"volume {self._offer.volume}: is in the way, and is no clone of {self.source}",
                hint="it was left alone",
            )
        self.source.nas.delete_volume(self._offer.volume)

    def find(self) -> str | None:
        """What the volume in the clone's place was cloned from, empty for nothing; None when there is no volume."""
        found = self.source.nas.find_volume(self._offer.volume)
        return None if found is None else found.origin or ""

    @property
    def _offer(self) -> Offer:
        place = self.source.datastore.parent.child(self.name)
        return Offer(self.source.nas, self.source.datastore, place, self.signature, read_only=True)
