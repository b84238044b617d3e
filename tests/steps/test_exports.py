"""Nearly there is a conflict, and undo takes back only what was made."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from pyvmiscsi.errors import BusyError, ConflictError
from pyvmiscsi.model import Credential, Extent, Mapping, NasSession, Target, Volume
from pyvmiscsi.names import DatasetPath, Lun, Serial
from pyvmiscsi.secrets import Secret
from pyvmiscsi.steps import exports
from pyvmiscsi.steps.exports import (
    CredentialExists,
    ExtentExists,
    MappingExists,
    NobodyLoggedIn,
    TargetExists,
    TargetGone,
)
from pyvmiscsi.steps.signature import Signature
from pyvmiscsi.steps.volumes import VolumeExists, VolumeGone
from pyvmiscsi.units import Size
from tests.fakes.nas import BASENAME, FakeNas

IQN = BASENAME.child("web1-disk0")
VOLUME = Volume(DatasetPath("tank/vm/web1"), Size.parse("1G"))
EXTENT = Extent("web1-disk0", VOLUME.path, Serial("S0"))
OURS = Signature(uuid4(), "aa01")


@pytest.fixture
def nas() -> FakeNas:
    nas = FakeNas()
    nas.create_volume(VOLUME)
    return nas


@pytest.mark.parametrize(
    ("there", "difference"),
    [
        (replace(EXTENT, sector=Size(4096)), "block size is 4K, not 512"),
        (replace(EXTENT, serial=Serial("S9")), "serial is S9, not S0"),
        (EXTENT, "its guest is None"),
        (replace(EXTENT, comment=Signature(uuid4(), "aa01").as_comment()), "its guest is"),
        (replace(EXTENT, comment=OURS.as_comment(), read_only=True), "read-only is True, not False"),
    ],
)
def test_an_extent_that_is_nearly_ours_is_a_conflict(nas: FakeNas, there: Extent, difference: str) -> None:
    nas.create_extent(there)
    with pytest.raises(ConflictError, match=difference):
        ExtentExists(nas, EXTENT, OURS).holds()


def test_an_extent_of_another_operation_is_not_taken_back(nas: FakeNas) -> None:
    nas.create_extent(replace(EXTENT, comment=Signature(OURS.guest, "bb02").as_comment()))
    ExtentExists(nas, EXTENT, OURS).undo()
    assert nas.find_extent(EXTENT.name) is not None


def test_text_that_somebody_added_to_our_comment_does_not_make_it_a_strangers(nas: FakeNas) -> None:
    nas.create_extent(replace(EXTENT, comment=f"{OURS.as_comment()} - do not touch, Alice"))
    assert ExtentExists(nas, EXTENT, OURS).holds()


@pytest.mark.parametrize(
    ("wanted", "difference"),
    [
        (Target(IQN, portal_group=2), "portal group is 1, not 2"),
        (Target(IQN, 1, initiator_group=3), "initiator group is None, not 3"),
        (Target(IQN, 1, chap_tag=7), "CHAP tag is None, not 7"),
    ],
)
def test_a_target_that_is_nearly_ours_is_a_conflict(nas: FakeNas, wanted: Target, difference: str) -> None:
    nas.create_target(Target(IQN, portal_group=1))
    with pytest.raises(ConflictError, match=difference):
        TargetExists(nas, wanted).holds()


def test_another_lun_number_is_a_conflict(nas: FakeNas) -> None:
    nas.create_extent(EXTENT)
    nas.create_target(Target(IQN, 1))
    nas.create_mapping(Mapping(IQN, EXTENT.name, Lun(5)))
    with pytest.raises(ConflictError, match="LUN is 5, not 1"):
        MappingExists(nas, Mapping(IQN, EXTENT.name, Lun(1))).holds()


def test_a_stranger_under_the_guests_chap_tag_is_a_conflict_for_he_could_open_its_luns(nas: FakeNas) -> None:
    nas.create_credential(Credential(7, "mallory", Secret("secretsecret1")))
    with pytest.raises(ConflictError, match="mallory"):
        CredentialExists(nas, 7, "web1").holds()


def test_the_generated_secret_has_the_length_every_side_takes(nas: FakeNas) -> None:
    CredentialExists(nas, 7, "web1", mutual=True).make()
    (account,) = nas.find_credentials(tag=7)
    assert len(account.secret.reveal()) == len(account.peer_secret.reveal()) == 16
    assert account.secret != account.peer_secret
    assert account.is_mutual


def test_a_withdrawn_target_is_put_back_with_its_lun(nas: FakeNas) -> None:
    target, mapping = Target(IQN, 1, chap_tag=7), Mapping(IQN, EXTENT.name, Lun(1))
    nas.create_credential(Credential(7, "web1", Secret("secretsecret1")))
    nas.create_extent(EXTENT)
    nas.create_target(target)
    nas.create_mapping(mapping)
    before = nas.state()
    step = TargetGone(nas, target, (mapping,))
    step.make()
    assert step.holds()
    step.undo()
    step.undo()
    assert nas.state() == before


def test_a_session_is_never_cut(nas: FakeNas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "SEEN_GONE_WITHIN", 0.0)
    nas.sessions_now.append(NasSession(IQN, "iqn.1994-09.org.freebsd:hv1", "10.0.0.11"))
    with pytest.raises(BusyError, match=r"hv1 at 10\.0\.0\.11"):
        NobodyLoggedIn(nas, (IQN,)).make()


def test_a_smaller_volume_is_a_conflict(nas: FakeNas) -> None:
    path = DatasetPath("tank/vm/web2")
    nas.create_volume(Volume(path, Size.parse("1G"), marks=OURS.as_marks(path)))
    with pytest.raises(ConflictError, match="size is 1G, not 2G"):
        VolumeExists(nas, Volume(path, Size.parse("2G")), OURS).holds()


def test_a_volume_is_not_deleted_while_any_extent_offers_it(nas: FakeNas) -> None:
    nas.create_extent(replace(EXTENT, name="somebody-elses"))
    with pytest.raises(BusyError, match="somebody-elses"):
        VolumeGone(nas, VOLUME.path).make()
    assert nas.find_volume(VOLUME.path) is not None


def test_a_volume_of_another_operation_is_not_taken_back(nas: FakeNas) -> None:
    path = DatasetPath("tank/vm/web2")
    volume = Volume(path, Size.parse("1G"))
    nas.create_volume(replace(volume, marks=Signature(OURS.guest, "bb02").as_marks(path)))
    VolumeExists(nas, volume, OURS).undo()
    assert nas.find_volume(path) is not None
