"""A nas that remembers: it keeps every law, asks once, and never trusts an answer that a write made old."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from pyvmiscsi.errors import AlreadyExistsError, NasUnansweredError
from pyvmiscsi.model import Mapping, Target
from pyvmiscsi.names import Lun, SnapshotName
from pyvmiscsi.nas.recall import RecallingNas
from pyvmiscsi.plan.intent import Intent, intent_marks, mark, read_intents
from tests.contracts.nas_clone_contract import NasCloneContract
from tests.contracts.nas_contract import CREDENTIAL, DISK, EXTENT, GUEST, MARK, PARENT, VOLUME, NasContract
from tests.contracts.nas_snapshot_contract import NasSnapshotContract
from tests.fakes.nas import BASENAME, Call, FakeNas, FakeNasBench, lose_answer

TARGET = Target(BASENAME.child("web1-disk0"), portal_group=1)
MONDAY = SnapshotName("monday")
MAPPING = Mapping(TARGET.iqn, EXTENT.name, Lun(1))


class TestRecallingNas(NasContract):
    @pytest.fixture
    def nas(self) -> RecallingNas:
        return RecallingNas(FakeNas())


class TestRecallingNasSnapshots(NasSnapshotContract, NasCloneContract):
    @pytest.fixture
    def nas(self, fake: FakeNas) -> RecallingNas:
        return RecallingNas(fake)

    @pytest.fixture
    def bench(self, fake: FakeNas) -> FakeNasBench:
        return FakeNasBench(fake)


@pytest.fixture
def fake() -> FakeNas:
    return FakeNas()


@pytest.fixture
def nas(fake: FakeNas) -> RecallingNas:
    return RecallingNas(fake)


def test_a_read_is_asked_once(fake: FakeNas, nas: RecallingNas) -> None:
    assert nas.find_target(TARGET.iqn) is None
    assert nas.find_target(TARGET.iqn) is None
    assert nas.basename() == nas.basename()

    assert fake.count(writes=False) == 2


def test_creating_a_disk_is_checked_without_a_read(fake: FakeNas, nas: RecallingNas) -> None:
    nas.create_dataset(GUEST, {MARK: "web1"})
    assert nas.find_volume(DISK) is None
    volume = nas.create_volume(VOLUME)
    assert nas.extents_of(DISK) == ()
    target = nas.create_target(TARGET)
    extent = nas.create_extent(EXTENT)
    assert nas.find_mapping(TARGET.iqn, EXTENT.name) is None
    mapping = nas.create_mapping(MAPPING)

    assert nas.find_volume(DISK) == volume
    assert nas.find_target(TARGET.iqn) == target
    assert nas.find_extent(EXTENT.name) == extent
    assert nas.find_mapping(TARGET.iqn, EXTENT.name) == mapping
    assert fake.count(writes=False) == 0


def test_the_marks_of_a_dataset_are_always_asked_for(fake: FakeNas, nas: RecallingNas) -> None:
    nas.create_dataset(GUEST, {MARK: "web1"})
    fake.change_marks(GUEST, {MARK: "by somebody else"})
    found = nas.find_dataset(GUEST)
    assert found is not None
    assert found.marks[MARK] == "by somebody else"


def test_a_volume_that_carries_an_intent_is_always_asked_for(fake: FakeNas, nas: RecallingNas) -> None:
    intent = Intent("aa01", "create", "web1", {}, "root@control[1]", "2026-11-22T10:00:00Z")
    nas.create_dataset(GUEST, {})
    nas.create_volume(replace(VOLUME, marks=intent_marks(DISK, intent)))
    fake.change_marks(DISK, dict.fromkeys(intent_marks(DISK, intent)))  # somebody else ended it

    found = nas.find_volume(DISK)

    assert found is not None
    assert read_intents(DISK, found.marks) == ()


def test_a_volume_that_is_being_filled_is_always_asked_for(fake: FakeNas, nas: RecallingNas) -> None:
    """Who goes on with it has to know how far another has come, who may be at it, too."""
    filling, reached = (mark(DISK, name, {"run": "9a1b3e77"}) for name in ("filling", "reached"))
    nas.create_dataset(GUEST, {})
    nas.create_volume(replace(VOLUME, marks=filling))
    fake.change_marks(DISK, reached)

    found = nas.find_volume(DISK)

    assert found is not None
    assert found.marks.items() >= reached.items()


def test_a_volume_that_was_found_is_asked_for_anew_once_it_is_offered(fake: FakeNas, nas: RecallingNas) -> None:
    """Somebody else may have filled it while its turn was waited for."""
    fake.create_dataset(GUEST, {})
    fake.create_volume(VOLUME)
    assert nas.find_volume(DISK) is not None
    fake.change_marks(DISK, {MARK: "filled"})
    nas.create_extent(EXTENT)

    found = nas.find_volume(DISK)

    assert found is not None
    assert found.marks[MARK] == "filled"


def test_taking_a_disk_away_is_checked_without_a_read(fake: FakeNas, nas: RecallingNas) -> None:
    fake.create_dataset(GUEST, {})
    fake.create_volume(VOLUME)
    fake.create_target(TARGET)
    fake.create_extent(EXTENT)
    fake.create_mapping(MAPPING)
    fake.calls.clear()
    assert nas.find_mapping(TARGET.iqn, EXTENT.name) == MAPPING

    nas.delete_target(TARGET.iqn)
    nas.delete_extent(EXTENT.name)
    nas.delete_volume(DISK)
    nas.delete_dataset(GUEST)

    assert nas.find_mapping(TARGET.iqn, EXTENT.name) is None
    assert nas.find_target(TARGET.iqn) is None
    assert nas.find_extent(EXTENT.name) is None
    assert nas.find_volume(DISK) is None
    assert fake.count(writes=False) == 1


def test_an_account_joins_those_already_seen(fake: FakeNas, nas: RecallingNas) -> None:
    assert nas.find_credentials(tag=CREDENTIAL.tag) == ()
    nas.create_credential(CREDENTIAL)
    assert nas.find_credentials(tag=CREDENTIAL.tag) == (CREDENTIAL,)
    assert fake.count(writes=False) == 1


def test_an_account_under_a_tag_never_looked_at_is_not_taken_for_the_only_one(fake: FakeNas, nas: RecallingNas) -> None:
    fake.create_credential(CREDENTIAL)
    other = type(CREDENTIAL)(CREDENTIAL.tag, "web2", CREDENTIAL.secret)

    nas.create_credential(other)

    assert nas.find_credentials(tag=CREDENTIAL.tag) == (CREDENTIAL, other)


def test_an_account_that_was_changed_is_asked_for_again(fake: FakeNas, nas: RecallingNas) -> None:
    nas.create_credential(CREDENTIAL)
    assert nas.find_credentials(tag=CREDENTIAL.tag) == (CREDENTIAL,)

    fake.watch = lose_answer("change_credential")
    with pytest.raises(NasUnansweredError):
        nas.change_credential(CREDENTIAL.tag, CREDENTIAL.user, new_user="db1")

    assert [account.user for account in nas.find_credentials(tag=CREDENTIAL.tag)] == ["db1"]


def test_after_an_unanswered_write_the_nas_is_asked_again(fake: FakeNas, nas: RecallingNas) -> None:
    assert nas.find_target(TARGET.iqn) is None
    fake.watch = lose_answer("create_target")

    with pytest.raises(NasUnansweredError):
        nas.create_target(TARGET)

    assert nas.find_target(TARGET.iqn) == TARGET


def test_a_dataset_is_not_taken_for_empty_once_somebody_else_wrote_in_it(fake: FakeNas, nas: RecallingNas) -> None:
    nas.create_dataset(GUEST, {})
    fake.create_volume(VOLUME)

    with pytest.raises(AlreadyExistsError):
        nas.create_volume(VOLUME)

    assert nas.find_volume(DISK) is not None


def test_marks_are_read_back_from_the_nas(fake: FakeNas, nas: RecallingNas) -> None:
    nas.create_dataset(GUEST, {})
    nas.change_marks(GUEST, {"org.pyvmiscsi:op.1": "ours"})
    fake.change_marks(GUEST, {"org.pyvmiscsi:op.2": "another's"})

    found = nas.find_dataset(GUEST)

    assert found is not None
    assert set(found.marks) == {"org.pyvmiscsi:op.1", "org.pyvmiscsi:op.2"}


def test_forget_asks_for_everything_again(fake: FakeNas, nas: RecallingNas) -> None:
    nas.find_target(TARGET.iqn)
    fake.create_target(TARGET)

    nas.forget()

    assert nas.find_target(TARGET.iqn) == TARGET


def test_reads_that_do_not_depend_on_each_other_are_in_flight_together(fake: FakeNas, nas: RecallingNas) -> None:
    all_there = threading.Barrier(3, timeout=60)

    def meet(call: Call) -> None:
        if call.when == "before":
            all_there.wait()

    fake.watch = meet

    assert nas.together(
        lambda: nas.find_target(TARGET.iqn), lambda: nas.find_dataset(GUEST), lambda: nas.find_extent("web1-disk0")
    ) == (None, None, None)


def test_the_first_error_of_reads_together_is_raised(nas: RecallingNas) -> None:
    def fail() -> None:
        raise AlreadyExistsError("one of them")

    with pytest.raises(AlreadyExistsError, match="one of them"):
        nas.together(lambda: nas.find_dataset(PARENT), fail)


def test_an_answer_that_a_write_overtook_is_not_kept(fake: FakeNas, nas: RecallingNas) -> None:
    def overtake(call: Call) -> None:
        if (call.method, call.when) == ("find_target", "after"):
            fake.watch = lambda _: None
            nas.create_target(TARGET)

    fake.watch = overtake

    assert nas.find_target(TARGET.iqn) is None
    assert nas.find_target(TARGET.iqn) == TARGET


def test_a_clone_and_its_snapshot_are_checked_without_a_read(fake: FakeNas, nas: RecallingNas) -> None:
    nas.create_dataset(GUEST, {})
    nas.create_volume(VOLUME)
    snapshot = nas.create_snapshot(DISK, MONDAY)
    clone = nas.clone(DISK, MONDAY, GUEST.child("disk1"), {})

    assert nas.find_snapshot(DISK, MONDAY) == snapshot
    assert nas.find_volume(clone.path) == clone
    assert nas.extents_of(clone.path) == ()
    assert fake.count(writes=False) == 0


def test_snapshots_that_the_appliance_takes_by_itself_are_listed(fake: FakeNas, nas: RecallingNas) -> None:
    fake.create_dataset(GUEST, {})
    assert nas.snapshots(GUEST) == ()

    fake.create_snapshot(GUEST, MONDAY)

    assert [snapshot.name for snapshot in nas.snapshots(GUEST)] == [MONDAY]


def test_what_lay_below_a_renamed_dataset_is_looked_for_where_it_went(nas: RecallingNas) -> None:
    """The guest's dataset was made in this process, empty: what is known of that must not outlive its name."""
    new = PARENT.child("web2")
    nas.create_dataset(GUEST, {})
    nas.create_volume(VOLUME)
    nas.create_snapshot(DISK, MONDAY)
    assert nas.find_volume(new.child("disk0")) is None

    nas.rename_dataset(GUEST, new)

    assert nas.find_volume(DISK) is None
    assert nas.find_volume(new.child("disk0")) is not None
    assert nas.find_snapshot(DISK, MONDAY) is None
    assert nas.find_snapshot(new.child("disk0"), MONDAY) is not None


def test_a_lost_answer_to_a_rename_leaves_nothing_known(fake: FakeNas, nas: RecallingNas) -> None:
    nas.create_target(TARGET)
    nas.create_dataset(GUEST, {})
    nas.create_volume(VOLUME)
    nas.create_extent(EXTENT)
    nas.create_mapping(MAPPING)
    other, renamed = BASENAME.child("web2-disk0"), "web2-disk0"
    assert nas.find_target(other) is None
    assert nas.find_extent(renamed) is None

    fake.watch = lose_answer("rename_target")
    with pytest.raises(NasUnansweredError):
        nas.rename_target(TARGET.iqn, other)
    fake.watch = lose_answer("change_extent")
    with pytest.raises(NasUnansweredError):
        nas.change_extent(EXTENT.name, new_name=renamed)

    assert (nas.find_target(TARGET.iqn), nas.find_extent(EXTENT.name)) == (None, None)
    assert nas.find_target(other) is not None
    assert nas.find_extent(renamed) is not None
    assert nas.find_mapping(other, renamed) == Mapping(other, renamed, Lun(1))
