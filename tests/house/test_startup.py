"""Start-up is a feature: what is not needed for an answer is not imported on the way to it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    "aiohttp", "asyncio", "cffi", "cryptography", "paramiko", "requests", "rich", "setproctitle", "tomlkit", "urllib3",
    "websockets",
}  # fmt: skip

PROBE = """
import json, os, sys
sys.argv = ["pyvmiscsi", *json.loads(sys.argv[1])]
from pyvmiscsi_cli.__main__ import main
real, sys.stdout = sys.stdout, open(os.devnull, "w")
try:
    status = main()
except SystemExit as ended:
    status = ended.code
sys.stdout.close()
json.dump([status or 0, sorted(sys.modules)], real)
"""


def imported_by(*words: str) -> set[str]:
    """The modules that are loaded when this command has answered."""
    probe = [sys.executable, "-c", PROBE, json.dumps(words)]
    ended = subprocess.run(probe, capture_output=True, text=True, check=True)
    status, modules = json.loads(ended.stdout)
    assert status == 0, ended.stderr
    return set(modules)


def test_version_imports_neither_the_sdk_nor_typer() -> None:
    loaded = imported_by("--version")
    assert not loaded & (HEAVY | {"typer", "click", "argparse"})
    assert {name for name in loaded if name.startswith("pyvmiscsi.")} == set()


@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("vm", "--help"),
        ("vm", "create", "--help"),
        ("datastore", "--help"),
        ("ops", "--help"),
        ("config", "--help"),
        ("lab", "--help"),
        ("lab", "up", "--help"),
        ("init", "--help"),
    ],
    ids=" ".join,
)
def test_help_imports_nothing_heavy(words: tuple[str, ...]) -> None:
    assert not imported_by(*words) & HEAVY
