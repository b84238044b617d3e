"""The point of no return, as a step: there once it was written down, or once nothing is left to write it on."""

from __future__ import annotations

from pyvmiscsi.steps.announced import Announced
from tests.fakes.nas import PARENT, FakeNas

ANCHOR = PARENT.child("web1")


def test_it_is_announced_for_one_operation_alone() -> None:
    nas = FakeNas()
    nas.create_dataset(ANCHOR, {})
    step = Announced(nas, ANCHOR, "end of web1", "aa01")
    assert not step.holds()
    step.make()
    assert step.holds()
    assert not Announced(nas, ANCHOR, "end of web1", "bb02").holds()


def test_an_end_that_has_come_was_announced() -> None:
    assert Announced(FakeNas(), ANCHOR, "end of web1", "aa01", ends=True).holds()
    assert not Announced(FakeNas(), ANCHOR, "rollback of web1", "aa01").holds()
