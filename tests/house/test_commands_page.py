"""The page of commands has every command with every option, and none that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from pyvmiscsi_cli.app import whole

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
SECTIONS = dict(re.findall(r"^### `pyvmiscsi ([a-z -]+)`\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))


def commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """(words, command) of every command below a click group."""
    for name, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


COMMANDS = dict(commands(typer.main.get_command(whole())))


def options_of(command: Any) -> set[str]:
    spelled = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return {name for name in spelled if name.startswith("--")} - {"--help"}


def test_every_command_has_a_section_and_no_section_is_without_its_command() -> None:
    assert sorted(SECTIONS) == sorted(COMMANDS)


@pytest.mark.parametrize("words", sorted(COMMANDS))
def test_the_section_has_every_option_and_no_other(words: str) -> None:
    documented = set(re.findall(r"^\| `(--[a-z0-9-]+)", SECTIONS[words], re.MULTILINE))
    assert documented == options_of(COMMANDS[words])
