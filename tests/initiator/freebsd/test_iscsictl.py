"""iscsictl's failures as errors: with its complaint, and without what it listed."""

from __future__ import annotations

import pytest

from pyvmiscsi.errors import CommandError
from pyvmiscsi.initiator.freebsd.iscsictl import Iscsictl
from tests.fakes.host import FakeHost, Reply

LISTING = b'{"iscsictl": {"session": [{"secret":"chapsecret123"}]}}'


def test_a_look_that_was_killed_does_not_repeat_the_listing_with_its_secrets() -> None:
    host = FakeHost(answer=lambda _call: Reply(stdout=LISTING, status=143))
    with pytest.raises(CommandError, match="exit status 143") as caught:
        Iscsictl(host).look()
    assert "chapsecret123" not in str(caught.value)


def test_the_last_line_of_a_complaint_is_repeated() -> None:
    host = FakeHost(answer=lambda _call: Reply(stdout=LISTING, stderr=b"first\niscsictl: last\n", status=1))
    with pytest.raises(CommandError, match=r"^hv1: iscsictl: last$"):
        Iscsictl(host).look()
