"""When snapshots expire, as their marks say it."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.names import DatasetPath
from pyvmiscsi.steps.snapshots import Expiry


@given(st.uuids(), st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(microsecond=0)))
def test_an_expiry_reads_back_what_it_wrote(guest_uuid: UUID, until: datetime) -> None:
    expiry = Expiry(guest_uuid, until)
    assert Expiry.in_marks(expiry.as_marks(DatasetPath("tank/vm/web1"))) == expiry
    assert Expiry.from_json(expiry.as_json()) == expiry


@pytest.mark.parametrize("content", ["", "{}", '{"uuid":"x","until":"2026"}', '{"uuid":1}', "[]", "not json"])
def test_a_mark_that_is_no_expiry_expires_nothing(content: str) -> None:
    assert Expiry.in_marks({"org.pyvmiscsi:expiry": f"tank/vm/web1 1/1 {content}"}) is None
    assert Expiry.in_marks({"org.pyvmiscsi:expiry": content}) is None
