from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.lab.appliance import queries
from pyvmiscsi.lab.appliance.errors import CallError, ValidationErrors

ROWS: list[dict[str, Any]] = [
    {"id": 1, "name": "web1", "size": {"parsed": 10}, "groups": [{"portal": 1}, {"portal": 2}], "alias": None},
    {"id": 2, "name": "Web2", "size": {"parsed": 30}, "groups": [], "alias": "two"},
    {"id": 3, "name": "db1", "size": {"parsed": 20}, "groups": [{"portal": 2}], "alias": "three"},
]
PLAIN: dict[str, Any] = {
    "order_by": [],
    "select": [],
    "count": False,
    "get": False,
    "offset": 0,
    "limit": 0,
    "extra": {},
}


def ids(filters: list[Any], **options: Any) -> list[int]:
    return [row["id"] for row in queries.run(ROWS, filters, {**PLAIN, **options})]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ([], [1, 2, 3]),
        ([["name", "=", "web1"]], [1]),
        ([["name", "!=", "web1"]], [2, 3]),
        ([["id", ">", 1], ["id", "<=", 2]], [2]),
        ([["name", "~", "^w.*1"]], [1]),
        ([["name", "in", ["db1", "web1"]]], [1, 3]),
        ([["name", "nin", ["db1", "web1"]]], [2]),
        ([["name", "^", "web"]], [1]),
        ([["name", "C^", "web"]], [1, 2]),
        ([["name", "!^", "web"]], [2, 3]),
        ([["name", "$", "1"]], [1, 3]),
        ([["alias", "rin", "e"]], [3]),
        ([["size.parsed", ">=", 20]], [2, 3]),
        ([["groups.*.portal", "=", 2]], [1, 3]),
        ([["groups.0.portal", "=", 2]], [3]),
        ([["OR", [["id", "=", 1], ["id", "=", 3]]]], [1, 3]),
        ([["OR", [[["id", "=", 1], ["name", "=", "db1"]], ["id", "=", 2]]]], [2]),
        ([["no.such.field", "=", 1]], []),
        ([["alias", ">", 1]], []),
    ],
)
def test_filters_find(filters: list[Any], found: list[int]) -> None:
    assert ids(filters) == found


def test_orders_by_several_keys_and_nulls_where_asked() -> None:
    assert ids([], order_by=["-size.parsed"]) == [2, 3, 1]
    assert ids([], order_by=["alias"]) == [1, 3, 2]
    assert ids([], order_by=["nulls_last:alias"]) == [3, 2, 1]


def test_pages_with_offset_and_limit() -> None:
    assert ids([], offset=1, limit=1) == [2]
    assert ids([], limit=0) == [1, 2, 3]


def test_get_gives_one_row_and_says_when_there_is_none() -> None:
    assert queries.run(ROWS, [["id", "=", 2]], {**PLAIN, "get": True})["name"] == "Web2"
    with pytest.raises(queries.MatchNotFoundError):
        queries.run(ROWS, [["id", "=", 9]], {**PLAIN, "get": True})


def test_get_goes_with_no_paging() -> None:
    with pytest.raises(ValidationErrors):
        queries.run(ROWS, [], {**PLAIN, "get": True, "offset": 1})


def test_count_counts_what_the_filters_find() -> None:
    assert queries.run(ROWS, [["id", ">", 1]], {**PLAIN, "count": True}) == 2


def test_select_keeps_nesting_and_renames() -> None:
    (row,) = queries.run(ROWS, [["id", "=", 1]], {**PLAIN, "select": ["id", "size.parsed", ["size.parsed", "bytes"]]})
    assert row == {"id": 1, "size": {"parsed": 10}, "bytes": 10}


def test_select_of_an_unknown_field_leaves_it_out() -> None:
    assert queries.run(ROWS, [["id", "=", 1]], {**PLAIN, "select": ["id", "nothing"]}) == [{"id": 1}]


def test_refuses_a_limit_above_the_highest() -> None:
    with pytest.raises(ValidationErrors, match="between 1 and 10000"):
        queries.run(ROWS, [], {**PLAIN, "limit": 10001}, highest=10000)


@pytest.mark.parametrize("filters", [["name"], [["name", "like", "x"]], [["name", "="]], [[1, "=", 2]]])
def test_refuses_what_is_no_filter(filters: list[Any]) -> None:
    with pytest.raises(CallError):
        ids(filters)


def test_refuses_filters_nested_too_deep() -> None:
    nested: list[Any] = ["id", "=", 1]
    for _ in range(6):
        nested = ["OR", [nested]]
    with pytest.raises(CallError, match="recursion"):
        ids([nested])


def test_a_dot_in_a_name_is_escaped() -> None:
    assert queries.steps_of(r"user_properties.org\.pyvmiscsi:op.value") == [
        "user_properties",
        "org.pyvmiscsi:op",
        "value",
    ]


@given(st.lists(st.integers()), st.integers(0, 5), st.integers(0, 5))
def test_pages_are_slices_of_the_whole(numbers: list[int], offset: int, limit: int) -> None:
    rows = [{"n": number} for number in numbers]
    whole = queries.run(rows, [], {**PLAIN, "order_by": ["n"]})
    page = queries.run(rows, [], {**PLAIN, "order_by": ["n"], "offset": offset, "limit": limit})
    assert page == (whole[offset : offset + limit] if limit else whole[offset:])


@given(st.lists(st.integers(0, 9)), st.integers(0, 9))
def test_equal_and_unequal_share_out_all_rows(numbers: list[int], wanted: int) -> None:
    rows = [{"n": number} for number in numbers]
    equal = queries.run(rows, [["n", "=", wanted]], PLAIN)
    unequal = queries.run(rows, [["n", "!=", wanted]], PLAIN)
    assert len(equal) + len(unequal) == len(rows)
