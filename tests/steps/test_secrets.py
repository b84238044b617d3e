"""Secrets as steps: new ones are nobody's but the nas's, and a mark tells which operation made them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyvmiscsi.errors import NasUnansweredError
from pyvmiscsi.model import Credential
from pyvmiscsi.secrets import Secret
from pyvmiscsi.steps.announced import Announced
from pyvmiscsi.steps.secrets import SecretRotated
from tests.fakes.nas import PARENT, FakeNas, lose_answer

ANCHOR = PARENT.child("web1")
ACCOUNT = Credential(7, "web1", Secret("secretsecret12"), "web1-nas", Secret("othersecret13"))


@pytest.fixture
def nas() -> FakeNas:
    nas = FakeNas()
    nas.create_dataset(ANCHOR, {})
    nas.create_credential(ACCOUNT)
    return nas


def rotated(nas: FakeNas, operation: str = "aa01", *, mutual: bool = True) -> SecretRotated:
    return SecretRotated(nas, ANCHOR, ACCOUNT.tag, ACCOUNT.user, mutual, operation)


def account(nas: FakeNas) -> Credential:
    (found,) = nas.find_credentials(tag=ACCOUNT.tag)
    return found


def test_both_secrets_are_new_and_names_and_tag_stay(nas: FakeNas) -> None:
    step = rotated(nas)
    assert not step.holds()
    step.make()
    assert step.holds()
    found = account(nas)
    assert replace(found, secret=ACCOUNT.secret, peer_secret=ACCOUNT.peer_secret) == ACCOUNT
    secrets = {one.reveal() for one in (found.secret, found.peer_secret, ACCOUNT.secret, ACCOUNT.peer_secret)}
    assert len(secrets) == 4


def test_without_mutual_chap_there_is_no_second_secret(nas: FakeNas) -> None:
    nas.change_credential(ACCOUNT.tag, ACCOUNT.user, peer_user="", peer_secret=Secret(""))
    rotated(nas, mutual=False).make()
    assert not account(nas).is_mutual


def test_another_operations_rotation_is_not_this_ones(nas: FakeNas) -> None:
    rotated(nas, "aa01").make()
    assert not rotated(nas, "bb02").holds()


def test_no_mark_holds_a_secret(nas: FakeNas) -> None:
    rotated(nas).make()
    found, dataset = account(nas), nas.find_dataset(ANCHOR)
    assert dataset is not None
    assert [one for one in (found.secret, found.peer_secret) if one.reveal() in str(dataset.marks)] == []


def test_a_lost_answer_leads_to_another_secret_which_is_as_good(nas: FakeNas) -> None:
    nas.watch = lose_answer("change_credential")
    step = rotated(nas)
    with pytest.raises(NasUnansweredError):
        step.make()
    first = account(nas)
    assert first != ACCOUNT
    assert not step.holds()
    step.make()
    assert step.holds()
    assert account(nas) != first


def test_an_announcement_is_its_operations_and_its_objects(nas: FakeNas) -> None:
    nas.create_dataset(ANCHOR.child("below"), {})
    step = Announced(nas, ANCHOR, "rotation", "aa01")
    assert not step.holds()
    step.make()
    assert step.holds()
    assert not replace(step, operation="bb02").holds()
    assert not replace(step, anchor=ANCHOR.child("below")).holds()
    assert not replace(step, anchor=ANCHOR.child("nothing")).holds()
