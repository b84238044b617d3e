"""The table of verbs says what their modules say."""

from __future__ import annotations

import importlib

import pytest

from cli.vm import VERBS


@pytest.mark.parametrize("verb", VERBS)
def test_help_for_all_is_the_first_line_of_the_verbs_own(verb: str) -> None:
    module, help_ = VERBS[verb]
    commands = importlib.import_module(f"pyvmiscsi_cli.vm.{module}").app.registered_commands

    own = [command.callback.__doc__ or "" for command in commands if command.name == verb and command.callback]

    assert [text.partition("\n")[0] for text in own] in ([help_], [])
    assert own or commands, "neither a command nor a group"
