"""What commands answer, on standard output: JSON for programs; tables and named values for people."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from pyvmiscsi.secrets import Secret
from pyvmiscsi.units import Size

from .frame import Invocation

T = TypeVar("T")

NOTHING = "-"
"""What a table shows where there is no value."""


def table(invocation: Invocation, records: Sequence[T], columns: Mapping[str, Callable[[T], object]]) -> None:
    """One row a record, `columns` being heading -> what to show of it; with --json a list of whole records."""
    if invocation.json:
        _print_json([as_data(record) for record in records])
        return
    cells = [[_cell(show(record)) for show in columns.values()] for record in records]
    if sys.stdout.isatty():
        _print_rich(list(columns), cells)
    else:
        _print_aligned([list(columns), *cells])


def detail(invocation: Invocation, record: object) -> None:
    """One record, a named value a line, records within it indented; with --json the whole record."""
    data = as_data(record)
    if invocation.json:
        _print_json(data)
    else:
        sys.stdout.writelines(f"{line}\n" for line in _named_lines(data, ""))


def text(invocation: Invocation, line: str, record: object) -> None:
    """A sentence for people; with --json the record that it tells of."""
    if invocation.json:
        _print_json(as_data(record))
    else:
        sys.stdout.write(f"{line}\n")


def as_data(value: object) -> object:  # noqa: PLR0911 - a table of types
    """The value in the types of JSON: sizes in bytes, LUNs as numbers, names as texts, secrets as asterisks."""
    match value:
        case None | bool() | int() | float():
            return value
        case str() | Secret() | bytes():
            return str(value)
        case Size():
            return value.bytes
        case Mapping():
            return {str(key): as_data(item) for key, item in value.items()}
        case Iterable():
            return [as_data(item) for item in value]
        case _ if dataclasses.is_dataclass(value) and not _is_name(value):
            return {field.name: as_data(getattr(value, field.name)) for field in dataclasses.fields(value)}
    from pyvmiscsi.names import Lun

    return value.number if isinstance(value, Lun) else str(value)


def _is_name(value: object) -> bool:
    """Names are dataclasses too, but each has a spelling of its own, which is what people and programs know it by."""
    return type(value).__str__ is not object.__str__


def _print_json(data: object) -> None:
    import json

    sys.stdout.write(f"{json.dumps(data, indent=2, ensure_ascii=False)}\n")


def _cell(value: object) -> str:
    if value is None or value in ("", {}):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value) or NOTHING
    return str(value)


def _print_aligned(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write(f"{line.rstrip()}\n")


def _print_rich(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, header_style="bold", pad_edge=False)
    for heading in headings:
        grid.add_column(heading, overflow="fold")
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))  # as text: a name in brackets is no markup
    Console().print(grid)


def _named_lines(data: object, indent: str) -> Iterable[str]:
    if not isinstance(data, Mapping):
        yield f"{indent}{_cell(data)}"
        return
    width = max((len(str(key)) for key in data), default=0)
    for key, value in data.items():
        items = value if isinstance(value, list) else [value]
        nested = [item for item in items if item and isinstance(item, Mapping)]
        if not nested:
            yield f"{indent}{key!s:<{width}}  {_cell(value)}"
        for number, item in enumerate(nested):
            yield f"{indent}{key}{f' {number}' if len(nested) > 1 else ''}"
            yield from _named_lines(item, f"{indent}  ")
