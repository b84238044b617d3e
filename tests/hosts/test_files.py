"""The scripts behind file operations, as the shells that may run them see them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pyvmiscsi.hosts import files

SCRIPTS = {
    name: text for name, text in vars(files).items() if name.isupper() and isinstance(text, str) and name[0] != "_"
}


def test_there_is_a_script_for_every_file_operation() -> None:
    assert set(SCRIPTS) == {"CREATE", "LIST_DIRECTORY", "MAKE_DIRECTORY", "READ", "REMOVE", "REMOVE_DIRECTORY", "WRITE"}


@pytest.mark.parametrize("name", SCRIPTS)
def test_shellcheck_finds_nothing_in(name: str) -> None:
    # -ef came to POSIX in 2024 and is in FreeBSD's test(1) since ever; nothing else is let through
    argv = ["shellcheck", "--shell=sh", "--severity=style", "--exclude=SC3013", "-"]

    done = subprocess.run(argv, input=SCRIPTS[name], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", ["CREATE", "WRITE"])
def test_nothing_is_left_of_a_file_whose_connection_breaks(name: str, tmp_path: Path) -> None:
    """Half of it has arrived, and nobody is there any more to read a complaint."""
    words = ["dash", "-c", SCRIPTS[name], "sh", str(tmp_path / "web1.conf"), "600", "2000"]
    running = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stdin and running.stdout and running.stderr
    running.stdout.close()
    running.stderr.close()

    running.stdin.write(b"x" * 1000)
    running.stdin.close()

    assert running.wait() == 1
    assert list(tmp_path.iterdir()) == []
