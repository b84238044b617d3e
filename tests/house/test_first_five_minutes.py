"""The README's first five minutes, word for word, on a lab of their own."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.person import ROOT, Person, commands_of

COMMANDS = commands_of("README.md")
(PROGRAM,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
UP, DOWN = "pyvmiscsi lab up", "pyvmiscsi lab down"


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    somebody = Person(tmp_path)
    yield somebody
    subprocess.run(["/bin/sh", "-c", DOWN], cwd=tmp_path, env=somebody.environment, capture_output=True, check=False)


def test_every_command_works_as_written(person: Person) -> None:
    assert (COMMANDS[0], COMMANDS[-1]) == (UP, DOWN)
    said = {line: person.types(line) for line in COMMANDS[:-1]}
    assert "iscsi1" in said["pyvmiscsi datastore list"]
    assert "web1" in said["pyvmiscsi vm list"]
    assert "Running" in said["pyvmiscsi vm list --json"]
    assert "web1" not in said["pyvmiscsi ops list"]
    assert "web1" not in person.types("pyvmiscsi vm list")

    (person.home / "program.py").write_text(PROGRAM)
    assert re.fullmatch(r"[0-9a-f]{12}-00\n", person.types("python program.py"))
    assert "web2" not in person.types("pyvmiscsi vm list")

    person.types(DOWN)
