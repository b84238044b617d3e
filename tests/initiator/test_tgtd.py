"""The target that tests start: what they rely on."""

from __future__ import annotations

from pyvmiscsi.initiator.libiscsi import Session
from tests.initiator.tgtd import Tgtd, busy


def test_a_target_goes_under_commands_in_flight(daemon: Tgtd) -> None:
    target = daemon.target("busy")
    target.lun(1, size=8 << 20, serial="5c4ae0d1b2f7-00")
    with Session.login(daemon.portal, target.iqn) as session:
        session.settle(1)
        with busy(lambda: session.read(1, sector=0, count=2048)):
            target.delete()
        assert not session.tend(1.0)
