from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pyvmiscsi.lab.appliance.exchanges import ExchangeLog

OK = {"response_type": "SUCCESS"}


def logged(folder: Path) -> list[Any]:
    return [json.loads(line) for path in folder.iterdir() for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("auth.login_ex", [{"mechanism": "API_KEY_PLAIN", "username": "root", "api_key": "1-hush-hush"}]),
        ("auth.login_ex", [{"mechanism": "PASSWORD_PLAIN", "username": "root", "password": "hush-hush"}]),
        ("auth.login", ["root", "hush-hush"]),
        ("auth.login_with_api_key", ["1-hush-hush"]),
        ("iscsi.auth.create", [{"tag": 1, "user": "web1", "secret": "hush-hush-hush", "peersecret": "hush-hush-too"}]),
        ("iscsi.auth.update", [1, {"secret": "hush-hush-hush"}]),
        ("core.bulk", ["iscsi.auth.create", [[{"secret": "hush-hush-hush"}]]]),
    ],
)
def test_keeps_no_secret_but_its_length(tmp_path: Path, method: str, params: list[Any]) -> None:
    ExchangeLog(str(tmp_path)).jsonrpc("25.10.0", "test", method, params, result=OK)
    (line,) = logged(tmp_path)
    assert "hush" not in json.dumps(line)
    assert len(json.dumps(line["params"])) == len(json.dumps(params))


def test_keeps_the_name_of_a_mark(tmp_path: Path) -> None:
    sent = {"name": "tank/vm/web1", "user_properties": [{"key": "org.pyvmiscsi:intent", "value": "{}"}]}
    ExchangeLog(str(tmp_path)).rest(
        "24.10", "test", "POST", "/pool/dataset", query={}, body=sent, status=200, answer=sent
    )
    (line,) = logged(tmp_path)
    assert line["body"] == line["answer"] == sent


def test_a_call_without_a_body_logs_none(tmp_path: Path) -> None:
    log = ExchangeLog(str(tmp_path))
    log.rest("24.10", "test", "GET", "/iscsi/target", query={"limit": "1"}, status=200, answer=[])
    log.rest("24.10", "test", "DELETE", "/iscsi/targetextent/id/1", query={}, body=None, status=200, answer=True)
    assert ["body" in line for line in logged(tmp_path)] == [False, True]


def test_an_error_is_logged_instead_of_a_result(tmp_path: Path) -> None:
    ExchangeLog(str(tmp_path)).jsonrpc("25.10.0", "test", "no.such", [], error={"code": -32601, "message": "no"})
    (line,) = logged(tmp_path)
    assert line["error"]["code"] == -32601
    assert "result" not in line


def test_logs_nothing_without_a_folder() -> None:
    ExchangeLog(None).jsonrpc("25.10.0", "test", "core.ping", [], result="pong")
