"""Whose session it is, and by which name a disk is used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pyvmiscsi.errors import ConflictError
from pyvmiscsi.initiator.freebsd import scripts
from pyvmiscsi.names import Iqn, Lun, Portal, Serial
from pyvmiscsi.ports import Initiator
from tests.fakes.clock import FakeClock
from tests.fakes.host import FakeHost
from tests.initiator.freebsd.kernel import LABEL, FakeKernel, Served
from tests.initiator.web1 import PORTAL, PROOF, TARGET


class TestNames:
    """By which name a disk is used, and what is said when that does not last."""

    @pytest.mark.parametrize(
        ("serial", "device"),
        [
            ("MYSERIAL   0", "/dev/diskid/DISK-MYSERIAL%20%20%200"),
            ("50%", "/dev/diskid/DISK-50%25"),
            ('q"q', "/dev/diskid/DISK-q%22q"),
        ],
    )
    def test_a_serial_is_found_under_the_name_that_geom_makes_of_it(
        self, initiator: Initiator, kernel: FakeKernel, warned: list[str], serial: str, device: str
    ) -> None:
        kernel.served[TARGET].serial = serial
        assert initiator.attach(replace(PROOF, serial=Serial(serial)), None).device == device
        assert warned == []

    @pytest.mark.parametrize("number", [0, 7, 16382])
    def test_any_lun_will_do(self, initiator: Initiator, kernel: FakeKernel, number: int) -> None:
        kernel.served[TARGET].lun = number
        proof = replace(PROOF, address=replace(PROOF.address, lun=Lun(number)))
        assert initiator.attach(proof, None).device == LABEL
        assert list(initiator.sessions()[0].luns) == [number]

    def test_labels_that_are_switched_off_are_told_and_not_waited_for(
        self, initiator: Initiator, kernel: FakeKernel, clock: FakeClock, warned: list[str]
    ) -> None:
        kernel.labels_are_off = True
        begun = clock.now()
        assert initiator.attach(PROOF, None).device == "/dev/da0"
        assert clock.now() - begun < 2
        (warning,) = warned
        assert "used as /dev/da0, a name that lasts as long as this session" in warning
        assert "sysctl kern.geom.label.disk_ident.enable=1" in warning

    def test_a_twin_that_bears_the_label_is_named(
        self, initiator: Initiator, kernel: FakeKernel, warned: list[str]
    ) -> None:
        twin = "iqn.2005-10.org.freenas.ctl:restored"
        kernel.served[twin] = Served()
        kernel.start(twin, PORTAL, age=60)
        assert initiator.attach(PROOF, None).device == "/dev/da1"
        (warning,) = warned
        assert f"{LABEL} is on da0, another disk with the same serial" in warning

    def test_a_label_that_does_not_come_is_told(
        self, initiator: Initiator, kernel: FakeKernel, warned: list[str]
    ) -> None:
        kernel.served[TARGET].shows_label = False
        assert initiator.attach(PROOF, None).device == "/dev/da0"
        (warning,) = warned
        assert "open for writing by another name" in warning

    def test_a_serial_too_long_for_a_label_is_told(
        self, initiator: Initiator, kernel: FakeKernel, warned: list[str]
    ) -> None:
        serial = "5 " * 19  # 38 characters, 76 as GEOM writes them
        kernel.served[TARGET].serial = serial.strip()
        assert initiator.attach(replace(PROOF, serial=Serial(serial.strip())), None).device == "/dev/da0"
        (warning,) = warned
        assert "makes no label" in warning

    def test_a_disk_with_its_label_is_nothing_to_tell(self, initiator: Initiator, warned: list[str]) -> None:
        initiator.attach(PROOF, None)
        initiator.attach(PROOF, None)
        initiator.find(PROOF)
        assert warned == []


class TestWhoseSession:
    """Sessions of others are never taken away or changed, and it is said that they are in the way."""

    OTHER = "iqn.2005-10.org.freenas.ctl:other"

    @pytest.mark.parametrize("alive", [True, False])
    def test_a_target_of_the_hosts_own_configuration_is_left_alone(
        self, initiator: Initiator, kernel: FakeKernel, host: FakeHost, alive: bool
    ) -> None:
        kernel.conf = {TARGET}
        session = kernel.start(TARGET, "10.0.0.10", age=60)
        session.lost = None if alive else "Not found"
        asks: tuple[Callable[[], object], ...] = (
            lambda: initiator.attach(PROOF, None),
            lambda: initiator.find(PROOF),
            lambda: initiator.detach(Iqn(TARGET)),
        )
        for ask in asks:
            with pytest.raises(ConflictError, match=rf"/etc/iscsi\.conf .*-R -p 10\.0\.0\.10 -t {TARGET}"):
                ask()
        assert kernel.sessions == [session]
        assert {call.script for call in host.calls} == {scripts.LOOK}

    def test_nor_is_it_logged_in_to_while_its_owner_is_not(
        self, initiator: Initiator, kernel: FakeKernel, host: FakeHost
    ) -> None:
        kernel.conf = {TARGET}
        with pytest.raises(ConflictError, match="take the entry out of that file"):
            initiator.attach(PROOF, None)
        assert {call.script for call in host.calls} == {scripts.LOOK}
        initiator.detach(Iqn(TARGET))

    def test_sessions_to_other_targets_stay_dead_or_alive(self, initiator: Initiator, kernel: FakeKernel) -> None:
        kernel.served[self.OTHER] = Served(serial="other")
        alive, dead = kernel.start(self.OTHER, PORTAL, age=60), kernel.start(self.OTHER + "2", PORTAL, age=60)
        dead.lost = "Not found"
        kernel.conf = {self.OTHER}
        initiator.attach(PROOF, None)
        initiator.detach(Iqn(TARGET))
        assert kernel.sessions == [alive, dead]

    def test_a_dead_session_by_another_spelling_goes_and_it_is_said(
        self, initiator: Initiator, kernel: FakeKernel, warned: list[str]
    ) -> None:
        kernel.start(TARGET, "nas1", age=60).lost = "Not found"
        initiator.attach(PROOF, None)
        assert [session.portal for session in kernel.sessions] == [PORTAL]
        (warning,) = warned
        assert "took away a dead session, made through nas1: Not found" in warning

    @pytest.mark.parametrize("spelling", ["[2001:DB8::10]", "2001:db8::10", "[2001:db8:0:0::10]:3260"])
    def test_one_portal_has_one_spelling_however_it_is_written(
        self, initiator: Initiator, kernel: FakeKernel, spelling: str
    ) -> None:
        proof = replace(PROOF, address=replace(PROOF.address, portal=Portal.parse(spelling)))
        initiator.attach(proof, None)
        initiator.attach(proof, None)
        assert [session.portal for session in kernel.sessions] == ["[2001:db8::10]:3260"]
