"""What a command says when several things are wrong."""

from __future__ import annotations

import json

import pytest
from pyvmiscsi_cli.failures import failure_of

from pyvmiscsi.errors import InputError, Problem, RuleError

ERROR = RuleError.of_all("guest web1", [Problem("cpu", "99 processors", "ask for fewer"), Problem("loader", "unknown")])


def test_each_problem_has_a_line_with_its_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    failure_of(ERROR).print(as_json=False)
    assert capsys.readouterr().err.splitlines() == [
        "pyvmiscsi: guest web1: cpu: 99 processors (ask for fewer)",
        "pyvmiscsi: guest web1: loader: unknown",
    ]


def test_a_single_message_is_one_line_as_ever(capsys: pytest.CaptureFixture[str]) -> None:
    failure_of(InputError("no", hint="yes")).print(as_json=False)
    assert capsys.readouterr().err == "pyvmiscsi: no (yes)\n"


def test_json_has_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    failure_of(ERROR).print(as_json=True)
    assert json.loads(capsys.readouterr().out)["error"] == {
        "code": "rule",
        "message": "guest web1: cpu: 99 processors; and 1 more",
        "hint": "ask for fewer",
        "problems": [
            {"where": "cpu", "what": "99 processors", "hint": "ask for fewer"},
            {"where": "loader", "what": "unknown", "hint": ""},
        ],
        "exit_status": 65,
    }
