"""Facts about what is on a volume: an image, or what another volume had at a snapshot.

Two marks tell how far it is: `org.pyvmiscsi:filling` from before the first byte is written, `org.pyvmiscsi:filled` in
its place once all of it is on stable storage and nothing that was made for the transfer is left. A volume that this
operation made and that has neither reads as zeros, so zeros are not written to it.

Plans put these steps before the guest's own extent of the volume. They may be made again after whatever cut them short:
they go on where the last one came to (`steps.headway`), if the source still begins with the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, Self

from pyvmiscsi.errors import DeadlineError, InterruptedOperation, NotFoundError, SessionLostError
from pyvmiscsi.images.blocks.content import Content, Written
from pyvmiscsi.images.filling import fill, read_back
from pyvmiscsi.images.image import open_image
from pyvmiscsi.images.reached import AnotherSourceError
from pyvmiscsi.images.source.given import comes_once
from pyvmiscsi.model import DatastoreRecord, Volume
from pyvmiscsi.names import DatasetPath
from pyvmiscsi.plan.intent import mark, read_mark
from pyvmiscsi.plan.step import Progress, Watch
from pyvmiscsi.ports import BlockAccess, Nas
from pyvmiscsi.steps.headway import DONE, NOWHERE, Headway, reached_on, whole_on
from pyvmiscsi.steps.offers import Offer, exported
from pyvmiscsi.steps.reading import SnapshotReading, SnapshotSource
from pyvmiscsi.steps.signature import Signature
from pyvmiscsi.units import Size

__all__ = ["LunCopied", "SnapshotSource", "Transport", "VolumeFilled", "filling_of"]


@dataclass(frozen=True, slots=True)
class Transport:
    """How this process reaches LUNs, and who watches what goes through it: the engine sees to the latter."""

    access: BlockAccess
    watch: Watch = field(default_factory=Watch)

    def progress(self, what: str, operation: str) -> Progress:
        """Progress that also ends the transfer, with InterruptedOperation, when somebody asks to stop."""

        def tell(done: int, total: int | None) -> None:
            self.watch.progress(done, total)
            if self.watch.interrupted():
                raise InterruptedOperation(f"stopped: {what} is unfinished", hint=_way_on(operation))

        return tell

    def watched(self, watch: Watch) -> Transport:
        return replace(self, watch=watch)


@dataclass(frozen=True, slots=True)
class VolumeFilled:
    """The volume holds an image, and zeros behind it; with `verify` all of it was read back, too.

    `image` is what `images.source.given.place_of` answers; to go on with one from standard input it has to be piped in
    again. One that is not the same any more is written from its beginning.
    """

    nas: Nas
    datastore: DatastoreRecord
    volume: DatasetPath
    image: str
    transport: Transport
    signature: Signature
    sha256: str | None = None
    """Of the file as given, where whoever gave it knows it."""
    verify: bool = False
    signed: ClassVar[bool] = True

    @property
    def title(self) -> str:
        return f"volume {self.volume} filled from {'standard input' if self.image == '-' else self.image}"

    def holds(self) -> bool:
        return _is_filled(self.nas, self.volume, self.signature)

    def make(self) -> None:
        try:
            written = self._fill()
        except AnotherSourceError as error:
            if comes_once(self.image):
                error.hint = f"pipe it in again, and it is written from its beginning; {error.hint}"
                raise
            self.transport.watch.say(f"{error.message}: begins again")
            written = self._fill()
        _say_filled(self._offer, written)
        self.transport.watch.learnt(asdict(written))

    def watched(self, watch: Watch) -> Self:
        return replace(self, transport=self.transport.watched(watch))

    def undo(self) -> None:
        self._offer.withdraw()

    def _fill(self) -> Written:
        tell = self.transport.progress(self.title, self.signature.operation)
        with open_image(self.image, sha256=self.sha256, progress=tell) as content:
            return _fill(self._offer, content, self.transport, self.title, verify=self.verify)

    @property
    def _offer(self) -> Offer:
        return Offer(self.nas, self.datastore, self.volume, self.signature)


@dataclass(frozen=True, slots=True)
class LunCopied:
    """The volume holds what the source had at its snapshot, and owes it nothing; the two may be on different nases.

    Every byte goes through this process, but for those that the source has let go of. The clone that is read is gone
    afterwards. With `hashed` a digest is taken on the way.
    """

    source: SnapshotSource
    nas: Nas
    datastore: DatastoreRecord
    volume: DatasetPath
    transport: Transport
    signature: Signature
    hashed: bool = True
    verify: bool = False
    signed: ClassVar[bool] = True

    @property
    def title(self) -> str:
        return f"volume {self.volume} copied from {self.source}"

    def holds(self) -> bool:
        return _is_filled(self.nas, self.volume, self.signature)

    def make(self) -> None:
        with self._reading.content(self.transport.access) as content:
            written = _fill(
                self._offer, content, self.transport, self.title, hashed=self.hashed or self.verify, verify=self.verify
            )
        _say_filled(self._offer, written)
        self.transport.watch.learnt(asdict(written))

    def watched(self, watch: Watch) -> Self:
        return replace(self, transport=self.transport.watched(watch))

    def undo(self) -> None:
        self._offer.withdraw()
        self._reading.remove()

    @property
    def _offer(self) -> Offer:
        return Offer(self.nas, self.datastore, self.volume, self.signature)

    @property
    def _reading(self) -> SnapshotReading:
        return SnapshotReading(self.source, self._offer.name, self.signature)


def filling_of(volume: Volume) -> dict[str, Any] | None:
    """What a filled volume's mark says: `op`, `length` of the disk in bytes, its `digest` or None.

    None when it has no such mark.
    """
    return read_mark(volume.path, "filled", volume.marks)


def _fill(
    offer: Offer, content: Content, transport: Transport, title: str, *, verify: bool, hashed: bool = True
) -> Written:
    """Fill the offered volume, from where the last run has come to; marks tell of it from before the first byte on.

    Whoever comes to it when another has written all of it meanwhile writes nothing.
    """
    operation = offer.signature.operation
    tell, headway = transport.progress(title, operation), Headway(offer.nas, offer.volume, operation)
    with exported(offer, transport.access) as device:
        volume = offer.nas.find_volume(offer.volume)
        if volume is None:
            raise NotFoundError(f"volume {offer.volume}: is not on the nas any more")
        whole = whole_on(volume, operation)
        if whole is not None:
            return whole
        reached = reached_on(volume, operation) if hashed else NOWHERE
        headway.begin(reached)
        if reached != NOWHERE:
            transport.watch.say(f"{title}: the first {Size(reached.length)} are there, if the source is the same still")
        try:
            with _resumable(operation), headway.kept() as milestone:
                written = fill(
                    device,
                    content,
                    fresh=_is_fresh(volume, offer.signature),
                    hashed=hashed,
                    progress=tell,
                    milestone=milestone,
                    after=reached if reached != NOWHERE else None,
                )
                if verify:
                    read_back(device, written, progress=tell)
        except AnotherSourceError:
            headway.forget()
            raise
        headway.finish(written)
    return written


@contextmanager
def _resumable(operation: str) -> Iterator[None]:
    """A target that is gone, or hangs, may be there again later: what was copied is kept until then."""
    try:
        yield
    except (SessionLostError, DeadlineError) as lost:
        hint = f"{lost.hint}; {_way_on(operation)}" if lost.hint else _way_on(operation)
        raise InterruptedOperation(lost.message, hint=hint) from lost


def _way_on(operation: str) -> str:
    return f"pyvmiscsi ops resume {operation} goes on with it, ops rewind {operation} takes it back"


def _say_filled(offer: Offer, written: Written) -> None:
    """The last thing of all, once everything made for the transfer is gone: whoever reads it has nothing left to do."""
    note = {"op": offer.signature.operation, "length": written.length, "digest": written.digest}
    offer.nas.change_marks(offer.volume, {**mark(offer.volume, "filled", note), **DONE})


def _is_filled(nas: Nas, path: DatasetPath, signature: Signature) -> bool:
    volume = nas.find_volume(path)
    note = filling_of(volume) if volume is not None else None
    return note is not None and note.get("op") == signature.operation


def _is_fresh(volume: Volume, signature: Signature) -> bool:
    """Whether this operation made the volume and nobody has written to it."""
    written = any(read_mark(volume.path, name, volume.marks) is not None for name in ("filling", "filled"))
    return volume.origin is None and Signature.in_marks(volume.path, volume.marks) == signature and not written
