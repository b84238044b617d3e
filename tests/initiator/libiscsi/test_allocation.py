"""What a LUN tells of its holes, by targets that answer well, in portions, and falsely."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.initiator.libiscsi.allocation import Ask, spans
from pyvmiscsi.initiator.libiscsi.shapes import LbaExtent
from pyvmiscsi.ports import Span


def lun(sectors: list[bool], at_a_time: int) -> Ask:
    """A LUN whose sectors have data or not, which tells of so many extents at a time, each one sector long."""

    def ask(first: int) -> tuple[LbaExtent, ...]:
        told = range(first, min(first + at_a_time, len(sectors)))
        return tuple(LbaExtent(at, 1, 0 if sectors[at] else 1) for at in told)

    return ask


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(1, 7), st.data())
def test_any_part_of_any_lun_is_told_in_order_and_in_as_few_spans_as_can_be(
    sectors: list[bool], at_a_time: int, data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, len(sectors) - 1))
    end = data.draw(st.integers(first + 1, len(sectors)))
    told = list(spans(lun(sectors, at_a_time), first, end, 512))
    assert [span.allocated for span in told for _ in range(span.length // 512)] == sectors[first:end]
    assert [span.offset for span in told] == [first * 512, *(span.offset + span.length for span in told[:-1])]
    assert all(one.allocated != other.allocated for one, other in itertools.pairwise(told))


def test_extents_that_begin_before_and_end_behind_what_was_asked_for_are_cut() -> None:
    assert list(spans(lambda _: (LbaExtent(0, 100, 1),), 10, 20, 4096)) == [Span(40960, 40960, allocated=False)]


@given(st.lists(st.builds(LbaExtent, st.integers(0, 50), st.integers(0, 50), st.integers(0, 3)), max_size=4))
def test_no_answer_however_false_lets_anything_be_missing_or_goes_on_for_ever(answer: list[LbaExtent]) -> None:
    told = list(spans(lambda _: tuple(answer), 5, 45, 512))
    assert sum(span.length for span in told) == 40 * 512
    assert told[0].offset == 5 * 512


def test_what_a_lun_does_not_tell_of_has_data() -> None:
    holes_first = (LbaExtent(0, 8, 1), LbaExtent(16, 8, 1))  # nothing is said of 8 to 15
    assert list(spans(lambda at: holes_first if at == 0 else (), 0, 32, 512)) == [
        Span(0, 8 * 512, allocated=False),
        Span(8 * 512, 24 * 512, allocated=True),
    ]
