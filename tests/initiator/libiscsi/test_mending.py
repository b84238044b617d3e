"""A lost session is taken up again where that is safe, and nothing of what was on its way is lost."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import cast

import pytest

from pyvmiscsi.errors import ProofError, SessionLostError
from pyvmiscsi.initiator.libiscsi.access import LibiscsiDevice
from pyvmiscsi.initiator.libiscsi.connection import LibraryFaultError, Task
from pyvmiscsi.initiator.libiscsi.session import Session
from pyvmiscsi.initiator.libiscsi.shapes import BlockLimits, Capacity, Inquiry, Provisioning
from pyvmiscsi.names import Iqn, Lun, LunAddress, Portal

ADDRESS = LunAddress(Portal("10.0.0.10"), Iqn("iqn.2026-01.org.example:disk"), Lun(0))
PIECES = [(at * 512, bytes([at]) * 512) for at in range(20)]


@dataclass
class Target:
    """What sessions write, and after how many commands each of them is lost, and how."""

    losses: list[tuple[int, SessionLostError]]
    written: dict[int, bytes] = field(default_factory=dict)
    logins: int = 0
    serial: str = "S0"

    def log_in(self, _deadline: float) -> Session:
        self.logins += 1
        return cast(Session, LossySession(self, self.losses.pop(0) if self.losses else (10**6, SessionLostError(""))))


@dataclass
class LossySession:
    """A session that ends with an error after some commands; those in flight with it had their effect, or not."""

    target: Target
    loss: tuple[int, SessionLostError]
    closed: bool = False

    def run_all(self, tasks: Iterable[Task], *, depth: int, deadline: float) -> Iterator[Task]:
        assert deadline > 0
        flight: list[Task] = []
        done = 0
        for task in tasks:
            flight.append(task)
            if len(flight) < depth:
                continue
            if done == self.loss[0]:
                self._write(flight[depth // 2])  # commands end in any order
                raise self.loss[1]
            done += 1
            self._write(flight[0])
            yield flight.pop(0)
        for task in flight:
            self._write(task)
            yield task

    def _write(self, task: Task) -> None:
        assert not self.closed
        self.target.written[int.from_bytes(task.cdb[2:10], "big") * 512] = bytes(task.data)

    def settle(self, _lun: int, *, deadline: float) -> None:
        assert deadline > 0

    def close(self, *, log_out: bool = True) -> None:
        assert log_out is not None
        self.closed = True

    def inquiry(self, _lun: int) -> Inquiry:
        return Inquiry(0, 0, 6, "TrueNAS", "iSCSI Disk", "0123")

    def capacity(self, _lun: int) -> Capacity:
        return Capacity(100, 512, 512, 0, thin=True, reads_zeros=True)

    def serial(self, _lun: int) -> str:
        return self.target.serial

    def block_limits(self, _lun: int) -> BlockLimits:
        return BlockLimits(0, 1, 0, 0, 0, 0)  # one sector a command

    def provisioning(self, _lun: int) -> Provisioning:
        return Provisioning(unmap=True, write_same_unmap=True, reads_zeros=True, thin=True)


def device_on(target: Target) -> LibiscsiDevice:
    return LibiscsiDevice(target.log_in, ADDRESS, time.monotonic() + 30)


@pytest.mark.parametrize("after", [[0], [1], [7], [3, 0, 5], [0, 0, 0]])
def test_every_piece_is_written_and_handed_back_once_in_order(after: list[int]) -> None:
    target = Target([(count, LibraryFaultError("cmdsn < expcmdsn")) for count in after])
    returned = list(device_on(target).write_stream(PIECES, depth=4))
    assert returned == [data for _, data in PIECES]
    assert target.written == dict(PIECES)
    assert target.logins == 1 + len(after)


@pytest.mark.parametrize("after", [[0], [3, 0, 5]])
def test_reading_goes_on_after_any_loss(after: list[int]) -> None:
    target = Target([(count, SessionLostError("the target closed the connection")) for count in after])
    pieces = list(device_on(target).read_stream(20 * 512, 0))
    assert [len(piece) for piece in pieces] == [512] * 20
    assert target.logins == 1 + len(after)


def test_another_disk_in_its_place_is_refused() -> None:
    target = Target([(0, LibraryFaultError("cmdsn < expcmdsn"))])
    device = device_on(target)
    target.serial = "S1"
    with pytest.raises(ProofError, match="another disk, serial S1"):
        list(device.write_stream(PIECES, depth=4))
    assert 0 not in target.written


def test_another_loss_is_an_error_once_something_is_written() -> None:
    target = Target([(3, SessionLostError("the target closed the connection"))])
    with pytest.raises(SessionLostError, match="closed the connection"):
        list(device_on(target).write_stream(PIECES, depth=4))
    assert target.logins == 1


def test_gives_up_when_nothing_gets_through_any_more() -> None:
    target = Target([(0, LibraryFaultError("cmdsn < expcmdsn"))] * 100)
    with pytest.raises(LibraryFaultError):
        list(device_on(target).write_stream(PIECES, depth=4))
    assert target.logins < 20
