"""The vocabulary of failed logins: which reasons a repeated login can change, and what to do about each."""

from __future__ import annotations

import pytest

from pyvmiscsi.initiator import reasons
from tests.lab.hypervisor import transcripts

PERMANENT = (
    "Authentication failure",
    "Authentication failed",
    "Authentication required",
    "Authorization failure",
    "Mutual CHAP failed",
    "Not found",
    "Service was not recognized for socket type",
    "Session type not supported",
    "Target removed",
    "Unsupported AuthMethod",
    "Unsupported version",
    "empty address",
    "iSER not supported",
    "malformed address",
)
"""What the same configuration brings about again."""

PASSING = (
    "Can't include in session",
    "Connection refused",
    "Connection reset by peer",
    "Host is down",
    "Initiator error",
    "Invalid during login",
    "Login Phase timeout",
    "Missing parameter",
    "Name does not resolve",
    "Network is unreachable",
    "No route to host",
    "Non-recoverable failure in name resolution",
    "Operation timed out",
    "Out of resources",
    "Service unavailable",
    "Session does not exist",
    "Target error",
    "Target moved permanently",
    "Target moved temporarily",
    "Too many connections",
    "connection lost",
    "hostname nor servname provided, or not known",
    "unknown Session Class 0x5, Status-Detail 0x1",
)
"""What another try may find gone."""

NO_REMEDY = (
    "Can't include in session",
    "Initiator error",
    "Invalid during login",
    "Missing parameter",
    "Session does not exist",
    "Session type not supported",
    "Unsupported version",
    "Unsupported AuthMethod",
    "iSER not supported",
    "unknown Session Class 0x5, Status-Detail 0x1",
)
"""An initiator and a target that do not understand each other: nothing that an administrator has said is wrong."""

STATES = ("Disconnected", "Waiting for iscsid(8)", "Disabled", "Discovery")


@pytest.mark.parametrize("reason", PERMANENT)
def test_what_the_configuration_causes_is_permanent(reason: str) -> None:
    assert reasons.is_permanent(reason)


@pytest.mark.parametrize("reason", [*PASSING, *STATES, ""])
def test_what_passes_is_not_permanent(reason: str) -> None:
    assert not reasons.is_permanent(reason)


@pytest.mark.parametrize("reason", [*PERMANENT, *PASSING])
def test_whatever_somebody_can_do_something_about_says_what(reason: str) -> None:
    assert bool(reasons.hint_for(reason)) is (reason not in NO_REMEDY)


def test_every_status_of_a_login_response_is_one_or_the_other() -> None:
    assert set(reasons.LOGIN_STATUS.values()) <= {*PERMANENT, *PASSING}


def test_so_is_every_reason_that_a_real_kernel_gave() -> None:
    """In ninety seconds of seventeen kinds of logins that fail."""
    commands = (event for section in transcripts.read("d-failures") for event in section.events)
    listings = (one.output for one in commands if isinstance(one, transcripts.Command) and one.text == "iscsictl -L")
    rows = [row for listing in listings for row in listing.splitlines()[1:]]
    shown = {row.split(None, 1 if row.startswith(" ") else 2)[-1] for row in rows}  # a discovery has no target
    assert {"Authentication failure", "Not found", "Operation timed out", "Login Phase timeout"} <= shown
    assert shown <= {*PERMANENT, *PASSING, *STATES}
