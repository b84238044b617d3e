"""This very machine as a host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyvmiscsi.errors import DeadlineError, HostError
from pyvmiscsi.hosts import connect
from pyvmiscsi.hosts.local import LocalHost
from pyvmiscsi.model import HostRecord
from pyvmiscsi.ports import Host
from tests.contracts.host_contract import HostContract


class TestLocalHost(HostContract):
    @pytest.fixture
    def host(self) -> Host:
        return LocalHost(HostRecord("here"))

    @pytest.fixture
    def directory(self, tmp_path: Path) -> str:
        return str(tmp_path)


def test_a_record_without_address_means_this_machine() -> None:
    assert isinstance(connect(HostRecord("here")), LocalHost)


def test_ends_the_children_of_a_command_that_is_overdue(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    with pytest.raises(DeadlineError):
        LocalHost(HostRecord("here")).script('sleep 60 >"$1" & wait', str(pipe), deadline=1)

    os.set_blocking(reader, True)
    assert os.read(reader, 1) == b""  # the end of the pipe: nobody holds its other side any more
    os.close(reader)


def test_gives_the_status_of_a_command_on_this_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    assert LocalHost(HostRecord("here")).interact(["sh", "-c", "echo seen; exit 7"]) == 7
    assert capfd.readouterr().out == "seen\n"


def test_ends_a_command_on_this_terminal_when_it_is_not_wanted_any_more() -> None:
    asked = iter((False, True))
    assert LocalHost(HostRecord("here")).interact(["sleep", "60"], until=lambda: next(asked)) == 0


def test_says_when_the_way_to_become_root_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(HostError, match="doas"):
        LocalHost(HostRecord("here", become="doas")).run(["true"])
