"""A process that lives for months: what sessions leave behind, and whom they keep waiting."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from pyvmiscsi.errors import LoginError
from pyvmiscsi.initiator.libiscsi import Session, replies
from pyvmiscsi.lab.ports import free_port
from tests.initiator.puppet import Puppet
from tests.initiator.tgtd import Target, Tgtd

SESSIONS = 1000
GROWTH = 256 * 1024
"""How many bytes a thousand sessions may leave: 16 KiB were measured, and each that stays takes 800 bytes or more."""


@pytest.fixture
def target(daemon: Tgtd) -> Target:
    made = daemon.target()
    made.lun(1, size=1 << 20, serial="x")
    return made


def resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names alone


def test_a_thousand_sessions_leave_neither_memory_nor_descriptors(daemon: Tgtd, target: Target) -> None:
    def use() -> None:
        with Session.login(daemon.portal, target.iqn) as session:
            session.settle(1)
            session.read(1, sector=0, count=8)

    for _ in range(100):  # what is allocated once
        use()
    before, open_before = resident(), descriptors()
    for _ in range(SESSIONS):
        use()
    assert resident() - before < GROWTH
    assert descriptors() == open_before
    assert replies.waiting() == 0
    assert "Session:" not in target.sessions()


def test_a_thousand_failed_logins_leave_neither(daemon: Tgtd) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    ways = ((daemon.portal, "iqn.2026-01.org.example:nobody"), (nobody, "iqn.2026-01.org.example:x"))

    def fail(number: int) -> None:
        portal, target = ways[number % 2]
        with pytest.raises(LoginError):
            Session.login(portal, target)

    for number in range(100):
        fail(number)
    before, open_before = resident(), descriptors()
    for number in range(SESSIONS):
        fail(number)
    assert resident() - before < GROWTH
    assert descriptors() == open_before
    assert replies.waiting() == 0


def test_sessions_that_broke_leave_neither() -> None:
    def use() -> None:
        with Puppet() as puppet, Session.login(puppet.portal, "iqn.2026-01.org.example:x") as session:
            session.settle(1)
            puppet.reset()
            with contextlib.suppress(Exception):
                session.settle(1)
            assert not session.is_alive

    for _ in range(20):
        use()
    before, open_before = resident(), descriptors()
    for _ in range(100):
        use()
    assert resident() - before < GROWTH
    assert descriptors() == open_before
    assert replies.waiting() == 0


def test_other_threads_go_on_while_one_waits_for_a_target(own_daemon: Tgtd) -> None:
    target = own_daemon.target()
    target.lun(1, size=1 << 20, serial="x")
    with Session.login(own_daemon.portal, target.iqn) as session:
        session.settle(1)
        asked = threading.Event()

        def ask() -> None:
            asked.set()
            session.read(1, sector=0, count=8)

        os.kill(own_daemon.process.pid, signal.SIGSTOP)
        thread = threading.Thread(target=ask)
        thread.start()
        asked.wait(5)
        end, turns = time.monotonic() + 0.2, 0
        while time.monotonic() < end or (turns <= 1000 and thread.is_alive()):
            turns += 1
        still_waits = thread.is_alive()
        os.kill(own_daemon.process.pid, signal.SIGCONT)
        thread.join(10)
    assert still_waits
    assert turns > 1000


def test_each_thread_may_have_a_session_of_its_own(daemon: Tgtd, target: Target) -> None:
    wrong: list[int] = []

    def work(number: int) -> None:
        with Session.login(daemon.portal, target.iqn) as session:
            for turn in range(50):
                data = bytes([number, turn]) * 256
                session.write(1, data, sector=number)
                if session.read(1, sector=number, count=1) != data:
                    wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []
