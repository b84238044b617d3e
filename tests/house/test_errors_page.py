"""The table of errors in the documentation says what the classes are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pyvmiscsi import errors
from pyvmiscsi.errors import PyvmiscsiError

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"


def classes(base: type[PyvmiscsiError] = PyvmiscsiError) -> Iterator[type[PyvmiscsiError]]:
    yield base
    for child in base.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from classes(child)


def test_the_documented_table_is_the_tree_of_classes() -> None:
    documented = re.findall(r"^\| `([a-z-]+)` +\| (\d+) +\| (yes|no) +\| `(\w+)` +\|", PAGE.read_text(), re.MULTILINE)
    assert documented == [
        (cls.code, str(cls.exit_status), "yes" if cls.retry else "no", cls.__name__) for cls in classes()
    ]
