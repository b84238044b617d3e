from __future__ import annotations

import pytest

from pyvmiscsi.initiator.linux import LinuxInitiator, preflight, scripts
from tests.fakes.host import Call, FakeHost, Reply

READY = {
    "system": "Linux", "release": "6.1.0-28-amd64", "iscsiadm": "yes", "iscsid": "yes", "driver": "yes",
    "initiator": "iqn.1993-08.org.debian:01:abc", "startup": "manual", "multipathd": "no",
}  # fmt: skip


def test_nothing_to_say_of_a_host_that_is_ready() -> None:
    assert preflight.findings(READY) == ()


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        ({"system": "FreeBSD", "release": "14.3-RELEASE"}, 'initiator = "linux"'),
        ({"release": "4.4.0"}, "4.5"),
        ({"iscsiadm": "no", "iscsid": "no"}, "install open-iscsi"),
        ({"iscsid": "no"}, "systemctl enable --now iscsid.socket"),
        ({"driver": "no"}, "modprobe iscsi_tcp"),
        ({"initiator": ""}, "iscsi-iname"),
    ],
)
def test_what_keeps_disks_from_being_attached_is_fatal_and_has_a_remedy(answer: dict[str, str], hint: str) -> None:
    (found,) = preflight.findings(READY | answer)
    assert found.fatal
    assert hint in found.hint


@pytest.mark.parametrize("answer", [{"startup": "automatic"}, {"multipathd": "yes"}])
def test_what_bites_later_is_told_too(answer: dict[str, str]) -> None:
    (found,) = preflight.findings(READY | answer)
    assert not found.fatal
    assert found.hint


def test_asks_the_host_once() -> None:
    def answer(call: Call) -> Reply:
        assert call.script == scripts.PREFLIGHT
        return Reply("".join(f"{key}\t{value}\n" for key, value in READY.items()).encode())

    host = FakeHost(answer=answer)
    assert LinuxInitiator(host).preflight() == ()
    assert len(host.calls) == 1
