from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.judge.repairs import repaired, required_also, without_required


def passes(schema: Any, value: Any) -> bool:
    Draft202012Validator.check_schema(schema)
    return bool(Draft202012Validator(schema).is_valid(value))


def test_makes_a_reference_without_its_slash_resolve() -> None:
    assert repaired({"$ref": "#components/schemas/row"}) == {"$ref": "#/$defs/row"}
    assert repaired({"$ref": "#/components/schemas/row"}) == {"$ref": "#/$defs/row"}


def test_takes_required_from_the_properties_to_their_object() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer", "_required_": True}, "b": {"_required_": False}},
    }
    assert not passes(repaired(schema), {"b": 1})
    assert passes(repaired(schema), {"a": 1})


def test_keeps_a_property_that_is_called_like_a_keyword() -> None:
    schema = {"type": "object", "properties": {"title": {"type": "string"}, "default": {"type": "string"}}}
    assert not passes(repaired(schema), {"title": 1})
    assert not passes(repaired(schema), {"default": 1})


@pytest.mark.parametrize(
    ("items", "good", "bad"),
    [
        ([], [1, "x"], None),
        ([{"type": "integer"}], [1, 2], [1, "x"]),
        ([{"type": "integer"}, {"type": "null"}], [1, None], ["x"]),
    ],
)
def test_takes_a_list_of_item_schemas_for_alternatives(items: Any, good: Any, bad: Any) -> None:
    schema = repaired({"type": "array", "items": items})
    assert passes(schema, good)
    assert bad is None or not passes(schema, bad)


def test_takes_nullable_for_or_null() -> None:
    assert passes(repaired({"type": "string", "nullable": True}), None)
    assert not passes(repaired({"type": "string", "nullable": False}), None)


def test_lets_inherit_stand_beside_an_enum() -> None:
    schema = repaired({"enum": ["ON", "OFF"], "anyOf": [{"type": "string"}, {"type": "string", "enum": ["INHERIT"]}]})
    assert passes(schema, "ON")
    assert passes(schema, "INHERIT")
    assert not passes(schema, "MAYBE")


def test_requires_only_properties_that_the_schema_has() -> None:
    assert required_also({"properties": {"a": {}}}, ["a", "b"])["required"] == ["a"]


def test_lets_a_selected_row_lack_what_it_would_need() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    assert passes(without_required(schema), {})
    assert not passes(without_required(schema), {"a": "x"})
