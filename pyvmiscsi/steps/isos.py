"""The fact that a host's store has an installation medium, from a web server or from a file of this machine."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from pyvmiscsi.bhyve.installation.iso_store import Incoming
from pyvmiscsi.bhyve.installation.iso_store_text import IsoStore
from pyvmiscsi.errors import ConflictError, ImageError, InterruptedOperation
from pyvmiscsi.images.source.checksum import Checksum
from pyvmiscsi.plan.step import Watch
from pyvmiscsi.ports import Host
from pyvmiscsi.steps.media import Medium, is_packed, opened_medium, refuse_no_medium
from pyvmiscsi.units import Size

_PIECE = 8 * 1024 * 1024
"""What one command of the host takes: little enough to stop soon, much enough for the way there not to matter."""


@dataclass(frozen=True, slots=True)
class IsoInStore:
    """The store has the file under this name, whole; with a checksum, of what the host itself reads there.

    One that is packed is unpacked on its way; its checksum is that of the file as it is given. What has come when it is
    cut short stays, for whoever asks for the same file again; `undo` leaves it, too.
    """

    host: Host
    store: IsoStore
    name: str
    place: str
    """A URL, or the path of a file here."""
    checksum: Checksum | None = None
    watch: Watch = field(default_factory=Watch)
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"ISO {self.store.path}/{self.name} on {self.host.name}"

    def holds(self) -> bool:
        return self._incoming("").is_there()

    def make(self) -> None:
        with opened_medium(self.place, self.checksum) as source:
            incoming = self._incoming(_digest_of(self.place, source))
            free = incoming.free()
            there = incoming.size()
            if source.identity is None or (source.size is not None and there > source.size):
                incoming.discard()
                there = 0
            if source.size is not None and source.size - there > free:
                raise ConflictError(
                    f"{self.title}: {Size(source.size - there)} are still to come, and {Size(free)} are free there",
                    hint="make room, or fetch it into another store",
                )
            length = there
            if there == 0 or there != source.size:
                length = self._copy(source, incoming, there)
        if source.size is not None and length != source.size:
            raise ImageError(f"{self.title}: {length} bytes came, of {source.size}", hint="fetch it again")
        self._keep(incoming, length, None if is_packed(self.place) else self.checksum)

    def undo(self) -> None:
        """What has come stays, for the next try."""

    def watched(self, watch: Watch) -> Self:
        return replace(self, watch=watch)

    def _copy(self, source: Medium, incoming: Incoming, start: int) -> int:
        if start:
            source.skip(start)
        at, piece = start, self._checked(source, incoming)
        if start == 0:
            refuse_no_medium(piece, self.name)
        while piece:
            incoming.append(piece, at)
            at += len(piece)
            self.watch.progress(at, source.size)
            if self.watch.interrupted():
                raise InterruptedOperation(
                    f"{self.title}: stopped after {Size(at)}", hint="the same command goes on with it"
                )
            piece = self._checked(source, incoming)
        return at

    @staticmethod
    def _checked(source: Medium, incoming: Incoming) -> bytes:
        """The next piece; one that is damaged, or at its end not what was promised, leaves nothing behind."""
        try:
            return _whole_piece(source)
        except ImageError:
            incoming.discard()
            raise

    def _keep(self, incoming: Incoming, length: int, promised: Checksum | None) -> None:
        kind = "SHA-256" if promised is None else promised.kind
        digest = incoming.digest(kind.replace("-", "").lower())
        if promised is not None and digest != promised.digest:
            incoming.discard()
            raise ImageError(
                f"{self.title}: its {kind} is {digest}, not {promised.digest}", hint="nothing of it was kept"
            )
        incoming.keep()
        self.watch.learnt({"size": length, "digest": f"{kind} {digest}"})

    def _incoming(self, identity: str) -> Incoming:
        return Incoming(self.host, self.store, self.name, identity)


def _whole_piece(source: Medium) -> bytes:
    pieces, length = [], 0
    while length < _PIECE and (more := source.read(_PIECE - length)):
        pieces.append(more)
        length += len(more)
    return b"".join(pieces)


def _digest_of(place: str, source: Medium) -> str:
    """What stands for this very file in the name of what has come of it."""
    return hashlib.sha256(f"{place} {source.identity} {source.size}".encode()).hexdigest()[:12]
