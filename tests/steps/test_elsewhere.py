"""What a guest's anchor tells of disks in other datastores."""

from __future__ import annotations

from uuid import UUID

import pytest

from pyvmiscsi.errors import NotFoundError
from pyvmiscsi.names import DiskName, GuestName
from pyvmiscsi.operations.guests import GuestMark
from pyvmiscsi.steps.elsewhere import DiskTold, DiskUntold
from tests.fakes.nas import PARENT, FakeNas

ANCHOR = PARENT.child("web1")
BARE = GuestMark(GuestName.parse("web1"), UUID("0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"), "iscsi1")


@pytest.fixture
def nas() -> FakeNas:
    nas = FakeNas()
    nas.create_dataset(ANCHOR, BARE.as_marks(ANCHOR))
    return nas


def told(nas: FakeNas) -> dict[str, str]:
    dataset = nas.find_dataset(ANCHOR)
    assert dataset is not None
    mark = GuestMark.in_marks(ANCHOR, dataset.marks)
    assert mark is not None
    return {str(disk): name for disk, name in mark.elsewhere.items()}


def test_it_tells_of_each_disk_and_forgets_each_alone(nas: FakeNas) -> None:
    for number in (1, 2):
        step = DiskTold(nas, ANCHOR, DiskName(number), "iscsi2")
        assert not step.holds()
        step.make()
        assert step.holds()
    assert told(nas) == {"disk1": "iscsi2", "disk2": "iscsi2"}
    gone = DiskUntold(nas, ANCHOR, DiskName(1))
    gone.make()
    assert gone.holds()
    assert told(nas) == {"disk2": "iscsi2"}


def test_taken_back_it_leaves_the_mark_as_it_was(nas: FakeNas) -> None:
    before = nas.state()
    step = DiskTold(nas, ANCHOR, DiskName(1), "iscsi2")
    step.make()
    step.undo()
    assert nas.state() == before


def test_a_mark_that_grew_beyond_one_property_shrinks_again_without_a_rest(nas: FakeNas) -> None:
    before = nas.state()
    steps = [DiskTold(nas, ANCHOR, DiskName(number), "a-datastore-with-a-long-name") for number in range(1, 60)]
    for step in steps:
        step.make()
    assert len(told(nas)) == len(steps)
    for step in steps:
        step.undo()
    assert nas.state() == before


def test_it_tells_nothing_on_what_is_no_guests(nas: FakeNas) -> None:
    nas.create_dataset(PARENT.child("other"), {})
    with pytest.raises(NotFoundError):
        DiskTold(nas, PARENT.child("other"), DiskName(1), "iscsi2").make()
