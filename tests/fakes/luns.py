"""LUNs in memory: one alone, or those of a nas in memory, opened with its accounts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from pyvmiscsi.errors import InputError, LoginError, ScsiError
from pyvmiscsi.model import Credential, Extent, Mapping, NasSession, Target, Volume
from pyvmiscsi.names import DatasetPath, LunAddress
from pyvmiscsi.ports import Again, Span
from pyvmiscsi.units import SECTOR, Size
from tests.fakes.nas import FakeNas

T = TypeVar("T")
B = TypeVar("B", bound=bytes | bytearray | memoryview)

PIECE = 4096


class MemoryLun:
    """A LUN whose bytes are `data`. It takes whole sectors, and pieces of at most 4 KiB."""

    def __init__(self, data: bytearray, serial: str = "S0", *, read_only: bool = False) -> None:
        self.data = data
        self.serial = serial
        self.sector = SECTOR
        self.longest_piece = PIECE
        self.written: list[int] = []
        """Where each piece was written."""
        self.zeroed = 0
        """How many bytes were made zero without being written."""
        self.flushed = False
        self._read_only = read_only

    @property
    def size(self) -> Size:
        return Size(len(self.data))

    def pread(self, length: int, offset: int) -> bytes:
        self._check(length, offset)
        return bytes(self.data[offset : offset + length])

    def pwrite(self, data: bytes | bytearray | memoryview, offset: int) -> int:
        self._check(len(data), offset)
        if self._read_only:
            raise ScsiError("write protected", status=2, key=7)
        self.data[offset : offset + len(data)] = data
        self.written.append(offset)
        self.flushed = False
        return len(data)

    def read_stream(self, length: int, offset: int) -> Iterator[bytearray]:
        return self.read_spans(((offset, length),))

    def read_spans(self, spans: Iterable[tuple[int, int]]) -> Iterator[bytearray]:
        for offset, length in spans:
            for at in range(offset, offset + length, PIECE):
                yield bytearray(self.pread(min(PIECE, offset + length - at), at))

    def write_stream(
        self,
        pieces: Iterable[tuple[int, B]],
        *,
        again: Again | None = None,  # noqa: ARG002 - the port's
    ) -> Iterator[B]:
        for offset, data in pieces:
            assert len(data) <= PIECE
            self.pwrite(data, offset)
            yield data

    def write_zeros(self, length: int, offset: int) -> None:
        self.pwrite(bytes(length), offset)
        self.written.pop()
        self.zeroed += length

    def allocation(self, length: int, offset: int) -> Iterator[Span]:
        """Tells of each piece of 4 KiB by itself."""
        for at in range(offset, offset + length, PIECE):
            piece = self.data[at : min(at + PIECE, offset + length)]
            yield Span(at, len(piece), allocated=any(piece))

    def tend(self, seconds: float = 0.0) -> bool:  # noqa: ARG002 - the port's
        return True

    @property
    def unflushed_from(self) -> int | None:
        return None

    def flush(self) -> None:
        self.flushed = True

    def _check(self, length: int, offset: int) -> None:
        if length % 512 or offset % 512 or not 0 <= offset <= offset + length <= len(self.data):
            raise InputError(f"{length} bytes at {offset}")


@dataclass
class FakeLuns:
    """The LUNs of a nas in memory: what is written to one is its volume's content, as far as it is not zero."""

    nas: FakeNas
    logins: list[LunAddress] = field(default_factory=list)
    late: int = 0
    """How many logins are refused, as by a nas that does not show its new target yet."""
    last: MemoryLun = field(default_factory=lambda: MemoryLun(bytearray()))
    """What was opened last."""

    @contextmanager
    def open(
        self, address: LunAddress, credential: Credential | None = None, *, deadline: float = 30.0
    ) -> Iterator[MemoryLun]:
        assert deadline > 0
        self.logins.append(address)
        if self.late:
            self.late -= 1
            raise LoginError("not yet", reason="Not found", permanent=True)
        target = _first(self.nas, "targets", Target, lambda one: one.iqn == address.target)
        if target is None:
            raise LoginError(f"no target {address.target}", reason="Not found", permanent=True)
        account = _first(self.nas, "credentials", Credential, lambda one: one.tag == target.chap_tag)
        if account != credential:
            raise LoginError("wrong secret", reason="Authentication failure", permanent=True)
        mapping = _first(self.nas, "mappings", Mapping, lambda one: one.target == address.target)
        extent = _first(self.nas, "extents", Extent, lambda one: mapping is not None and one.name == mapping.extent)
        assert extent is not None
        session = NasSession(address.target, "iqn.1994-09.org.freebsd:control", "127.0.0.1")
        self.nas.sessions_now.append(session)
        self.last = lun = self.shown(extent)
        try:
            yield lun
        finally:
            self.nas.contents[extent.volume] = bytes(lun.data).rstrip(b"\0")
            self.nas.sessions_now.remove(session)

    def shown(self, extent: Extent) -> MemoryLun:
        """The LUN that a login finds."""
        return MemoryLun(self.bytes_of(extent.volume), str(extent.serial), read_only=extent.read_only)

    def bytes_of(self, volume: DatasetPath) -> bytearray:
        """All of a volume, zeros included."""
        found = _first(self.nas, "volumes", Volume, lambda one: one.path == volume)
        assert found is not None
        content = self.nas.contents[volume]
        return bytearray(content + bytes(found.size.bytes - len(content)))


def _first(nas: FakeNas, table: str, kind: type[T], wanted: Callable[[T], bool]) -> T | None:
    """From the nas's own tables: what is asked for here is no call."""
    return next((one for one in nas.state()[table] if isinstance(one, kind) and wanted(one)), None)
