"""Targets that answer what tgtd never does."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator

import pytest

from pyvmiscsi.errors import (
    InputError,
    IscsiError,
    LoginError,
    LunBusyError,
    LunFullError,
    LunMediumError,
    LunReadOnlyError,
    LunReservedError,
    ProofError,
    ScsiError,
)
from pyvmiscsi.initiator.libiscsi import LibiscsiAccess, LibiscsiDevice, Session, Task, cdb
from pyvmiscsi.names import Iqn, Lun, LunAddress, Portal
from tests.initiator.puppet import GOOD, Answer, Disk, Puppet, sense

TARGET = "iqn.2026-01.org.example:odd"
POWER_ON = sense(6, 0x29, 0)
BUSY, TASK_SET_FULL = (0x08, b""), (0x28, b"")


@pytest.mark.parametrize(
    ("status", "reason", "permanent"),
    [
        (0x0101, "Target moved temporarily", False),
        (0x0202, "Authorization failure", True),
        (0x0204, "Target removed", True),
        (0x0301, "Service unavailable", False),
        (0x0302, "Out of resources", False),
        (0x0277, "unknown error, Status-Class 0x2, Status-Detail 0x77", False),
    ],
)
def test_each_way_to_refuse_a_login_has_its_words(status: int, reason: str, permanent: bool) -> None:
    with Puppet(login=status) as puppet, pytest.raises(LoginError) as caught:
        Session.login(puppet.portal, TARGET)
    assert (caught.value.reason, caught.value.permanent) == (reason, permanent)


@pytest.mark.parametrize(
    "statuses",
    [[POWER_ON], [POWER_ON, POWER_ON, sense(6, 0x3F, 0x0E)], [BUSY], [TASK_SET_FULL, BUSY], [BUSY, POWER_ON]],
)
def test_what_was_not_executed_is_sent_again(statuses: list[tuple[int, bytes]]) -> None:
    with Puppet(statuses=deque(statuses)) as puppet:
        with Session.login(puppet.portal, TARGET) as session:
            assert session.read(1, sector=7, count=1) == bytes(512)
        assert len(puppet.cdbs) == len(statuses) + 1
        assert len(set(puppet.cdbs)) == 1


def test_a_target_that_stays_busy_is_told_so_at_the_deadline() -> None:
    with Puppet(statuses=deque([BUSY] * 1000)) as puppet, Session.login(puppet.portal, TARGET) as session:
        begun = time.monotonic()
        with pytest.raises(ScsiError, match="BUSY"):
            session.read(1, sector=7, count=1, deadline=0.5)
        assert time.monotonic() - begun > 0.3
        assert len(puppet.cdbs) < 30


def test_unit_attentions_without_end_are_an_error() -> None:
    with Puppet(statuses=deque([POWER_ON] * 1000)) as puppet, Session.login(puppet.portal, TARGET) as session:
        with pytest.raises(ScsiError, match="UNIT ATTENTION"):
            session.read(1, sector=7, count=1)
        with pytest.raises(ScsiError, match="UNIT ATTENTION"):
            session.settle(1)


@pytest.mark.parametrize("status", [sense(3, 0x11, 0), sense(0, 0, 0), (0x18, b""), (0x40, b"")])
def test_anything_else_is_not(status: tuple[int, bytes]) -> None:
    with Puppet(statuses=deque([status])) as puppet, Session.login(puppet.portal, TARGET) as session:
        with pytest.raises(ScsiError) as caught:
            session.read(1, sector=7, count=1)
        assert caught.value.status == status[0]
        assert len(puppet.cdbs) == 1


def test_a_reservation_of_somebody_else_does_not_count_as_not_ready() -> None:
    statuses = deque([(0x18, b""), sense(2, 4, 2), GOOD])
    with Puppet(statuses=statuses) as puppet, Session.login(puppet.portal, TARGET) as session:
        session.settle(1)
        with pytest.raises(LunBusyError, match="initializing command required"):
            session.settle(1)
        session.settle(1)


@pytest.mark.parametrize("soon", [sense(2, 4, 1), sense(2, 4, 0x0A), BUSY])
def test_a_lun_that_becomes_ready_or_fails_over_is_waited_for(soon: Answer) -> None:
    with Puppet(statuses=deque([soon, POWER_ON, soon])) as puppet:
        with Session.login(puppet.portal, TARGET) as session:
            session.settle(1)
        assert len(puppet.cdbs) == 4


@pytest.mark.parametrize("change", [sense(6, 0x2A, 9), sense(6, 0x3F, 3), sense(6, 0x2A, 3), sense(6, 0x2A, 5)])
def test_that_the_lun_was_changed_or_taken_is_told_once_and_not_written_over(change: Answer) -> None:
    with Puppet(statuses=deque([change])) as puppet, Session.login(puppet.portal, TARGET) as session:
        with pytest.raises(ScsiError) as caught:
            session.write(1, bytes(512), sector=7)
        assert caught.value.key == 6
        assert caught.value.hint
        assert isinstance(caught.value, LunReservedError) == (caught.value.ascq in (3, 5) and caught.value.asc == 0x2A)
        session.write(1, bytes(512), sector=7)
        assert len(puppet.cdbs) == 2


def test_asking_for_the_size_clears_the_news_that_it_changed() -> None:
    puppet = Puppet(disk=Disk(), statuses=deque([sense(6, 0x2A, 9)]))
    with puppet, Session.login(puppet.portal, TARGET) as session:
        assert session.capacity(1).size == 32 * 1024


def test_a_caller_may_decide_what_a_unit_attention_means() -> None:
    heard: list[int] = []
    tasks = [Task(1, cdb.read(0, 1), into=bytearray(512))]
    puppet = Puppet(statuses=deque([POWER_ON, sense(6, 0x2A, 9)]))
    with puppet, Session.login(puppet.portal, TARGET) as session:
        assert len(list(session.run_all(tasks, attention=lambda error: heard.append(error.asc)))) == 1
    assert heard == [0x29, 0x2A]


class TestALunOfOldTimes:
    """It knows the 10-byte commands alone."""

    @pytest.fixture
    def puppet(self) -> Iterator[Puppet]:
        def refuse(block: bytes) -> Answer | None:
            return sense(5, 0x20, 0) if block[0] in (0x9E, 0x88, 0x8A) else None

        with Puppet(disk=Disk(bytearray(range(256)) * 128), refuse=refuse) as puppet:
            yield puppet

    def test_is_read_and_written_with_these(self, puppet: Puppet) -> None:
        with Session.login(puppet.portal, TARGET) as session:
            assert session.capacity(1).size == 32 * 1024
            session.write(1, b"x" * 512, sector=3)
            assert session.read(1, sector=3, count=2) == b"x" * 512 + bytes(range(256)) * 2
            with pytest.raises(ScsiError, match="invalid command operation code"):
                session.read(1, sector=2**32, count=1)

    def test_is_a_device_like_any_other(self, puppet: Puppet) -> None:
        address = LunAddress(Portal.parse(puppet.portal), Iqn(TARGET), Lun(1))
        with LibiscsiAccess().open(address) as device:
            device.pwrite(b"y" * 8192, 1024)
            assert device.pread(8192, 1024) == b"y" * 8192
            device.flush()
        assert {block[0] for block in puppet.cdbs} >= {0x25, 0x28, 0x2A}
        assert not {block[0] for block in puppet.cdbs} & {0x88, 0x8A}


def test_a_cache_is_flushed_by_the_command_that_the_lun_knows() -> None:
    with Puppet(refuse=lambda block: sense(5, 0x20, 0) if block[0] == 0x35 else None) as puppet:
        with Session.login(puppet.portal, TARGET) as session:
            session.synchronize(1)
        assert [block[0] for block in puppet.cdbs] == [0x35, 0x91]


def test_compare_and_write_says_whether_it_wrote() -> None:
    puppet = Puppet(statuses=deque([GOOD, sense(0xE, 0x1D, 0), sense(5, 0x20, 0)]))
    with puppet, Session.login(puppet.portal, TARGET) as session:
        assert session.compare_and_write(1, b"a" * 512, b"b" * 512, sector=9)
        assert not session.compare_and_write(1, b"a" * 512, b"b" * 512, sector=9)
        with pytest.raises(ScsiError, match="COMPARE AND WRITE of 1 sector at 9"):
            session.compare_and_write(1, b"a" * 512, b"b" * 512, sector=9)


@pytest.mark.parametrize(("expected", "data"), [(b"", b""), (b"a" * 512, b"b" * 1024), (b"a" * 9, b"b" * 9)])
def test_compare_and_write_takes_whole_sectors_for_as_many(expected: bytes, data: bytes) -> None:
    with Puppet() as puppet, Session.login(puppet.portal, TARGET) as session:
        with pytest.raises(InputError, match="not as many whole sectors"):
            session.compare_and_write(1, expected, data, sector=0)
        assert puppet.cdbs == []


def test_a_read_that_brings_less_than_it_says_is_not_taken_for_zeros() -> None:
    class Stingy(Disk):
        def answer(self, cdb: bytes, sent: bytes) -> bytes | Answer:
            told = super().answer(cdb, sent)
            return told[:-512] if cdb[0] == 0x88 and isinstance(told, bytes) else told

    address = Iqn(TARGET)
    with Puppet(disk=Stingy()) as puppet:
        with Session.login(puppet.portal, address) as session:
            with pytest.raises(IscsiError, match=r"READ\(16\) of 8 sectors at 0: 512 of 4096 bytes too few"):
                session.read(1, sector=0, count=8)
            assert session.capacity(1).size == 32 * 1024
        lun = LunAddress(Portal.parse(puppet.portal), address, Lun(1))
        with LibiscsiAccess().open(lun) as device, pytest.raises(IscsiError, match="too few"):
            device.pread(4096, 0)


@pytest.mark.parametrize(
    ("ended", "kind", "told"),
    [
        ((0x18, b""), LunReservedError, "RESERVATION CONFLICT (another initiator"),
        (sense(7, 0x27, 0), LunReadOnlyError, "write protected) (the extent is read-only"),
        (sense(7, 0x27, 7), LunFullError, "space allocation failed write protect) (the pool"),
        (sense(3, 0x0C, 0), LunMediumError, "write error) (look at the health of the pool"),
        (sense(4, 0x44, 0), LunMediumError, "internal target failure) (look at the health"),
        (sense(2, 4, 3), LunBusyError, "manual intervention required"),
        (sense(5, 0x21, 0), ScsiError, "out of range) (the LUN ends before that"),
        (sense(5, 0x25, 0), ScsiError, "not supported) (the target has no such LUN any more"),
    ],
)
def test_each_way_to_refuse_a_write_is_an_error_of_its_kind_that_says_what_to_do(
    ended: Answer, kind: type[ScsiError], told: str
) -> None:
    with Puppet(disk=Disk(), refuse=lambda block: ended if block[0] == 0x8A else None) as puppet:
        address = LunAddress(Portal.parse(puppet.portal), Iqn(TARGET), Lun(1))
        with LibiscsiAccess().open(address) as device, pytest.raises(kind) as caught:
            device.pwrite(bytes(4096), 8192)
    assert type(caught.value) is kind
    assert f"{TARGET} LUN 1: WRITE(16) of 8 sectors at 16: " in str(caught.value)
    assert told in str(caught.value)
    assert caught.value.retry == (kind is LunBusyError)


class TestALunThatChangesUnderItsUser:
    @pytest.fixture
    def puppet(self) -> Iterator[Puppet]:
        with Puppet(disk=Disk()) as puppet:
            yield puppet

    @pytest.fixture
    def device(self, puppet: Puppet) -> Iterator[LibiscsiDevice]:
        address = LunAddress(Portal.parse(puppet.portal), Iqn(TARGET), Lun(1))
        with LibiscsiAccess().open(address) as device:
            yield device

    def test_by_growing_goes_on(self, puppet: Puppet, device: LibiscsiDevice) -> None:
        assert puppet.disk is not None
        puppet.disk.data.extend(bytes(4096))
        puppet.statuses.append(sense(6, 0x2A, 9))
        assert device.pwrite(b"z" * 8192, 0) == 8192
        assert device.size.bytes == 36 * 1024
        assert device.pread(8192, 0) == b"z" * 8192

    def test_by_other_luns_beside_it_goes_on(self, puppet: Puppet, device: LibiscsiDevice) -> None:
        puppet.statuses.append(sense(6, 0x3F, 0x0E))
        assert device.pread(512, 0) == bytes(512)

    @pytest.mark.parametrize(
        ("now", "why"),
        [
            (Disk(bytearray(16 * 1024)), "it has shrunk from 32K to 16K"),
            (Disk(serial="S1"), "it is another disk, serial S1"),
            (Disk(sector=4096), "it has sectors of 4096 bytes now"),
        ],
    )
    def test_into_another_is_not_written(self, puppet: Puppet, device: LibiscsiDevice, now: Disk, why: str) -> None:
        puppet.disk = now
        puppet.statuses.append(sense(6, 0x3F, 0x0E))
        with pytest.raises(ProofError, match=why):
            device.pwrite(b"z" * 4096, 0)
        assert not any(now.data)
        with pytest.raises(IscsiError):
            device.pwrite(b"z" * 4096, 0)
        assert not any(now.data)

    def test_without_end_is_an_error(self, puppet: Puppet, device: LibiscsiDevice) -> None:
        puppet.refuse = lambda block: sense(6, 0x3F, 0x0E) if block[0] == 0x88 else None
        with pytest.raises(ScsiError, match="reported luns data has changed"):
            device.pread(512, 0)

    def test_by_being_taken_away_stops(self, puppet: Puppet, device: LibiscsiDevice) -> None:
        puppet.statuses.append(sense(6, 0x2A, 3))
        with pytest.raises(LunReservedError, match="reservations preempted"):
            device.pwrite(b"z" * 4096, 0)

    def test_by_knowing_no_short_command_for_a_flush_gets_the_long_one(
        self, puppet: Puppet, device: LibiscsiDevice
    ) -> None:
        puppet.refuse = lambda block: sense(5, 0x20, 0) if block[0] == 0x35 else None
        device.pwrite(b"z" * 8192, 4096)
        device.flush()
        device.flush()
        assert [block[0] for block in puppet.cdbs[-3:]] == [0x35, 0x91, 0x91]
        assert device.unflushed_from is None

    def test_by_a_crash_that_forgets_what_was_not_flushed_gets_it_again(
        self, puppet: Puppet, device: LibiscsiDevice
    ) -> None:
        puppet.reset()
        assert device.pread(512, 0) == bytes(512)
        device.pwrite(b"z" * 8192, 4096)
        puppet.disk = Disk()
        puppet.reset()
        device.flush()
        assert bytes(puppet.disk.data) == bytes(4096) + b"z" * 8192 + bytes(20 * 1024)
