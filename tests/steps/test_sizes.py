"""Sizes as steps: what is nearly there is a conflict, and nothing is taken for grown that nobody saw grown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyvmiscsi.errors import ConflictError, LoginError, NotFoundError, ProofError, SessionLostError
from pyvmiscsi.model import Credential, DiskProof, Extent, Mapping, Target, Volume
from pyvmiscsi.names import Lun, LunAddress, Portal, Serial
from pyvmiscsi.secrets import Secret
from pyvmiscsi.steps import sizes
from pyvmiscsi.steps.sizes import LunSized, SizeSeen, VolumeGrown
from pyvmiscsi.units import Size
from tests.fakes.access import FakeAccess
from tests.fakes.nas import BASENAME, PARENT, FakeNas
from tests.operations.scenes import RememberingInitiator

OLD, NEW, LARGER = Size.parse("1G"), Size.parse("2G"), Size.parse("3G")
VOLUME = Volume(PARENT.child("disk0"), OLD)
TARGET = BASENAME.child("web1-disk0")
SERIAL = Serial.parse("5f0c2d9a1b3e-00")
PROOF = DiskProof(LunAddress(Portal("10.0.0.10"), TARGET, Lun(1)), SERIAL, NEW)
ACCOUNT = Credential(7, "web1", Secret("secretsecret12"))


@pytest.fixture
def nas() -> FakeNas:
    nas = FakeNas()
    nas.create_volume(VOLUME)
    nas.create_credential(ACCOUNT)
    nas.create_target(Target(TARGET, 1, chap_tag=7))
    nas.create_extent(Extent("web1-disk0", VOLUME.path, SERIAL))
    nas.create_mapping(Mapping(TARGET, "web1-disk0", Lun(1)))
    return nas


class TestTheVolume:
    def test_grows(self, nas: FakeNas) -> None:
        step = VolumeGrown(nas, VOLUME.path, NEW)
        assert not step.holds()
        step.make()
        assert step.holds()

    def test_larger_than_wanted_is_a_conflict_and_stays(self, nas: FakeNas) -> None:
        nas.grow_volume(VOLUME.path, LARGER)
        with pytest.raises(ConflictError, match="it has 3G"):
            VolumeGrown(nas, VOLUME.path, NEW).holds()

    def test_that_is_not_there_does_not_grow(self, nas: FakeNas) -> None:
        with pytest.raises(NotFoundError):
            VolumeGrown(nas, PARENT.child("disk1"), NEW).holds()

    def test_is_never_made_smaller_again(self, nas: FakeNas) -> None:
        step = VolumeGrown(nas, VOLUME.path, NEW)
        step.make()
        step.undo()
        assert step.holds()


class TestTheLun:
    @pytest.fixture
    def access(self, nas: FakeNas) -> FakeAccess:
        return FakeAccess(nas)

    @pytest.fixture
    def step(self, nas: FakeNas, access: FakeAccess) -> LunSized:
        return LunSized(access, nas, PROOF, ACCOUNT.tag)

    def test_shows_what_its_volume_has(self, step: LunSized, nas: FakeNas) -> None:
        assert not step.holds()
        nas.grow_volume(VOLUME.path, NEW)
        step.make()
        assert step.holds()

    def test_that_keeps_its_old_size_is_no_success(
        self, step: LunSized, nas: FakeNas, access: FakeAccess, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sizes, "_FOLLOWS_WITHIN", 0)
        nas.grow_volume(VOLUME.path, NEW)
        access.sizes[str(SERIAL)] = OLD
        with pytest.raises(ProofError, match="still shows another size"):
            step.make()

    def test_of_another_serial_is_not_the_disk(self, nas: FakeNas, access: FakeAccess) -> None:
        other = replace(PROOF, serial=Serial.parse("another"))
        with pytest.raises(ProofError, match=str(SERIAL)):
            LunSized(access, nas, other, ACCOUNT.tag).holds()

    def test_is_opened_with_the_guests_secret(self, nas: FakeNas, access: FakeAccess) -> None:
        with pytest.raises(LoginError):
            LunSized(access, nas, PROOF, None).holds()


class TestTheHost:
    @pytest.fixture
    def hv1(self) -> RememberingInitiator:
        return RememberingInitiator()

    @pytest.fixture
    def step(self, hv1: RememberingInitiator) -> SizeSeen:
        return SizeSeen(hv1, "hv1", PROOF)

    def test_is_made_to_look_again(self, step: SizeSeen, hv1: RememberingInitiator) -> None:
        hv1.attach(replace(PROOF, size=OLD), None)
        assert not step.holds()
        step.make()
        assert step.holds()

    def test_that_logged_out_meanwhile_has_nothing_to_see(self, step: SizeSeen) -> None:
        assert step.holds()
        with pytest.raises(SessionLostError):
            step.make()
