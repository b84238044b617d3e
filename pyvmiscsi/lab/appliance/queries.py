"""Query filters and options over rows (nas-wire.md 1.10): pure, one implementation for every `*.query`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pyvmiscsi.lab.appliance.errors import CallError, refuse
from pyvmiscsi.lab.appliance.shapes import Anything, Boolean, Integer, Key, ListOf, OneOf, Parameter, Record, Text

_NOTHING: Any = object()
_DEEPEST = 3

FILTERS = ListOf(Anything())
OPTIONS = Record(
    {
        "extra": Key(Record({}, open=True), {}),
        "order_by": Key(ListOf(Text()), []),
        "select": Key(ListOf(OneOf((Text(), ListOf(Anything())))), []),
        "count": Key(Boolean(), False),
        "get": Key(Boolean(), False),
        "offset": Key(Integer(), 0),
        "limit": Key(Integer(), 0),
        "force_sql_filters": Key(Boolean(), False),
    }
)
PARAMETERS = (Parameter("query-filters", FILTERS, []), Parameter("query-options", OPTIONS, {}))

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda x, y: bool(x == y),
    "!=": lambda x, y: bool(x != y),
    ">": lambda x, y: bool(x > y),
    ">=": lambda x, y: bool(x >= y),
    "<": lambda x, y: bool(x < y),
    "<=": lambda x, y: bool(x <= y),
    "~": lambda x, y: re.match(y, x) is not None,
    "in": lambda x, y: x in y,
    "nin": lambda x, y: x not in y,
    "rin": lambda x, y: x is not None and y in x,
    "rnin": lambda x, y: x is not None and y not in x,
    "^": lambda x, y: x is not None and x.startswith(y),
    "!^": lambda x, y: x is not None and not x.startswith(y),
    "$": lambda x, y: x is not None and x.endswith(y),
    "!$": lambda x, y: x is not None and not x.endswith(y),
}


def run(rows: Iterable[dict[str, Any]], filters: Sequence[Any], options: dict[str, Any], *, highest: int = 0) -> Any:
    """What `x.query(filters, options)` answers: a list, one row (`get`), or a number (`count`).

    `highest` is the largest `limit` the release takes, 0 for no bound.
    """
    limit, offset = options["limit"], options["offset"]
    if highest and limit > highest:
        raise refuse("query-options.limit", f"Options limit must be between 1 and {highest}")
    if options["get"] and (limit > 1 or offset):
        raise refuse("query-options.get", "Invalid options combination. `get` implies a single result.")
    test = compiled(filters)
    found = [row for row in rows if test(row)]
    for key in reversed(options["order_by"]):
        found = _ordered(found, key)
    if options["count"]:
        return len(found)
    if options["select"]:
        found = [_selected(row, options["select"]) for row in found]
    if options["get"]:
        if not found:
            raise MatchNotFoundError
        return found[0]
    return found[offset:][: limit or None]


class MatchNotFoundError(CallError):
    """`get` found nothing: ENOENT, and 404 in REST."""

    def __init__(self) -> None:
        super().__init__("", 2)


def compiled(filters: Sequence[Any], depth: int = 0) -> Callable[[dict[str, Any]], bool]:
    """The filters as one test of a row."""
    if depth > _DEEPEST:
        raise CallError("query-filters max recursion depth exceeded", 22)
    tests = [_compiled_one(one, depth) for one in filters]
    return lambda row: all(test(row) for test in tests)


def _compiled_one(one: Any, depth: int) -> Callable[[dict[str, Any]], bool]:
    if isinstance(one, (list, tuple)) and len(one) == 2 and one[0] == "OR":
        branches = [compiled([b] if _is_triple(b) or b[:1] == ["OR"] else b, depth + 1) for b in one[1]]
        return lambda row: any(branch(row) for branch in branches)
    if not _is_triple(one):
        raise CallError(f"Invalid filter {one}", 22)
    path, operator, wanted = one
    fold = operator.startswith("C") and operator != "C~"
    compare = _OPERATORS.get(operator[1:] if fold else operator)
    if compare is None:
        raise CallError(f"Invalid operation: {operator}", 22)
    steps = steps_of(path)
    want = _folded(wanted) if fold else wanted

    def test(row: dict[str, Any]) -> bool:
        for found in values_at(row, steps):
            try:
                if compare(_folded(found) if fold else found, want):
                    return True
            except TypeError:
                continue
        return False

    return test


def _is_triple(one: Any) -> bool:
    return isinstance(one, (list, tuple)) and len(one) == 3 and isinstance(one[0], str) and isinstance(one[1], str)


def _folded(value: Any) -> Any:
    if isinstance(value, str):
        return value.casefold()
    return [_folded(entry) for entry in value] if isinstance(value, list) else value


def steps_of(path: str) -> list[str]:
    r"""`groups.*.initiator` in its parts; `\.` is a dot inside a part."""
    return [step.replace("\\.", ".") for step in re.split(r"(?<!\\)\.", path)]


def values_at(value: Any, steps: list[str]) -> Iterable[Any]:
    """Every value the path reaches: none for an unknown field, several through `*`."""
    if not steps:
        yield value
        return
    head, rest = steps[0], steps[1:]
    if isinstance(value, list):
        if head == "*":
            for entry in value:
                yield from values_at(entry, rest)
        elif head.isdigit() and int(head) < len(value):
            yield from values_at(value[int(head)], rest)
    elif isinstance(value, dict) and head in value:
        yield from values_at(value[head], rest)


def _ordered(rows: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    nulls_last = None
    for prefix, last in (("nulls_first:", False), ("nulls_last:", True)):
        if key.startswith(prefix):
            key, nulls_last = key.removeprefix(prefix), last
    reverse = key.startswith("-")
    steps = steps_of(key.lstrip("-"))

    def value(row: dict[str, Any]) -> Any:
        return next(iter(values_at(row, steps)), None)

    nulls = [row for row in rows if value(row) is None]
    rest = sorted((row for row in rows if value(row) is not None), key=value, reverse=reverse)
    first = reverse if nulls_last is None else nulls_last
    return rest + nulls if first else nulls + rest


def _selected(row: dict[str, Any], select: Sequence[Any]) -> dict[str, Any]:
    """Only these fields; `["volsize.parsed", "volsize"]` renames one; a nested path keeps its nesting."""
    answer: dict[str, Any] = {}
    for choice in select:
        path, name = choice if isinstance(choice, list) else (choice, None)
        steps = steps_of(path)
        found = next(iter(values_at(row, steps)), _NOTHING)
        if found is _NOTHING:
            continue
        if name is not None:
            answer[name] = found
            continue
        place = answer
        for step in steps[:-1]:
            place = place.setdefault(step, {})
        place[steps[-1]] = found
    return answer
