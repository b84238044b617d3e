"""Journals that end with another owner's mark on the anchor."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pyvmiscsi.errors import BusyError, NasUnansweredError
from pyvmiscsi.names import DatasetPath
from pyvmiscsi.plan.handover import HandoverJournal, MoveJournal
from pyvmiscsi.plan.intent import Intent, intent_marks, mark, read_intents, read_mark
from pyvmiscsi.plan.journal import DatasetAnchor
from tests.fakes.nas import FakeNas, lose_answer

OLD, NEW = DatasetPath.parse("tank/vm/web1"), DatasetPath.parse("tank/vm/web2")
WEB1, WEB2 = {"guest": "web1"}, {"guest": "web2"}
INTENT = Intent("aa01", "rename", "web1", {"to": "web2"}, "root@control", "2026-11-22T10:00:00Z")
OTHER = Intent("bb01", "resize", "web1", {}, "root@elsewhere", "2026-11-22T09:59:00Z")


@pytest.fixture
def nas() -> FakeNas:
    nas = FakeNas()
    nas.create_dataset(OLD, mark(OLD, "guest", WEB1))
    return nas


def move_of(nas: FakeNas) -> MoveJournal:
    return MoveJournal(
        old=DatasetAnchor(nas, OLD),
        new=DatasetAnchor(nas, NEW),
        before=mark(OLD, "guest", WEB1),
        meanwhile=mark(OLD, "guest", WEB1, moving_to=NEW),
        after=mark(NEW, "guest", WEB2),
    )


def handover_of(nas: FakeNas) -> HandoverJournal:
    return HandoverJournal(DatasetAnchor(nas, OLD), mark(OLD, "guest", WEB2))


Kind = Callable[[FakeNas], MoveJournal | HandoverJournal]


def marks_at(nas: FakeNas, path: DatasetPath) -> dict[str, str]:
    found = nas.find_dataset(path)
    assert found is not None
    return dict(found.marks)


def test_owner_and_intent_are_read_before_the_move_and_after_it(nas: FakeNas) -> None:
    journal = move_of(nas)
    journal.open(INTENT)
    for path in (OLD, NEW):
        if path == NEW:
            nas.rename_dataset(OLD, NEW)
        assert read_mark(path, "guest", marks_at(nas, path)) == WEB1
        assert journal.pending() == (INTENT,)
    journal.close(INTENT)
    assert marks_at(nas, NEW) == mark(NEW, "guest", WEB2)


@pytest.mark.parametrize("moved", [False, True])
def test_what_is_taken_back_is_what_it_was(nas: FakeNas, *, moved: bool) -> None:
    before = nas.state()
    journal = move_of(nas)
    journal.open(INTENT)
    if moved:
        nas.rename_dataset(OLD, NEW)
        nas.rename_dataset(NEW, OLD)
    journal.withdraw(INTENT)
    assert nas.state() == before


def test_the_old_path_may_be_anothers_by_then(nas: FakeNas) -> None:
    journal = move_of(nas)
    journal.open(INTENT)
    nas.rename_dataset(OLD, NEW)
    nas.create_dataset(OLD, mark(OLD, "guest", {"guest": "another"}))
    assert not journal.has_ended(INTENT)
    journal.close(INTENT)
    assert marks_at(nas, OLD) == mark(OLD, "guest", {"guest": "another"})
    assert read_mark(NEW, "guest", marks_at(nas, NEW)) == WEB2


@pytest.mark.parametrize("kind", [move_of, handover_of])
def test_another_operation_stands_in_its_way_and_nothing_stays(nas: FakeNas, kind: Kind) -> None:
    nas.change_marks(OLD, intent_marks(OLD, OTHER))
    before = nas.state()
    with pytest.raises(BusyError, match="resize"):
        kind(nas).open(INTENT)
    assert nas.state() == before


@pytest.mark.parametrize("kind", [move_of, handover_of])
def test_who_closes_late_writes_over_nothing_that_came_after(nas: FakeNas, kind: Kind) -> None:
    journal = kind(nas)
    journal.open(INTENT)
    journal.close(INTENT)
    nas.change_marks(OLD, mark(OLD, "guest", {"guest": "since then"}))
    kind(nas).close(INTENT)
    assert read_mark(OLD, "guest", marks_at(nas, OLD)) == {"guest": "since then"}


@pytest.mark.parametrize("kind", [move_of, handover_of])
def test_an_answer_lost_on_opening_is_looked_for(nas: FakeNas, kind: Kind) -> None:
    nas.watch = lose_answer("change_marks")
    kind(nas).open(INTENT)
    assert read_intents(OLD, marks_at(nas, OLD)) == (INTENT,)


def test_one_that_never_arrived_is_said_to_be_lost(nas: FakeNas) -> None:
    def lose(call: object) -> None:
        if getattr(call, "method", "") == "change_marks":
            raise NasUnansweredError("the connection was lost")

    nas.watch = lose
    with pytest.raises(NasUnansweredError):
        move_of(nas).open(INTENT)
