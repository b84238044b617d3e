"""What tgtd does not know, with the other real target: COMPARE AND WRITE, and who registered a reservation's keys."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from pyvmiscsi.errors import LunReservedError, ScsiError
from pyvmiscsi.initiator.libiscsi import Session
from pyvmiscsi.lab.appliance.target.istgt import Istgt
from pyvmiscsi.lab.appliance.target.plane import Export, Unit
from pyvmiscsi.lab.ports import free_port
from tests.initiator.tgtd import Tgtd

TARGET = "iqn.2026-01.org.example:atomic"
HV1, HV2 = "iqn.2026-01.org.example:hv1", "iqn.2026-01.org.example:hv2"
WRITE_EXCLUSIVE_REGISTRANTS_ONLY = 5


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("istgt")
    file = directory / "disk.img"
    with file.open("xb") as made:
        made.truncate(8 << 20)
    port = free_port()
    target = Istgt(directory / "istgt", "127.0.0.1", port, directory / "pid")
    target.publish({TARGET: Export(TARGET, {0: Unit(file, 8 << 20, 512, "S0", "0x6589cfc000000a1b2c3d4e5f60718293")})})
    target.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        target.stop()


@pytest.fixture(scope="module")
def sessions(portal: str) -> Iterator[tuple[Session, Session]]:
    """Two initiators; istgt takes a second for each login."""
    with Session.login(portal, TARGET, initiator=HV1) as one, Session.login(portal, TARGET, initiator=HV2) as two:
        one.settle(0)
        two.settle(0)
        yield one, two


def test_compare_and_write_is_done_whole_or_not_at_all(sessions: tuple[Session, Session]) -> None:
    session, _ = sessions
    old, new, other = b"o" * 512, b"n" * 512, b"x" * 512
    session.write(0, old, sector=7)
    assert session.compare_and_write(0, old, new, sector=7)
    assert session.read(0, sector=7, count=1) == new
    assert not session.compare_and_write(0, old, other, sector=7)
    assert session.read(0, sector=7, count=1) == new


def test_counting_in_a_sector_from_two_sessions_misses_nothing(sessions: tuple[Session, Session]) -> None:
    turns = 40

    def block(number: int) -> bytes:
        return number.to_bytes(512, "big")

    def count(session: Session) -> None:
        for _ in range(turns):
            while True:
                seen = session.read(0, sector=9, count=1)
                if session.compare_and_write(0, seen, block(int.from_bytes(seen, "big") + 1), sector=9):
                    break

    sessions[0].write(0, block(0), sector=9)
    threads = [threading.Thread(target=count, args=(session,)) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sessions[0].read(0, sector=9, count=1) == block(2 * turns)


def test_tgtd_refuses_compare_and_write_and_says_which_command_that_was(daemon: Tgtd) -> None:
    target = daemon.target()
    target.lun(1, size=1 << 20, serial="x")
    refusal = pytest.raises(ScsiError, match="COMPARE AND WRITE of 1 sector at 0: ILLEGAL REQUEST asc:20,0")
    with Session.login(daemon.portal, target.iqn) as session:
        session.settle(1)
        with refusal:
            session.compare_and_write(1, bytes(512), bytes(512), sector=0)


def test_which_keys_are_registered_and_which_holds_is_told(sessions: tuple[Session, Session]) -> None:
    one, two = sessions
    kind = WRITE_EXCLUSIVE_REGISTRANTS_ONLY
    one.persistent_reserve(0, 6, key=0, service_key=0x11)
    two.persistent_reserve(0, 6, key=0, service_key=0x22)
    one.persistent_reserve(0, 1, key=0x11, kind=kind)
    found = {registrant.key: registrant for registrant in one.registrants(0)}
    # By key alone: istgt's names lack the head that SPC-4 7.6.4 gives them, so no initiator is read out of them.
    assert [(each.is_holder, each.kind) for each in (found[0x11], found[0x22])] == [(True, kind), (False, 0)]
    two.persistent_reserve(0, 0, key=0x22)
    with pytest.raises(LunReservedError):
        two.write(0, bytes(512), sector=0)
    one.persistent_reserve(0, 3, key=0x11)
