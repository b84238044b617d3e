"""The README's first five minutes, word for word, on a lab of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text()
COMMANDS = re.findall(r"^\$ (.+)$", README, re.MULTILINE)
(PROGRAM,) = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
DOWN = "pyvmiscsi lab down"


class Person:
    """Types into a shell, line by line, in an empty directory."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def types(self, line: str) -> str:
        exported = re.fullmatch(r"export (\w+)=(\S+)", line)
        if exported:
            self.environment[exported[1]] = exported[2]
            return ""
        ended = subprocess.run(
            ["/bin/sh", "-c", line],
            cwd=self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, f"$ {line}\n{ended.stdout}{ended.stderr}"
        return ended.stdout


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    somebody = Person(tmp_path)
    yield somebody
    subprocess.run(["/bin/sh", "-c", DOWN], cwd=tmp_path, env=somebody.environment, capture_output=True, check=False)


def test_every_command_works_as_written(person: Person) -> None:
    assert COMMANDS[0].startswith("pyvmiscsi lab up")
    assert COMMANDS[-1] == DOWN
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
