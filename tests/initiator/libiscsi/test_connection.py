"""What libiscsi says of a failed login, in iscsid's words; and what a session does when things go wrong midway."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Iterator

import pytest

from pyvmiscsi.errors import DeadlineError, LoginError, ScsiError, SessionLostError
from pyvmiscsi.initiator.libiscsi import Session, Task, cdb
from pyvmiscsi.initiator.libiscsi.login_text import login_reason
from pyvmiscsi.waiting import wait_for
from tests.initiator.puppet import Puppet
from tests.initiator.tgtd import Target, Tgtd

MIB = 1024 * 1024


@pytest.fixture
def target(daemon: Tgtd) -> Target:
    made = daemon.target()
    made.lun(1, size=32 * MIB, serial="x")
    return made


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Failed to log in to target. Status: Target not found(515)", "Not found"),
        ("Failed to log in to target. Status: Authorization failure(514)", "Authorization failure"),
        (
            "Failed to log in to target. Status: Unknown login error(1023)",
            "unknown error, Status-Class 0x3, Status-Detail 0xff",
        ),
        ("iscsi_service: socket error Connection refused(111) while connecting.", "Connection refused"),
        ("iscsi_service: socket error No route to host(113) while connecting.", "No route to host"),
        ("Invalid target:nas9:3260  Can not resolv into IPv4/v6.", "Name does not resolve"),
        ("Failed to log in to target. It did not return CHAP_R during SECNEG.", "Mutual CHAP failed"),
        ("iscsi_service: POLLHUP, socket error.", "connection lost"),
    ],
)
def test_login_failures_get_iscsids_words(text: str, reason: str) -> None:
    assert login_reason(text) == reason


def test_a_name_without_an_address_does_not_resolve() -> None:
    with pytest.raises(LoginError) as caught:
        Session.login("nas.invalid:3260", "iqn.2026-01.org.example:x")
    assert caught.value.reason == "Name does not resolve"


def test_a_silent_portal_costs_no_more_than_the_deadline(own_daemon: Tgtd) -> None:
    os.kill(own_daemon.process.pid, signal.SIGSTOP)
    with pytest.raises(LoginError) as caught:
        Session.login(own_daemon.portal, "iqn.2026-01.org.example:x", deadline=0.3)
    assert (caught.value.reason, caught.value.permanent) == ("Operation timed out", False)


def test_a_command_that_misses_its_deadline_ends_the_session(own_daemon: Tgtd) -> None:
    target = own_daemon.target()
    target.lun(1, size=MIB, serial="x")
    with Session.login(own_daemon.portal, target.iqn) as session:
        session.settle(1)
        os.kill(own_daemon.process.pid, signal.SIGSTOP)
        with pytest.raises(DeadlineError):
            session.read(1, sector=0, count=8, deadline=0.2)
        assert not session.is_alive
        with pytest.raises(SessionLostError):
            session.serial(1)


def test_a_target_killed_with_many_commands_in_flight_ends_them_all(own_daemon: Tgtd) -> None:
    target = own_daemon.target()
    target.lun(1, size=32 * MIB, serial="x")
    piece = bytes(MIB)
    with Session.login(own_daemon.portal, target.iqn) as session:
        writes = session.run_all((Task(1, cdb.write(n % 16 * 2048, 2048), data=piece) for n in range(10**6)), depth=16)
        for _ in range(4):
            next(writes)
        own_daemon.close()
        with pytest.raises(SessionLostError):
            for _ in writes:
                pass
        assert not session.is_alive


def test_an_error_in_flight_leaves_the_session_in_order(daemon: Tgtd, target: Target) -> None:
    good, bad = bytearray(512), bytearray(512)
    tasks = [Task(1, cdb.read(0, 1), into=good), Task(1, cdb.read(10**9, 1), into=bad)] * 8
    with Session.login(daemon.portal, target.iqn) as session:
        with pytest.raises(ScsiError):
            list(session.run_all(tasks, depth=8))
        assert session.capacity(1).sector == 512


def test_a_run_that_is_given_up_leaves_the_session_in_order(daemon: Tgtd, target: Target) -> None:
    with Session.login(daemon.portal, target.iqn) as session:
        run = session.run_all((Task(1, cdb.read(n, 8), into=bytearray(4096)) for n in range(1000)), depth=8)
        next(run)
        run.close()  # type: ignore[attr-defined]
        assert session.capacity(1).sector == 512


def test_a_source_that_fails_leaves_the_session_in_order(daemon: Tgtd, target: Target) -> None:
    def source() -> Iterator[Task]:
        for n in range(5):
            yield Task(1, cdb.read(n, 8), into=bytearray(4096))
        raise ZeroDivisionError

    with Session.login(daemon.portal, target.iqn) as session:
        with pytest.raises(ZeroDivisionError):
            list(session.run_all(source(), depth=8))
        assert session.capacity(1).sector == 512


def test_pings_of_the_target_are_answered_while_nothing_else_is_done() -> None:
    pings = (b"one!", b"two!")
    with Puppet(pings=pings) as puppet, Session.login(puppet.portal, "iqn.2026-01.org.example:x") as session:
        wait_for(lambda: not session.tend(0.2) or len(puppet.pongs) == 2, what="two answers", deadline=60)
        assert session.is_alive
        assert session.capacity(1)
        assert puppet.pongs == list(pings)


def test_who_answers_no_pings_is_dropped_by_the_target_and_told_so(own_daemon: Tgtd) -> None:
    target = own_daemon.target()
    target.lun(1, size=MIB, serial="x")
    target.ping(interval=1, count=1)
    with Session.login(own_daemon.portal, target.iqn) as silent:
        wait_for(lambda: "Session:" not in target.sessions(), what="it is dropped", deadline=60)
        assert not silent.tend()


def test_threads_share_a_session_without_mixing_answers(daemon: Tgtd, target: Target) -> None:
    with Session.login(daemon.portal, target.iqn) as session:
        session.settle(1)
        wrong: list[int] = []

        def work(number: int) -> None:
            for turn in range(50):
                data = bytes([number, turn]) * 256
                session.write(1, data, sector=number)
                if session.read(1, sector=number, count=1) != data:
                    wrong.append(number)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert wrong == []


def test_the_isid_goes_out_as_given_and_is_drawn_anew_otherwise() -> None:
    def isid_sent(isid: int | None) -> bytes:
        with Puppet() as puppet, Session.login(puppet.portal, "iqn.2026-01.org.example:x", isid=isid):
            return puppet.isids[0]

    assert isid_sent(0x1234567890) == bytes.fromhex("801234567890")
    assert isid_sent(None)[0] == 0x80
    assert isid_sent(None) != isid_sent(None)


def test_the_socket_can_be_waited_for(daemon: Tgtd, target: Target) -> None:
    with Session.login(daemon.portal, target.iqn) as session:
        poll = select.poll()
        poll.register(session.fileno(), select.POLLIN)
        assert poll.poll(0) == []
        assert session.tend()
        target.delete()
        assert poll.poll(60_000)
        assert not session.tend()


def test_closing_twice_and_asking_afterwards_is_harmless(daemon: Tgtd, target: Target) -> None:
    session = Session.login(daemon.portal, target.iqn)
    session.close()
    session.close()
    assert not session.is_alive
    assert not session.tend()
    with pytest.raises(SessionLostError):
        session.fileno()


def test_logging_out_leaves_no_session_at_the_target(daemon: Tgtd, target: Target) -> None:
    with Session.login(daemon.portal, target.iqn):
        assert "Session:" in target.sessions()
    wait_for(lambda: "Session:" not in target.sessions(), what="the session is gone", deadline=60)


class TestReservations:
    WRITE_EXCLUSIVE_REGISTRANTS_ONLY = 5

    def test_a_reservation_keeps_others_from_writing_until_preempted(self, daemon: Tgtd, target: Target) -> None:
        kind = self.WRITE_EXCLUSIVE_REGISTRANTS_ONLY
        with Session.login(daemon.portal, target.iqn) as one, Session.login(daemon.portal, target.iqn) as two:
            one.settle(1)
            two.settle(1)
            one.persistent_reserve(1, 6, key=0, service_key=0x11)
            one.persistent_reserve(1, 1, key=0x11, kind=kind)
            assert one.registrations(1).keys == (0x11,)
            assert kind in one.reservation_support(1).kinds
            held = one.reservation(1)
            assert (held.key, held.kind) == (0x11, kind)
            with pytest.raises(ScsiError) as caught:
                two.write(1, bytes(512), sector=0)
            assert caught.value.status == 0x18
            two.persistent_reserve(1, 6, key=0, service_key=0x22)
            two.persistent_reserve(1, 4, key=0x22, service_key=0x11, kind=kind)
            two.write(1, bytes(512), sector=0)
            with pytest.raises(ScsiError):
                one.write(1, bytes(512), sector=0)
            two.persistent_reserve(1, 3, key=0x22)
            assert two.reservation(1).key is None
