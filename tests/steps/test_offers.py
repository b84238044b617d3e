"""A volume is offered to this process alone, for as long as it is used, and nothing of the offer is left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from pyvmiscsi.errors import BusyError, ConflictError, InputError, LoginError, NasUnansweredError, ProofError
from pyvmiscsi.model import Credential, DatastoreRecord, Extent, NasSession, Volume
from pyvmiscsi.names import DatasetPath, GuestName, Serial
from pyvmiscsi.secrets import Secret
from pyvmiscsi.steps import exports, offers
from pyvmiscsi.steps.offers import Offer, exported
from pyvmiscsi.steps.signature import Signature
from pyvmiscsi.units import Size
from tests.fakes.luns import FakeLuns, MemoryLun
from tests.fakes.nas import FakeNas, lose_answer
from tests.operations.scenes import datastore_in

PATH = DatasetPath("tank/vm/web1")
OURS = Signature(uuid4(), "aa01")


@pytest.fixture
def nas() -> FakeNas:
    nas = FakeNas()
    nas.create_volume(Volume(PATH, Size.parse("1M")))
    return nas


@pytest.fixture
def datastore(tmp_path: Path) -> DatastoreRecord:
    return datastore_in(tmp_path)


@pytest.fixture
def offer(nas: FakeNas, datastore: DatastoreRecord) -> Offer:
    return Offer(nas, datastore, PATH, OURS)


def test_is_a_lun_with_an_account_of_its_own_as_long_as_the_block_lasts(nas: FakeNas, offer: Offer) -> None:
    before = nas.state()
    with exported(offer, FakeLuns(nas)) as lun:
        extent, target = nas.find_extent(offer.name), nas.find_target(offer.target)
        assert extent is not None
        assert target is not None
        assert (extent.volume, Signature.in_comment(extent.comment)) == (PATH, OURS)
        assert [account.user for account in nas.find_credentials(tag=target.chap_tag or 0)] == [offer.name]
        assert (lun.size, lun.serial) == (Size.parse("1M"), str(offer.serial))
    assert nas.state() == before


def test_no_guest_can_have_its_name(offer: Offer) -> None:
    with pytest.raises(InputError):
        GuestName.parse(offer.name)
    assert len(offer.serial.text) == 15


def test_the_same_operation_finds_its_names_again_and_another_does_not(offer: Offer) -> None:
    assert replace(offer, signature=Signature(OURS.guest, "aa01")).name == offer.name
    assert replace(offer, signature=Signature(OURS.guest, "bb02")).name != offer.name
    assert replace(offer, volume=DatasetPath("tank/vm/web2")).name != offer.name


def test_what_is_left_of_it_goes_first_and_its_secret_with_it(nas: FakeNas, offer: Offer) -> None:
    old = offer.make()
    with exported(offer, FakeLuns(nas)):
        assert old not in nas.find_credentials(tag=offer.tag)
    assert nas.find_target(offer.target) is None


def test_it_is_withdrawn_when_the_block_fails(nas: FakeNas, offer: Offer) -> None:
    before = nas.state()
    with pytest.raises(ZeroDivisionError), exported(offer, FakeLuns(nas)):
        raise ZeroDivisionError
    assert nas.state() == before


def test_the_error_of_the_block_comes_before_that_of_the_withdrawal(nas: FakeNas, offer: Offer) -> None:
    with pytest.raises(ZeroDivisionError), exported(offer, FakeLuns(nas)):
        nas.watch = lose_answer("delete_target")
        raise ZeroDivisionError


@pytest.mark.parametrize("method", ["create_credential", "create_target", "create_extent", "create_mapping"])
def test_it_is_made_again_after_a_lost_answer(nas: FakeNas, offer: Offer, method: str) -> None:
    before = nas.state()
    nas.watch = lose_answer(method)
    with pytest.raises(NasUnansweredError):
        offer.make()
    with exported(offer, FakeLuns(nas)):
        pass
    assert nas.state() == before


def test_a_volume_that_is_offered_already_is_left_alone(nas: FakeNas, offer: Offer) -> None:
    nas.create_extent(Extent("web1-disk0", PATH, Serial("S0")))
    before = nas.state()
    with pytest.raises(BusyError, match="offered as extent web1-disk0"), exported(offer, FakeLuns(nas)):
        pass
    assert nas.state() == before


def test_an_account_of_somebody_else_under_its_tag_is_a_conflict(nas: FakeNas, offer: Offer) -> None:
    nas.create_credential(Credential(offer.tag, "stranger", Secret("x" * 12)))
    before = nas.state()
    with pytest.raises(ConflictError, match="account stranger"), exported(offer, FakeLuns(nas)):
        pass
    assert nas.state() == before


def test_whoever_is_logged_in_is_never_cut(nas: FakeNas, offer: Offer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "SEEN_GONE_WITHIN", 0.0)
    offer.make()
    nas.sessions_now.append(NasSession(offer.target, "iqn.2026-01.org.example:other", "10.0.0.9"))
    with pytest.raises(BusyError, match=r"10\.0\.0\.9 is logged in"):
        offer.withdraw()
    assert nas.find_target(offer.target) is not None


def test_waits_for_a_nas_that_does_not_show_its_new_target_yet(nas: FakeNas, offer: Offer) -> None:
    luns = FakeLuns(nas, late=2)
    with exported(offer, luns):
        assert len(luns.logins) == 3


def test_says_why_the_nas_never_showed_it(nas: FakeNas, offer: Offer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offers, "SHOWN_WITHIN", 0.01)
    before = nas.state()
    with pytest.raises(LoginError, match="not yet"), exported(offer, FakeLuns(nas, late=1000)):
        pass
    assert nas.state() == before


@pytest.mark.parametrize(
    ("shown", "what"),
    [
        (MemoryLun(bytearray(1 << 20), "S0"), "serial is S0"),
        (MemoryLun(bytearray(1 << 19)), "size is 512K"),
    ],
)
def test_refuses_another_disk(offer: Offer, shown: MemoryLun, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if what.startswith("size"):
        shown.serial = str(offer.serial)
    luns = FakeLuns(offer.nas)  # type: ignore[arg-type]  # it is the fake one
    monkeypatch.setattr(luns, "shown", lambda _extent: shown)
    with pytest.raises(ProofError, match=what), exported(offer, luns):
        pass
