from __future__ import annotations

import pytest

from pyvmiscsi.initiator.freebsd import preflight, scripts
from pyvmiscsi.initiator.freebsd.initiator import FreebsdInitiator
from tests.fakes.clock import FakeClock
from tests.fakes.host import FakeHost
from tests.initiator.freebsd.kernel import FakeKernel, Served

READY = {
    "release": "1403000", "driver": "yes", "iscsid": "yes", "iscsid_enable": "YES", "iscsictl_enable": "NO",
    "fail_on_disconnection": "0", "disk_ident": "1", "hostname": "hv1.example.net",
}  # fmt: skip


def test_nothing_to_say_of_a_host_that_is_ready() -> None:
    assert preflight.findings(READY) == ()


def test_what_keeps_disks_from_being_attached_is_fatal_and_has_a_remedy() -> None:
    found = preflight.findings(READY | {"driver": "no", "iscsid": "no"})
    assert [finding.fatal for finding in found] == [True, True]
    assert "kldload iscsi" in found[0].hint
    assert "service iscsid start" in found[1].hint


def test_what_bites_later_is_told_too() -> None:
    found = preflight.findings(
        READY | {"iscsid_enable": "NO", "iscsictl_enable": "YES", "fail_on_disconnection": "1", "disk_ident": "0"}
    )
    assert len(found) == 4
    assert not any(finding.fatal for finding in found)


def test_another_system_is_told_apart() -> None:
    assert preflight.findings({})[0].text == "this is not FreeBSD"


@pytest.mark.parametrize("name", ["", "Amnesiac", "localhost"])
def test_a_host_without_a_name_is_told_because_the_nas_takes_it_for_another(name: str) -> None:
    (found,) = preflight.findings(READY | {"hostname": name})
    assert "hostname NAME" in found.hint


def test_a_ready_host_is_asked_twice_and_has_nothing_to_tell() -> None:
    kernel = FakeKernel(FakeClock())
    host = FakeHost(answer=kernel.answer)
    assert FreebsdInitiator(host).preflight() == ()
    assert [call.script for call in host.calls] == [scripts.PREFLIGHT, scripts.LOOK]


def test_what_is_fatal_is_told_without_asking_for_sessions_that_cannot_be() -> None:
    kernel = FakeKernel(FakeClock())
    kernel.iscsid_runs = False
    host = FakeHost(answer=kernel.answer)
    assert [finding.text for finding in FreebsdInitiator(host).preflight()] == ["iscsid is not running"]
    assert len(host.calls) == 1


def test_dead_sessions_and_twins_are_told_with_their_remedies() -> None:
    kernel = FakeKernel(FakeClock())
    kernel.served |= {"iqn.2005-10.org.freenas.ctl:a": Served(), "iqn.2005-10.org.freenas.ctl:b": Served()}
    kernel.start("iqn.2005-10.org.freenas.ctl:a", "10.0.0.10", age=60)
    kernel.start("iqn.2005-10.org.freenas.ctl:a", "nas1", age=60)
    kernel.start("iqn.2005-10.org.freenas.ctl:b", "nas1", age=60).lost = "Not found"
    twins, dead = FreebsdInitiator(FakeHost(answer=kernel.answer)).preflight()
    assert "through 10.0.0.10, nas1" in twins.text
    assert "dead: Not found" in dead.text
    assert "iscsictl -R -p nas1 -t iqn.2005-10.org.freenas.ctl:b" in dead.hint
    assert not any(finding.fatal for finding in (twins, dead))
