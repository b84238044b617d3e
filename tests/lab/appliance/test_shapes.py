from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.lab.appliance.errors import ValidationErrors
from pyvmiscsi.lab.appliance.shapes import (
    Boolean,
    Choice,
    Integer,
    ListOf,
    Nullable,
    Parameter,
    Record,
    Shape,
    Tagged,
    Text,
    Union,
    optional,
    read_parameters,
    required,
)

DISK = Record({"name": required(Text(1, 8)), "size": required(Integer(1, 100)), "thin": optional(Boolean(), True)})


def read(shape: Shape, value: Any, *, strict: bool = True) -> Any:
    return read_parameters((Parameter("data", shape),), [value], strict=strict)[0]


def complaints(shape: Shape, value: Any, *, strict: bool = True) -> list[tuple[str | None, str]]:
    with pytest.raises(ValidationErrors) as raised:
        read(shape, value, strict=strict)
    return [(one.attribute, one.text) for one in raised.value.complaints]


def test_fills_in_defaults() -> None:
    assert read(DISK, {"name": "d1", "size": 5}) == {"name": "d1", "size": 5, "thin": True}


@pytest.mark.parametrize(
    ("shape", "value", "text"),
    [
        (Integer(), "5", "Input should be a valid integer"),
        (Integer(), True, "Input should be a valid integer"),
        (Integer(), 1.0, "Input should be a valid integer"),
        (Integer(1), 0, "Input should be greater than or equal to 1"),
        (Integer(1, 9), 10, "Input should be less than or equal to 9"),
        (Text(), 5, "Input should be a valid string"),
        (Text(), None, "Input should be a valid string"),
        (Text(), "x" * 1025, "String should have at most 1024 characters"),
        (Text(1), "", "String should have at least 1 character"),
        (Text(pattern=".*:.*"), "plain", "String should match pattern '.*:.*'"),
        (Boolean(), 1, "Input should be a valid boolean"),
        (Choice(("A", "B", "C")), "D", "Input should be 'A', 'B' or 'C'"),
        (Choice((512, 4096)), "512", "Input should be 512 or 4096"),
        (ListOf(Integer()), {}, "Input should be a valid list"),
        (DISK, [], "Input should be a valid dictionary"),
    ],
)
def test_strict_models_refuse(shape: Shape, value: Any, text: str) -> None:
    assert complaints(shape, value) == [("data", text)]


def test_strict_models_name_every_mistake_by_its_path() -> None:
    assert complaints(ListOf(DISK), [{"name": "d1", "size": 1}, {"size": "1", "extra": 1}]) == [
        ("data.1.name", "Field required"),
        ("data.1.size", "Input should be a valid integer"),
        ("data.1.extra", "Extra inputs are not permitted"),
    ]


def test_old_schemas_cast_numbers_written_as_text() -> None:
    assert read(DISK, {"name": 5, "size": "7"}, strict=False) == {"name": "5", "size": 7, "thin": True}
    assert read(Choice((512, 4096)), "512", strict=False) == 512


def test_old_schemas_refuse_unknown_keys_too() -> None:
    assert complaints(DISK, {"name": "d1", "size": 1, "extra": 1}, strict=False) == [
        ("data.extra", "Field was not expected")
    ]


def test_null_only_where_it_may_be() -> None:
    assert read(Nullable(Integer()), None) is None
    assert complaints(Integer(), None) == [("data", "Input should be a valid integer")]


def test_a_union_complains_of_every_model() -> None:
    other = Record({"path": required(Text())})
    found = complaints(Union((("Disk", DISK), ("File", other))), {"name": "d1"})
    assert [path for path, _ in found] == ["data.Disk.size", "data.File.path", "data.File.name"]


def test_a_tagged_model_complains_of_its_own_only() -> None:
    shape = Tagged("type", {"DISK": DISK.adding(type=required(Text())), "FILE": Record({})}, "FILE")
    assert complaints(shape, {"type": "DISK", "name": "d1"}) == [("data.DISK.size", "Field required")]
    assert complaints(shape, {"type": "TAPE"})[0][0] == "data"


def test_an_update_takes_any_part_and_adds_nothing() -> None:
    assert read(DISK.partial(), {"size": 9}) == {"size": 9}
    assert read(DISK.partial(), {}) == {}


def test_too_many_and_too_few_arguments() -> None:
    parameters = (Parameter("id", Integer()), Parameter("force", Boolean(), False))
    assert read_parameters(parameters, [3], strict=True) == [3, False]
    for values in ([], [3, True, True]):
        with pytest.raises(ValidationErrors):
            read_parameters(parameters, values, strict=True)


def test_defaults_are_not_shared_between_requests() -> None:
    shape = Record({"tags": optional(ListOf(Text()), [])})
    first = read(shape, {})
    first["tags"].append("x")
    assert read(shape, {}) == {"tags": []}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_anything_is_either_read_or_refused(value: Any) -> None:
    try:
        answer = read(DISK, value)
    except ValidationErrors as refusal:
        assert refusal.complaints
    else:
        assert set(answer) == {"name", "size", "thin"}
