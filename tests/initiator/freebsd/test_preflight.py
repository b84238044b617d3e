from __future__ import annotations

from pyvmiscsi.initiator.freebsd import preflight, scripts
from pyvmiscsi.initiator.freebsd.initiator import FreebsdInitiator
from tests.fakes.host import Call, FakeHost, Reply

READY = {
    "release": "1403000", "driver": "yes", "iscsid": "yes", "iscsid_enable": "YES", "iscsictl_enable": "NO",
    "fail_on_disconnection": "0", "disk_ident": "1",
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


def test_asks_the_host_once() -> None:
    def answer(call: Call) -> Reply:
        assert call.script == scripts.PREFLIGHT
        return Reply("".join(f"{key}\t{value}\n" for key, value in READY.items()).encode())

    host = FakeHost(answer=answer)
    assert FreebsdInitiator(host).preflight() == ()
    assert len(host.calls) == 1
