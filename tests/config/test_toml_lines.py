"""On which line a key stands."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.config.toml_lines import find_lines, line_of

TEXT = """\
# a comment
top = 1

[nas.nas1]
url = "https://nas1"   # [not.a.table]
 "user" = "x"
hosts = [
  "a=b",
]
[ datastores . "odd name" ] # a table
spec.deep = 1
inline = { a = 1, b = 2 }
"""


def test_finds_tables_and_keys() -> None:
    assert find_lines(TEXT) == {
        ("top",): 2,
        ("nas",): 4,
        ("nas", "nas1"): 4,
        ("nas", "nas1", "url"): 5,
        ("nas", "nas1", "user"): 6,
        ("nas", "nas1", "hosts"): 7,
        ("datastores",): 10,
        ("datastores", "odd name"): 10,
        ("datastores", "odd name", "spec"): 11,
        ("datastores", "odd name", "spec", "deep"): 11,
        ("datastores", "odd name", "inline"): 12,
    }


def test_a_key_in_an_inline_table_is_where_that_begins() -> None:
    assert line_of(find_lines(TEXT), ("datastores", "odd name", "inline", "b")) == 12


def test_a_missing_key_is_where_its_table_begins() -> None:
    assert line_of(find_lines(TEXT), ("nas", "nas1", "password")) == 4


def test_there_is_no_line_for_what_the_text_does_not_have() -> None:
    assert line_of(find_lines(TEXT), ("hosts",)) is None


@given(st.text())
def test_reads_any_text_without_failing(text: str) -> None:
    find_lines(text)
