"""The fact that a file of this machine holds what a volume had at a snapshot."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

from pyvmiscsi.images.formats.kinds import Format
from pyvmiscsi.images.saving import part_of, save
from pyvmiscsi.plan.step import Watch
from pyvmiscsi.steps.reading import SnapshotReading, SnapshotSource
from pyvmiscsi.steps.signature import Signature
from pyvmiscsi.steps.transfer import Transport


def identity_of(path: Path) -> str | None:
    """What tells the file that is there from one that takes its place; None when there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return f"{found.st_dev}:{found.st_ino}:{found.st_mtime_ns}"


@dataclass(frozen=True, slots=True)
class FileSaved:
    """The file holds it in this format. It is in its place only when it is whole.

    `replaces` is the `identity_of` a file that is to make room, as the request has it; without it none ever does. A
    whole file is not taken back.
    """

    source: SnapshotSource
    file: Path
    format: Format
    transport: Transport
    signature: Signature
    replaces: str | None = None
    signed: ClassVar[bool] = True

    @property
    def title(self) -> str:
        return f"file {self.file} with {self.source}"

    def holds(self) -> bool:
        return identity_of(self.file) not in (None, self.replaces) and self._reading.find() is None

    def make(self) -> None:
        if self._is_in_place():
            self._reading.remove()
            return
        tell = self.transport.progress(self.title, self.signature.operation)
        over = self.replaces is not None and identity_of(self.file) == self.replaces
        with self._reading.content(self.transport.access) as content:
            saved = save(content, self.file, self.format, replace=over, progress=tell)
        self.transport.watch.learnt({**asdict(saved.disk), "file_sha256": saved.file_sha256})

    def watched(self, watch: Watch) -> Self:
        return replace(self, transport=self.transport.watched(watch))

    def undo(self) -> None:
        part_of(self.file).unlink(missing_ok=True)
        self._reading.remove()

    def _is_in_place(self) -> bool:
        """Whether this operation got as far as putting it there: its clone is left, and no other file half made."""
        there, part = identity_of(self.file), identity_of(part_of(self.file))
        return there not in (None, self.replaces) and part in (None, there) and self._reading.find() is not None

    @property
    def _reading(self) -> SnapshotReading:
        id_ = hashlib.sha256(f"{self.signature.operation} {self.file}".encode()).hexdigest()[:12]
        return SnapshotReading(self.source, f"transfer:{id_}", self.signature)
