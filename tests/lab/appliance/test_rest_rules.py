"""Paths, bodies and query strings as calls: pure."""

from __future__ import annotations

from typing import Any

import pytest

from pyvmiscsi.lab.appliance import queries
from pyvmiscsi.lab.appliance.methods import Method
from pyvmiscsi.lab.appliance.rest_rules import (
    NO_BODY,
    BadRequestError,
    NoSuchPathError,
    Routes,
    WrongVerbError,
    arguments,
    filters_and_options,
)
from pyvmiscsi.lab.appliance.shapes import Boolean, Integer, Parameter, Text

NUMBER = Parameter("id", Integer())


def method(name: str, *parameters: Parameter, item: bool = False) -> Method:
    return Method(name, parameters, print, item=item)


ROUTES = Routes(
    [
        Method("a.b.query", queries.PARAMETERS, print),
        method("a.b.create", Parameter("data", Text())),
        method("a.b.update", NUMBER, Parameter("data", Text()), item=True),
        method("a.b.delete", NUMBER, Parameter("force", Boolean(), False), item=True),
        method("a.b.promote", NUMBER, item=True),
        method("a.b.choices"),
        method("a.b.check", Parameter("name", Text())),
        method("a.c.config"),
        method("a.c.update", Parameter("data", Text())),
        method("core.bulk"),
    ]
)


@pytest.mark.parametrize(
    ("verb", "path", "name", "number"),
    [
        ("GET", "/a/b", "a.b.query", None),
        ("POST", "/a/b", "a.b.create", None),
        ("GET", "/a/b/id/7", "a.b.query", 7),
        ("PUT", "/a/b/id/7", "a.b.update", 7),
        ("DELETE", "/a/b/id/tank%2Fvm", "a.b.delete", "tank/vm"),
        ("POST", "/a/b/id/7/promote", "a.b.promote", 7),
        ("GET", "/a/b/choices", "a.b.choices", None),
        ("POST", "/a/b/check", "a.b.check", None),
        ("GET", "/a/c", "a.c.config", None),
        ("PUT", "/a/c", "a.c.update", None),
    ],
)
def test_every_method_has_its_path(verb: str, path: str, name: str, number: object) -> None:
    route = ROUTES.find(verb, path)
    assert route.method.name == name
    assert number is None or route.number == number


@pytest.mark.parametrize("path", ["/a", "/a/d", "/a/b/id", "/a/b/id/7/none", "/a/b/id/7/promote/x", "/core/bulk"])
def test_other_paths_are_not(path: str) -> None:
    with pytest.raises(NoSuchPathError):
        ROUTES.find("GET", path)


@pytest.mark.parametrize(("verb", "path"), [("DELETE", "/a/b"), ("POST", "/a/b/choices"), ("GET", "/a/b/check")])
def test_the_verb_must_fit(verb: str, path: str) -> None:
    with pytest.raises(WrongVerbError):
        ROUTES.find(verb, path)


BOTH = method("x", NUMBER, Parameter("remove", Boolean(), False), Parameter("force", Boolean(), False))
ONE = method("x", NUMBER, Parameter("force", Boolean(), False))


@pytest.mark.parametrize(
    ("called", "body", "values"),
    [
        (ONE, NO_BODY, [7]),
        (ONE, True, [7, True]),
        (ONE, {"force": True}, [7, {"force": True}]),
        (BOTH, {"remove": False, "force": True}, [7, False, True]),
        (BOTH, {"force": True}, [7, True]),  # the shift: it arrives as `remove`
        (BOTH, {}, [7]),
    ],
)
def test_bodies_become_arguments(called: Method, body: Any, values: list[Any]) -> None:
    assert arguments(called, 7, body) == values


def test_bodies_of_several_parameters_are_objects_with_known_keys() -> None:
    for body in (True, {"other": 1}):
        with pytest.raises(BadRequestError):
            arguments(BOTH, 7, body)


@pytest.mark.parametrize(
    ("pairs", "filters", "options"),
    [
        ([("name", "web1")], [["name", "=", "web1"]], {}),
        ([("id__gte", "5"), ("name__regex", "^w")], [["id", ">=", 5], ["name", "~", "^w"]], {}),
        ([("id__in", "5")], [["id", "in", 5]], {}),
        ([("a__b", "x")], [["a__b", "=", "x"]], {}),
        ([("ro", "true"), ("alias", "null")], [["ro", "=", True], ["alias", "=", None]], {}),
        ([("limit", "5"), ("offset", "2")], [], {"limit": 5, "offset": 2}),
        ([("sort", "-name,id"), ("count", "true")], [], {"order_by": ["-name", "id"], "count": True}),
        ([("extra.flat", "false")], [], {"extra": {"flat": False}}),
        ([("groups.0.portal", "1")], [["groups.0.portal", "=", 1]], {}),
    ],
)
def test_query_strings_become_filters_and_options(
    pairs: list[tuple[str, str]], filters: list[Any], options: dict[str, Any]
) -> None:
    assert filters_and_options(pairs) == (filters, options)


def test_a_limit_that_is_no_number_is_refused() -> None:
    with pytest.raises(BadRequestError):
        filters_and_options([("limit", "many")])
