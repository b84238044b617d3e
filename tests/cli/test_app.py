"""The command line as a whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

import pyvmiscsi
from cli import app as command_line
from cli.app import COMMANDS, NOUNS, run
from pyvmiscsi.errors import BusyError, PyvmiscsiError
from pyvmiscsi.waiting import wait_for

Said = Callable[[], tuple[str, str]]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    """What the last command wrote: standard output and standard error."""
    return lambda: tuple(capsys.readouterr())  # type: ignore[return-value] # a pair


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Makes `pyvmiscsi vm` one command that raises this error."""

    def install(error: BaseException) -> None:
        app = typer.Typer()

        @app.callback()
        def vm() -> None:
            """Guests."""

        @app.command("fail")
        def fail() -> None:
            raise error

        monkeypatch.setattr(command_line, "_module", lambda _word: type("Module", (), {"app": app}))

    return install


def test_prints_its_version(said: Said) -> None:
    assert run(["--version"]) == 0
    assert said() == (f"pyvmiscsi {pyvmiscsi.__version__}\n", "")


def test_help_names_every_command(said: Said) -> None:
    assert run(["--help"]) == 0

    out, err = said()
    assert err == ""
    for word, help_text in {**NOUNS, **COMMANDS}.items():
        assert f"  {word} " in out
        assert help_text in out


@pytest.mark.parametrize("argv", [[], ["config"]])
def test_gives_help_when_a_command_is_missing(argv: list[str], said: Said) -> None:
    assert run(argv) == 64

    out, err = said()
    assert out == ""
    assert err.startswith("Usage: pyvmiscsi")


def test_tells_a_mistyped_word_in_one_line(said: Said) -> None:
    assert run(["confg"]) == 64
    assert said() == ("", "pyvmiscsi: no such command 'confg'. Did you mean 'config'?\n")


def test_tells_an_unknown_option_in_one_line(said: Said) -> None:
    assert run(["config", "show", "--orign"]) == 64

    out, err = said()
    assert out == ""
    assert err.startswith("pyvmiscsi: no such option: --orign")
    assert err.count("\n") == 1


def test_an_error_is_one_line_and_its_exit_status(failing: Callable[[BaseException], None], said: Said) -> None:
    failing(BusyError("volume tank/vm/web1: in use", hint="stop guest web1"))

    assert run(["vm", "fail"]) == 75
    assert said() == ("", "pyvmiscsi: volume tank/vm/web1: in use (stop guest web1)\n")


def test_an_error_in_json_is_the_one_document(failing: Callable[[BaseException], None], said: Said) -> None:
    failing(BusyError("volume tank/vm/web1: in use", hint="stop guest web1"))

    assert run(["vm", "fail", "--json"]) == 75

    out, err = said()
    assert err == ""
    assert json.loads(out) == {
        "error": {
            "code": "busy",
            "message": "volume tank/vm/web1: in use",
            "hint": "stop guest web1",
            "exit_status": 75,
        }
    }


def test_a_usage_error_in_json(said: Said) -> None:
    assert run(["--json", "confg"]) == 64
    assert json.loads(said()[0])["error"]["code"] == "input"


def test_help_that_was_not_asked_for_is_no_json_document(said: Said) -> None:
    assert run(["config", "--json"]) == 64
    assert json.loads(said()[0])["error"]["message"] == "a command is missing"


def test_a_fault_of_ours_is_told_as_one_without_a_traceback(
    failing: Callable[[BaseException], None], said: Said
) -> None:
    failing(KeyError("extent"))

    assert run(["vm", "fail"]) == 70

    out, err = said()
    assert out == ""
    assert err.startswith("pyvmiscsi: internal error: KeyError: 'extent' (this is a fault of pyvmiscsi")
    assert err.count("\n") == 1


@pytest.mark.parametrize("error", [PyvmiscsiError("no"), KeyError("extent")])
def test_debug_shows_the_traceback_and_keeps_the_status(
    error: Exception, failing: Callable[[BaseException], None], said: Said
) -> None:
    failing(error)

    assert run(["vm", "fail", "--debug"]) == 70
    assert "Traceback (most recent call last)" in said()[1]


def test_ctrl_c_is_no_traceback(failing: Callable[[BaseException], None], said: Said) -> None:
    failing(KeyboardInterrupt())

    assert run(["vm", "fail"]) == 130
    assert said() == ("", "pyvmiscsi: interrupted\n")


def test_a_command_chooses_its_own_status(failing: Callable[[BaseException], None], said: Said) -> None:
    failing(typer.Exit(3))

    assert run(["vm", "fail"]) == 3
    assert said() == ("", "")


def test_saying_no_is_told(failing: Callable[[BaseException], None], said: Said) -> None:
    failing(typer.Abort())

    assert run(["vm", "fail"]) == 64
    assert said() == ("", "pyvmiscsi: not done\n")


def test_completes_words_in_the_shell() -> None:
    asked = {"_PYVMISCSI_COMPLETE": "complete_bash", "COMP_WORDS": "pyvmiscsi config s", "COMP_CWORD": "2"}
    argv = [sys.executable, "-m", "pyvmiscsi_cli"]

    done = subprocess.run(argv, env={**os.environ, **asked}, capture_output=True, text=True, check=False)

    assert done.stdout.split() == ["show"]


def test_stops_quietly_when_nobody_reads(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text("".join(f"[hosts.hv{number}]\n" for number in range(4000)))  # more than a pipe holds
    argv = [sys.executable, "-m", "pyvmiscsi_cli", "config", "show", "--site", str(site)]

    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        complaint = process.stderr.read()

    assert (process.returncode, complaint) == (141, b"")


def is_asleep(pid: int) -> bool:
    """Whether a process waits inside the kernel (proc(5))."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def test_ctrl_c_in_the_process_itself(tmp_path: Path) -> None:
    fifo = tmp_path / "site.toml"
    os.mkfifo(fifo)  # reading it waits until somebody writes
    argv = [
        "env",
        "--default-signal=INT",
        sys.executable,
        "-m",
        "pyvmiscsi_cli",
        "config",
        "check",
        "--site",
        str(fifo),
    ]

    with subprocess.Popen(argv, stderr=subprocess.PIPE) as process:
        writer = os.open(fifo, os.O_WRONLY)  # returns when the command has opened it for reading
        wait_for(lambda: is_asleep(process.pid) or None, what="the command to wait for what it reads", deadline=30)
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=30)
        os.close(writer)

    assert (process.returncode, complaint) == (130, b"pyvmiscsi: interrupted\n")
