"""Names changed on the nas: what is another's stays, and what is half done goes on or back."""

from __future__ import annotations

from uuid import UUID

import pytest

from pyvmiscsi.errors import AlreadyExistsError, ConflictError
from pyvmiscsi.model import Credential, Extent, Target, Volume
from pyvmiscsi.names import DatasetPath, Serial
from pyvmiscsi.plan.intent import mark, read_mark
from pyvmiscsi.secrets import Secret
from pyvmiscsi.steps.naming import CredentialNamed, ExtentChange, ExtentsNamed, MarksFollowed, Moved, TargetNamed
from pyvmiscsi.units import Size
from tests.fakes.nas import BASENAME, PARENT, FakeNas

WEB1, OTHER = UUID(int=1), UUID(int=2)
OLD, NEW = PARENT.child("web1-disk0"), PARENT.child("web2-disk0")
CHANGE = ExtentChange("web1-disk0", "web2-disk0", OLD, NEW)
STAYS = ExtentChange("web1-disk0", "web2-disk0", OLD, OLD)


def volume(path: DatasetPath, guest: UUID = WEB1) -> Volume:
    return Volume(path, Size.parse("1G"), marks=mark(path, "disk", {"uuid": str(guest), "op": "aa01"}))


@pytest.fixture
def nas() -> FakeNas:
    nas = FakeNas()
    nas.create_volume(volume(OLD))
    nas.create_extent(Extent("web1-disk0", OLD, Serial.parse("S1")))
    return nas


def moved(nas: FakeNas) -> Moved:
    return Moved(nas, OLD, NEW, WEB1, (CHANGE,))


def offered(nas: FakeNas) -> dict[str, DatasetPath]:
    return {extent.name: extent.volume for extent in (*nas.extents_of(OLD), *nas.extents_of(NEW))}


def test_a_move_takes_the_extent_along_and_back(nas: FakeNas) -> None:
    before = nas.state()
    step = moved(nas)
    assert not step.holds()
    step.make()
    step.make()
    assert step.holds()
    assert offered(nas) == {"web2-disk0": NEW}
    step.undo()
    step.undo()
    assert nas.state() == before


def test_a_move_cut_short_before_the_extent_goes_on_or_back(nas: FakeNas) -> None:
    before = nas.state()
    nas.rename_dataset(OLD, NEW)
    assert not moved(nas).holds()
    moved(nas).undo()
    assert nas.state() == before
    nas.rename_dataset(OLD, NEW)
    moved(nas).make()
    assert moved(nas).holds()


def test_what_stands_at_the_new_path_is_never_taken_for_the_guests(nas: FakeNas) -> None:
    nas.create_volume(volume(NEW, OTHER))
    with pytest.raises(ConflictError, match="is there already"):
        moved(nas).holds()
    with pytest.raises(ConflictError, match="not this guest's"):
        moved(nas).make()
    assert offered(nas) == {"web1-disk0": OLD}


def test_what_took_the_old_path_meanwhile_is_left_alone(nas: FakeNas) -> None:
    moved(nas).make()
    nas.create_volume(volume(OLD, OTHER))
    with pytest.raises(ConflictError, match="web1-disk0: is there already"):
        moved(nas).undo()
    assert offered(nas) == {"web2-disk0": NEW}


def test_an_extent_that_offers_something_else_by_now_is_left_alone(nas: FakeNas) -> None:
    elsewhere = PARENT.child("theirs")
    nas.create_volume(volume(elsewhere, OTHER))
    nas.change_extent("web1-disk0", volume=elsewhere)
    with pytest.raises(ConflictError, match="offers another volume"):
        moved(nas).make()


def test_an_extent_can_have_another_name_where_its_volume_stays(nas: FakeNas) -> None:
    step = ExtentsNamed(nas, (STAYS,))
    assert not step.holds()
    step.make()
    assert step.holds()
    assert offered(nas) == {"web2-disk0": OLD}
    step.undo()
    assert offered(nas) == {"web1-disk0": OLD}


def test_marks_follow_and_come_back(nas: FakeNas) -> None:
    nas.rename_dataset(OLD, NEW)
    before = nas.state()
    step = MarksFollowed(nas, OLD, NEW)
    assert not step.holds()
    step.make()
    assert step.holds()
    found = nas.find_volume(NEW)
    assert found
    assert (read_mark(NEW, "disk", found.marks) or {})["uuid"] == str(WEB1)
    step.undo()
    assert nas.state() == before


def test_a_target_of_both_names_is_a_conflict(nas: FakeNas) -> None:
    old, new = BASENAME.child("web1-disk0"), BASENAME.child("web2-disk0")
    step = TargetNamed(nas, old, new)
    nas.create_target(Target(old, 1))
    assert not step.holds()
    nas.create_target(Target(new, 1))
    with pytest.raises(AlreadyExistsError):
        step.holds()
    step.undo()
    assert nas.find_target(old)
    assert nas.find_target(new)


@pytest.mark.parametrize("peer", [False, True])
def test_an_account_has_another_user_and_the_same_secrets(nas: FakeNas, *, peer: bool) -> None:
    secrets = {"peer_user": "web1-nas", "peer_secret": Secret("twelve-chars-2")} if peer else {}
    nas.create_credential(Credential(7, "web1", Secret("twelve-chars-1"), **secrets))  # type: ignore[arg-type]
    step = CredentialNamed(nas, 7, "web1", "web2", peer)
    assert not step.holds()
    step.make()
    assert step.holds()
    (account,) = nas.find_credentials(tag=7)
    assert (account.user, account.peer_user) == ("web2", "web2-nas" if peer else "")
    assert account.secret.reveal() == "twelve-chars-1"
    step.undo()
    assert [account.user for account in nas.find_credentials(tag=7)] == ["web1"]
