"""Secrets that cannot be shown by accident."""

from __future__ import annotations

import copy
import json
import pickle
import re
import traceback
from dataclasses import asdict, dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.model import Credential, NasRecord
from pyvmiscsi.secrets import REDACTED, Secret, generate_chap_secret

HUNTER2 = Secret("hunter2")


@given(st.text(min_size=1).filter(lambda text: text not in f"Secret('{REDACTED}')"))
def test_no_way_of_showing_it_shows_it(text: str) -> None:
    secret = Secret(text)

    shown = [str(secret), repr(secret), f"{secret}", f"{secret!r}", f"{secret:>40}", "%s %r" % (secret, secret)]  # noqa: UP031 - the old way too

    assert not any(text in each for each in shown)


def test_only_reveal_gives_it_away() -> None:
    assert HUNTER2.reveal() == "hunter2"


def test_records_that_hold_one_do_not_show_it() -> None:
    records = (
        Credential(1, "web1", HUNTER2, "nas", HUNTER2),
        NasRecord("nas1", "https://nas1", "root", api_key=HUNTER2, password=HUNTER2),
    )

    for record in records:
        assert "hunter2" not in repr(record)
        assert REDACTED in repr(record)


def test_a_traceback_does_not_show_it() -> None:
    def fail(_secret: Secret) -> None:
        raise ValueError(f"wrong: {_secret}")

    with pytest.raises(ValueError, match="wrong") as failed:
        fail(HUNTER2)

    report = traceback.TracebackException.from_exception(failed.value, capture_locals=True)
    assert "hunter2" not in "".join(report.format())


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_is_never_pickled(protocol: int) -> None:
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(HUNTER2, protocol)


@pytest.mark.parametrize("copying", [copy.copy, copy.deepcopy])
def test_is_never_copied(copying: object) -> None:
    with pytest.raises(TypeError, match="never pickled or copied"):
        copying(HUNTER2)  # type: ignore[operator] # both are functions


def test_records_that_hold_one_are_never_taken_apart() -> None:
    @dataclass
    class Record:
        secret: Secret

    with pytest.raises(TypeError):
        asdict(Record(HUNTER2))


def test_is_nothing_that_json_knows() -> None:
    with pytest.raises(TypeError):
        json.dumps({"secret": HUNTER2})


def test_has_no_attributes_to_look_into() -> None:
    with pytest.raises(TypeError):
        vars(HUNTER2)


@given(st.text(), st.text())
def test_equals_by_its_text(one: str, other: str) -> None:
    assert (Secret(one) == Secret(other)) == (one == other)
    assert hash(Secret(one)) == hash(Secret(one))


def test_never_equals_a_plain_text() -> None:
    assert HUNTER2 != "hunter2"


def test_a_chap_secret_is_as_long_as_every_side_keeps() -> None:
    """Between 12 and 16 characters for TrueNAS; FreeBSD's initiator cuts what is longer."""
    made = {generate_chap_secret().reveal() for _ in range(100)}

    assert len(made) == 100
    assert all(re.fullmatch(r"[A-Za-z0-9]{16}", text) for text in made)
