from __future__ import annotations

import pytest

from pyvmiscsi.initiator import reasons


@pytest.mark.parametrize(
    "reason",
    ["Authentication failure", "Authentication failed", "Authorization failure", "Not found", "Target removed",
     "Mutual CHAP failed", "malformed address", "Unsupported AuthMethod"],
)  # fmt: skip
def test_what_the_configuration_causes_is_permanent(reason: str) -> None:
    assert reasons.is_permanent(reason)


@pytest.mark.parametrize(
    "reason",
    ["Connection refused", "Operation timed out", "No route to host", "Service unavailable", "Login Phase timeout",
     "Connection reset by peer", "Waiting for iscsid(8)", "Out of resources", ""],
)  # fmt: skip
def test_what_passes_is_not_permanent(reason: str) -> None:
    assert not reasons.is_permanent(reason)
