"""Intents survive the trip through ZFS user properties."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.names import DatasetPath
from pyvmiscsi.plan.intent import (
    LONGEST_MARK,
    Intent,
    intent_marks,
    mark,
    marks_moved,
    read_intents,
    read_mark,
    read_snapshot_mark,
)

PATH = DatasetPath.parse("tank/vm/web1")

words = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=60)
intents = st.builds(
    Intent,
    id=st.text("0123456789abcdef", min_size=1, max_size=12),
    verb=words,
    subject=words,
    request=st.dictionaries(
        words, st.one_of(words, st.integers(), st.booleans(), st.lists(words, max_size=40)), max_size=9
    ),
    by=words,
    since=words,
    found=st.lists(words, max_size=30).map(tuple),
)


@given(intents)
def test_an_intent_read_back_is_the_intent_written(intent: Intent) -> None:
    assert read_intents(PATH, intent_marks(PATH, intent)) == (intent,)


@given(intents)
def test_no_mark_is_longer_than_the_nas_takes(intent: Intent) -> None:
    assert all(len(value) <= LONGEST_MARK for value in intent_marks(PATH, intent).values())


@given(intents)
def test_a_mark_that_was_inherited_is_not_the_childs(intent: Intent) -> None:
    child = PATH.child("disk0")
    assert read_intents(child, intent_marks(PATH, intent)) == ()


def test_a_text_too_long_for_one_mark_is_cut_and_a_lost_part_makes_it_unreadable() -> None:
    marks = mark(PATH, "guest", {"text": "x" * 3000})
    assert sorted(marks) == ["org.pyvmiscsi:guest", *(f"org.pyvmiscsi:guest.{part}" for part in (2, 3))]
    assert read_mark(PATH, "guest", marks) == {"text": "x" * 3000}
    del marks["org.pyvmiscsi:guest.3"]
    assert read_mark(PATH, "guest", marks) is None


def test_two_intents_on_one_object_come_the_oldest_first() -> None:
    young = Intent("aa", "destroy", "web1", {}, "b@c", "2026-11-22T11:00:00Z")
    old = Intent("bb", "create", "web1", {}, "b@c", "2026-11-22T10:00:00Z")
    marks = {**intent_marks(PATH, young), **intent_marks(PATH, old)}
    assert read_intents(PATH, marks) == (old, young)


def test_a_foreign_property_is_not_taken_for_a_mark() -> None:
    assert read_intents(PATH, {"org.pyvmiscsi:op.12ab": "tank/vm/web1 1/1 {broken", "other:x": "y"}) == ()


@given(intents)
def test_the_intent_of_a_move_is_read_at_either_path_and_at_no_other(intent: Intent) -> None:
    new = DatasetPath.parse("tank/vm/web2")
    marks = intent_marks(PATH, intent, moving_to=new)
    assert read_intents(PATH, marks) == read_intents(new, marks) == (intent,)
    assert read_intents(DatasetPath.parse("tank/vm"), marks) == ()
    assert all(len(value) <= LONGEST_MARK for value in marks.values())


@given(st.text(max_size=2500))
def test_marks_that_follow_a_move_say_the_same_at_the_new_path_alone(text: str) -> None:
    new = DatasetPath.parse("tank/vm/web2-with-a-longer-name")
    marks = {**mark(PATH, "filled", {"text": text}), **mark(PATH.child("disk0"), "disk", {}), "other:x": "y"}
    changed = {key: value for key, value in {**marks, **marks_moved(PATH, new, marks)}.items() if value is not None}
    assert read_mark(new, "filled", changed) == {"text": text}
    assert read_mark(PATH, "filled", changed) is None
    assert marks_moved(PATH, new, changed) == {}
    assert {**changed, **marks_moved(new, PATH, changed)}.items() >= marks.items()


def test_a_snapshots_mark_is_read_whatever_its_dataset_is_called_by_now() -> None:
    assert read_snapshot_mark("clone", mark(PATH, "clone", {"uuid": "1"})) == {"uuid": "1"}
    assert read_snapshot_mark("clone", {"org.pyvmiscsi:clone": "by hand"}) is None
    assert read_snapshot_mark("clone", {}) is None
