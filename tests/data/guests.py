"""Guests whose disks are written and read whole through the embedded initiator, and what must be on them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from uuid import UUID

from pyvmiscsi.names import DiskName, GuestName
from pyvmiscsi.operations.create import CreateRequest, DiskRequest
from pyvmiscsi.site import Guest, Site
from pyvmiscsi.units import MIB, Size
from tests.data.stamps import BLOCK, Content, Stamp

_AT_ONCE = 24
"""Blocks written in one go, in runs of up to eight."""


@dataclass
class StampedGuest:
    """A guest and the content that each of its disks must have."""

    guest: Guest
    uuid: UUID
    contents: dict[str, Content]
    chance: random.Random
    kept: dict[str, dict[str, Content]] = field(default_factory=dict)
    """What the disks were at each snapshot."""

    @classmethod
    def create(cls, site: Site, request: CreateRequest, chance: random.Random) -> StampedGuest:
        guest = site.datastore().create(request)
        sizes = {str(name): disk.size.bytes for name, disk in request.numbered_disks if disk.size}
        return cls(guest, request.uuid, {name: Content.blank(size) for name, size in sizes.items()}, chance)

    def write(self, generation: int) -> None:
        """Stamp some blocks of each disk, anywhere."""
        for name, content in self.contents.items():
            stamps = list(self._some_stamps(name, content, generation))
            with self.guest.open_disk(name) as lun:
                for run in _runs(stamps):
                    lun.pwrite(b"".join(stamp.as_bytes() for stamp in run), run[0].block * BLOCK)
                lun.flush()
            self.contents[name] = content.stamped(stamps)

    def _some_stamps(self, name: str, content: Content, generation: int) -> Iterator[Stamp]:
        for _ in range(_AT_ONCE // 4):
            first = self.chance.randrange(content.blocks)
            for block in range(first, min(first + self.chance.randint(1, 8), content.blocks)):
                yield Stamp(self.uuid, DiskName.parse(name).number, block, generation)

    def mismatches(self) -> list[str]:
        """Every block of every disk that is not as it must be."""
        return mismatches(self.guest, self.contents)


def mismatches(guest: Guest, contents: dict[str, Content]) -> list[str]:
    """Every block of a guest's disks that is not as it must be, read through its LUNs."""
    assert {disk.name for disk in guest.info().disks} == contents.keys()
    return [f"{name}: {told}" for name, content in contents.items() for told in content.mismatches(read(guest, name))]


def read(guest: Guest, disk: str) -> bytes:
    """All of a disk."""
    with guest.open_disk(disk) as lun:
        return b"".join(bytes(piece) for piece in lun.read_stream(lun.size.bytes, 0))


def request_of(name: str, *mebibytes: int, uuid: UUID) -> CreateRequest:
    disks = tuple(DiskRequest(Size(size * MIB.bytes)) for size in mebibytes)
    return CreateRequest(GuestName.parse(name), disks, uuid=uuid)


def _runs(stamps: Iterable[Stamp]) -> list[list[Stamp]]:
    """Neighbours together."""
    runs: list[list[Stamp]] = []
    for stamp in stamps:
        if runs and runs[-1][-1].block + 1 == stamp.block:
            runs[-1].append(stamp)
        else:
            runs.append([stamp])
    return runs


numbers = count(1)
