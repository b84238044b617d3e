"""The judge at the end of a run: a real pytest process whose one test logs an exchange as a lab would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.judge.judge import Judge
from tests.judge.session import LOG

ROOT = Path(__file__).parents[2]
RIGHT = {
    "dialect": "jsonrpc",
    "release": "25.10.0",
    "client": "",
    "method": "core.ping",
    "params": [],
    "result": "pong",
}
CONFTEST = "from tests.judge.session import install as pytest_configure\n"


def run(folder: Path, exchange: Mapping[str, object], **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text(CONFTEST)
    line = json.dumps(exchange) + "\n"
    (folder / "test_one.py").write_text(
        f"import os, pathlib\ndef test_one():\n    pathlib.Path(os.environ[{LOG!r}], 'a.jsonl').write_text({line!r})\n"
    )
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", folder, folder],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": "", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.usefixtures("judge")
def test_reports_what_was_covered(tmp_path: Path) -> None:
    ended = run(tmp_path, RIGHT)
    assert ended.returncode == 0, ended.stdout
    assert "published schemas, jsonrpc: 1 calls of 1 distinct methods" in ended.stdout


@pytest.mark.usefixtures("judge")
def test_a_violation_fails_a_run_that_would_have_passed(tmp_path: Path) -> None:
    ended = run(tmp_path, {**RIGHT, "result": "pang"})
    assert ended.returncode == 1, ended.stdout
    assert "violation (1 x): jsonrpc 25.10.0 core.ping: answer" in ended.stdout


def test_says_in_one_line_that_there_are_no_schemas(tmp_path: Path) -> None:
    ended = run(tmp_path, RIGHT, PYVMISCSI_REFERENCE="", **{LOG: str(tmp_path)})
    assert ended.returncode == 0, ended.stdout
    assert "published schemas: not judged, PYVMISCSI_REFERENCE names none" in ended.stdout


def test_the_judge_can_be_loaded_where_the_references_are(judge: Judge) -> None:
    assert {"25.4", "25.10", "26.0"} <= {".".join(map(str, version)) for version in judge.jsonrpc}
