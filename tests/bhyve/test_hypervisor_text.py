"""What a hypervisor says about its guests, read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.bhyve.hypervisor_text import GuestOnHost, Refusal, SupervisorStatus, parse_guests

ANSWER = """\
vmm web1
vmm old1
process web1 4242
process db1 977
status web1 state=running
status web1 operation=0a1b
status web1 supervisor=4200
status web1 bhyve=4242
status web1 exit=
status web1 reason=
status web1 lost_since=1732290000
supervised web1
status gone1 state=failed
status gone1 operation=ffff
status gone1 supervisor=300
status gone1 exit=4
status gone1 reason=bhyve failed: a=b
refused db1 operation=0a1b
refused db1 reason=it runs already: a=b
"""


def test_reads_every_guest_the_host_knows_of() -> None:
    assert parse_guests(ANSWER) == {
        "web1": GuestOnHost(
            "web1", 4242, True, True, SupervisorStatus("running", "0a1b", 4200, None, "", session_lost=True)
        ),
        "old1": GuestOnHost("old1", has_vm=True),
        "db1": GuestOnHost("db1", process=977, refusal=Refusal("0a1b", "it runs already: a=b")),
        "gone1": GuestOnHost("gone1", status=SupervisorStatus("failed", "ffff", 300, 4, "bhyve failed: a=b")),
    }


def test_a_guest_is_gone_when_nothing_of_it_is_left() -> None:
    found = parse_guests(ANSWER)
    assert [name for name, guest in found.items() if guest.is_gone] == ["gone1"]
    assert [name for name, guest in found.items() if guest.is_running] == ["web1", "db1"]


def test_a_guest_between_two_runs_comes_back() -> None:
    text = "supervised web1\nstatus web1 state=rebooting\nstatus old1 state=rebooting\n"
    assert [name for name, guest in parse_guests(text).items() if guest.is_coming_back] == ["web1"]


def test_a_final_status_is_told_from_one_on_the_way() -> None:
    status = parse_guests(ANSWER)["gone1"].status
    assert status is not None
    assert status.is_final


@given(st.text())
def test_any_other_text_is_passed_over(text: str) -> None:
    parse_guests(text)
