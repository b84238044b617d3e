"""The LUNs of a nas in memory, opened from this process: what its mappings offer, to whoever knows the secret."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from pyvmiscsi.model import Credential, Extent, Volume
from pyvmiscsi.names import LunAddress
from pyvmiscsi.ports import Again, B, Span
from pyvmiscsi.units import MIB, Size
from tests.fakes.nas import FakeNas


class FakeLun:
    """One volume, by way of its extent."""

    def __init__(self, nas: FakeNas, extent: Extent, volume: Volume) -> None:
        self._nas = nas
        self._path = volume.path
        self.size = volume.size
        self.sector = extent.sector
        self.serial = str(extent.serial)
        self.longest_piece = MIB.bytes

    def pread(self, length: int, offset: int) -> bytes:
        return self._nas.contents[self._path][offset : offset + length].ljust(length, b"\0")

    def pwrite(self, data: bytes | bytearray | memoryview, offset: int) -> int:
        before = self._nas.contents[self._path].ljust(offset + len(data), b"\0")
        self._nas.contents[self._path] = before[:offset] + bytes(data) + before[offset + len(data) :]
        return len(data)

    def read_stream(self, length: int, offset: int) -> Iterator[bytearray]:
        yield bytearray(self.pread(length, offset))

    def read_spans(self, spans: Iterable[tuple[int, int]]) -> Iterator[bytearray]:
        for offset, length in spans:
            yield bytearray(self.pread(length, offset))

    def write_stream(
        self,
        pieces: Iterable[tuple[int, B]],
        *,
        again: Again | None = None,  # noqa: ARG002 - the port's
    ) -> Iterator[B]:
        for offset, data in pieces:
            self.pwrite(bytes(data), offset)
            yield data

    def write_zeros(self, length: int, offset: int) -> None:
        self.pwrite(bytes(length), offset)

    def allocation(self, length: int, offset: int) -> Iterator[Span]:
        yield Span(offset, length, allocated=True)

    def tend(self, seconds: float = 0.0) -> bool:  # noqa: ARG002 - the port's
        return True

    @property
    def unflushed_from(self) -> int | None:
        return None

    def flush(self) -> None:
        """What was written is there."""


class FakeAccess:
    """Logs in to what the nas offers now. `sizes` are what LUNs show instead of the size of their volume."""

    def __init__(self, nas: FakeNas) -> None:
        self._nas = nas
        self.sizes: dict[str, Size] = {}
        self.opened: list[LunAddress] = []

    @contextmanager
    def open(
        self,
        address: LunAddress,
        credential: Credential | None = None,
        *,
        deadline: float = 30.0,  # noqa: ARG002 - the port's
    ) -> Iterator[FakeLun]:
        self.opened.append(address)
        lun = FakeLun(self._nas, *self._nas.offered(address.target, address.lun, credential))
        lun.size = self.sizes.get(lun.serial, lun.size)
        yield lun
