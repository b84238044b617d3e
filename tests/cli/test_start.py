"""What a command imports on its way. Time itself is measured in bench/."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROBE = """
import sys
sys.argv = ["pyvmiscsi", *sys.argv[1:]]
from pyvmiscsi_cli.__main__ import main
status = main()
print(*sorted(sys.modules), file=sys.stderr)
sys.exit(status)
"""


def imported_by(*words: str) -> set[str]:
    argv = [sys.executable, "-c", PROBE, *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_the_version_costs_no_more_than_starting_python() -> None:
    bare = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sorted(sys.modules))"], capture_output=True, text=True, check=True
    )

    new = imported_by("--version") - set(bare.stdout.split())

    assert new - {"__future__"} == {"pyvmiscsi", "pyvmiscsi_cli", "pyvmiscsi_cli.__main__"}


def test_help_imports_no_command() -> None:
    modules = imported_by("--help")

    assert {name for name in modules if name.startswith("pyvmiscsi")} == {
        "pyvmiscsi",
        "pyvmiscsi.errors",
        "pyvmiscsi_cli",
        "pyvmiscsi_cli.__main__",
        "pyvmiscsi_cli.app",
        "pyvmiscsi_cli.frame",
    }


@pytest.mark.parametrize("noun", ["vm", "datastore", "ops", "config", "lab"])
def test_help_of_one_noun_imports_no_other_and_no_adapter(noun: str) -> None:
    modules = imported_by(noun, "--help")

    others = {"vm", "datastore", "ops", "config", "lab", "init"} - {noun}
    assert not modules.intersection(f"pyvmiscsi_cli.{other}" for other in others)
    assert not modules.intersection({"pyvmiscsi.nas", "pyvmiscsi.hosts", "pyvmiscsi.initiator", "pyvmiscsi.lab"})
