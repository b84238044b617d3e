"""Intents survive the trip through ZFS user properties."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.names import DatasetPath
from pyvmiscsi.plan.intent import LONGEST_MARK, Intent, intent_marks, mark, read_intents, read_mark

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
