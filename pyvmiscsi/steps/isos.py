"""The fact that a host's store has an installation medium, from a web server or from a file of this machine."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import ClassVar, Protocol, Self

from pyvmiscsi.bhyve.iso_store import Incoming
from pyvmiscsi.bhyve.iso_store_text import IsoStore
from pyvmiscsi.errors import ConflictError, ImageError, InputError, InterruptedOperation, NotFoundError
from pyvmiscsi.images.checksum import Checksum
from pyvmiscsi.images.web import downloaded
from pyvmiscsi.plan.step import Watch
from pyvmiscsi.ports import Host
from pyvmiscsi.units import Size

_PIECE = 8 * 1024 * 1024
"""What one command of the host takes: little enough to stop soon, much enough for the way there not to matter."""


class _Source(Protocol):
    """The medium, where it comes from: `size` is None where nobody knows, `identity` where nothing tells it."""

    @property
    def size(self) -> int | None: ...

    @property
    def identity(self) -> str | None: ...

    def skip(self, length: int) -> None: ...

    def read(self, length: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class IsoInStore:
    """The store has the file under this name, whole; with a checksum, of what the host itself reads there.

    What has come of it stays when it is cut short, for whoever asks for the same file again; `undo` leaves it, too.
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
        with _opened(self.place) as source:
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
            if there:
                source.skip(there)
            length = self._copy(source, incoming, there)
        if source.size is not None and length != source.size:
            raise ImageError(f"{self.title}: {length} bytes came, of {source.size}", hint="fetch it again")
        self._keep(incoming, length)

    def undo(self) -> None:
        """What has come stays, for the next try."""

    def watched(self, watch: Watch) -> Self:
        return replace(self, watch=watch)

    def _copy(self, source: _Source, incoming: Incoming, start: int) -> int:
        at = start
        while piece := _whole_piece(source):
            incoming.append(piece, at)
            at += len(piece)
            self.watch.progress(at, source.size)
            if self.watch.interrupted():
                raise InterruptedOperation(
                    f"{self.title}: stopped after {Size(at)}", hint="the same command goes on from there"
                )
        return at

    def _keep(self, incoming: Incoming, length: int) -> None:
        kind = "SHA-256" if self.checksum is None else self.checksum.kind
        digest = incoming.digest(kind.replace("-", "").lower())
        if self.checksum is not None and digest != self.checksum.digest:
            incoming.discard()
            raise ImageError(
                f"{self.title}: its {kind} is {digest}, not {self.checksum.digest}", hint="nothing of it was kept"
            )
        incoming.keep()
        self.watch.learnt({"size": length, "digest": f"{kind} {digest}"})

    def _incoming(self, identity: str) -> Incoming:
        return Incoming(self.host, self.store, self.name, identity)


class _LocalFile:
    """A file of this machine. Another one that takes its name has another identity."""

    def __init__(self, file: io.FileIO) -> None:
        found = os.fstat(file.fileno())
        self._file = file
        self.size: int | None = found.st_size
        self.identity: str | None = f"{found.st_dev}:{found.st_ino}:{found.st_mtime_ns}"

    def skip(self, length: int) -> None:
        self._file.seek(length, os.SEEK_CUR)

    def read(self, length: int, /) -> bytes:
        return self._file.read(length)


def _whole_piece(source: _Source) -> bytes:
    pieces, length = [], 0
    while length < _PIECE and (more := source.read(_PIECE - length)):
        pieces.append(more)
        length += len(more)
    return b"".join(pieces)


def _digest_of(place: str, source: _Source) -> str:
    """What stands for this very file in the name of what has come of it."""
    return hashlib.sha256(f"{place} {source.identity} {source.size}".encode()).hexdigest()[:12]


@contextmanager
def _opened(place: str) -> Iterator[_Source]:
    if "://" in place:
        with downloaded(place) as download:
            yield download
        return
    try:
        file = io.FileIO(place)
    except FileNotFoundError:
        raise NotFoundError(f"ISO {place}: no such file here") from None
    except OSError as error:
        raise InputError(f"ISO {place}: {error.strerror}") from error
    with file:
        yield _LocalFile(file)
