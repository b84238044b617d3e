"""Targets that answer what tgtd never does."""

from __future__ import annotations

from collections import deque

import pytest

from pyvmiscsi.errors import LoginError, ScsiError
from pyvmiscsi.initiator.libiscsi import Session
from tests.initiator.puppet import GOOD, Puppet, sense

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
        with pytest.raises(ScsiError, match="BUSY"):
            session.read(1, sector=7, count=1, deadline=0.5)
        assert 2 < len(puppet.cdbs) < 30


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
    statuses = deque([(0x18, b""), sense(2, 4, 1), GOOD])
    with Puppet(statuses=statuses) as puppet, Session.login(puppet.portal, TARGET) as session:
        session.settle(1)
        with pytest.raises(ScsiError, match="becoming ready"):
            session.settle(1)
        session.settle(1)
