"""The error tree keeps its drawing."""

from __future__ import annotations

import inspect
import re

import pytest

from pyvmiscsi import errors
from pyvmiscsi.errors import PyvmiscsiError

CLASSES = {
    name: value for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, PyvmiscsiError)
}
_ROW = re.compile(r"^    (?P<rails>[│├└─ ]*)(?P<name>[A-Z]\w+) +(?P<status>\d\d)(?P<text>.*)$", re.MULTILINE)


def drawn() -> list[tuple[str, str | None, int, bool]]:
    """Name, parent, exit status and `(retry)` of every line of the drawing, from its indentation alone."""
    rows: list[tuple[str, str | None, int, bool]] = []
    line_of_descent: list[str] = []
    for row in _ROW.finditer(errors.__doc__ or ""):
        depth = len(row["rails"]) // 4
        del line_of_descent[depth:]
        parent = line_of_descent[-1] if line_of_descent else None
        line_of_descent.append(row["name"])
        rows.append((row["name"], parent, int(row["status"]), "(retry)" in row["text"]))
    return rows


def test_the_drawing_has_every_class_once() -> None:
    names = [name for name, *_ in drawn()]

    assert sorted(names) == sorted(CLASSES)


@pytest.mark.parametrize(("name", "parent", "status", "retry"), drawn())
def test_a_class_is_as_drawn(name: str, parent: str | None, status: int, retry: bool) -> None:
    error = CLASSES[name]

    assert (error.__bases__[0].__name__, error.exit_status, error.retry) == (parent or "Exception", status, retry)


def test_the_drawing_keeps_the_order_of_the_file() -> None:
    assert [name for name, *_ in drawn()] == list(CLASSES)


def test_every_code_means_one_thing() -> None:
    codes = [error.code for error in CLASSES.values()]

    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in codes)


def test_every_status_is_one_of_sysexits() -> None:
    known = {value for name, value in vars(errors).items() if name.startswith("EX_")}

    assert {error.exit_status for error in CLASSES.values()} <= known


def test_a_hint_stands_behind_the_message() -> None:
    error = PyvmiscsiError("volume tank/vm/web1: in use", hint="stop guest web1")

    assert str(error) == "volume tank/vm/web1: in use (stop guest web1)"
    assert (error.message, error.hint) == ("volume tank/vm/web1: in use", "stop guest web1")
    assert str(PyvmiscsiError("no")) == "no"


@pytest.mark.parametrize(
    ("ours", "builtin"),
    [(errors.InputError, ValueError), (errors.NotFoundError, LookupError), (errors.DeadlineError, TimeoutError)],
)
def test_an_error_that_python_has_too_is_also_that(ours: type[Exception], builtin: type[Exception]) -> None:
    assert issubclass(ours, builtin)
