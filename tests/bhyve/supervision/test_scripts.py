"""Every script that this layer sends to a host is sound POSIX sh, and says in its first line what it is for."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from pyvmiscsi.bhyve import exchange, hypervisor, hypervisor_text
from pyvmiscsi.bhyve.configuration import config_path
from pyvmiscsi.bhyve.installation import iso_store
from pyvmiscsi.bhyve.machine import capabilities
from pyvmiscsi.bhyve.networks import taps as network
from pyvmiscsi.bhyve.rules import places
from pyvmiscsi.bhyve.supervision import guest_logs, keeper, run_lock

_MODULES = (
    *(capabilities, config_path, guest_logs, hypervisor, hypervisor_text, iso_store, keeper, network, run_lock),
    *(exchange, places),
)


def _scripts() -> Iterator[tuple[str, str]]:
    for module in _MODULES:
        for name, value in vars(module).items():
            if isinstance(value, str) and value.count("\n") > 2 and name != "__doc__":
                yield f"{module.__name__.rpartition('.')[2]}.{name.strip('_')}", value


_SCRIPTS = dict(_scripts())


def test_all_of_them_are_found() -> None:
    assert len(_SCRIPTS) == 28


@pytest.mark.parametrize("name", _SCRIPTS)
def test_the_first_line_says_what_it_is_for(name: str) -> None:
    assert _SCRIPTS[name].startswith("# ")


@pytest.mark.parametrize("name", _SCRIPTS)
def test_shellcheck_and_dash_find_nothing(name: str) -> None:
    for program, arguments in (("shellcheck", ["-s", "sh", "-"]), ("dash", ["-n"])):
        path = shutil.which(program)
        assert path, f"install {program}"
        done = subprocess.run([path, *arguments], input=_SCRIPTS[name].encode(), capture_output=True, check=False)
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()


@pytest.mark.parametrize("name", [name for name, text in _SCRIPTS.items() if "' EXIT\n" in text])
def test_who_cleans_up_does_so_when_the_connection_breaks_too(name: str) -> None:
    """A complaint that nobody reads ends a shell by SIGPIPE, and then it does nothing at its exit."""
    assert re.search(r"^trap 'exit \d+' HUP INT PIPE TERM$", _SCRIPTS[name], re.MULTILINE)


@pytest.mark.parametrize("name", _SCRIPTS)
def test_no_program_is_called_without_its_path(name: str) -> None:
    """A command sent over SSH cannot count on PATH (freebsd.md 0.1)."""
    for word in ("ifconfig", "kldload", "kldstat", "bhyvectl", "pgrep", "pkill", "mkdir", "rm", "mv", "cp", "find"):
        for line in _SCRIPTS[name].splitlines():
            code = line.partition("# ")[0]
            assert f" {word} " not in f" {code} ", line
