"""`pyvmiscsi vm`: how it tells of guests started, stopped and looked at, on a site in memory."""

from __future__ import annotations

import json

import pytest

from cli.app import run
from pyvmiscsi.site import Site
from tests.model.worlds import MemoryWorld
from tests.site.worlds import web1

OUT = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def world(monkeypatch: pytest.MonkeyPatch) -> MemoryWorld:
    """A guest web1, which hv2 starts at boot together with one that is nowhere."""
    world = MemoryWorld()
    world.site().datastore().create(web1())
    world.hosts["hv2"].files["/etc/rc.conf"] = b'vm_list="nobody web1"\nvm_delay=0\n'
    monkeypatch.setattr(Site, "load", lambda _path, *, warn: world.site())  # noqa: ARG005 - nobody warns here
    return world


def test_a_startall_tells_what_became_of_each_and_fails_as_the_first_that_failed(capsys: OUT) -> None:
    assert run(["-q", "vm", "startall"]) == 66
    said = capsys.readouterr()
    assert said.out == "guest web1 runs on hv2\n"
    assert said.err == "pyvmiscsi: guest nobody: no configuration in iscsi1\n"
    assert run(["-q", "vm", "startall", "--host", "hv2"]) == 66
    assert capsys.readouterr().out == "guest web1 runs on hv2 already\n"


def test_in_json_they_are_one_answer(capsys: OUT) -> None:
    assert run(["-q", "--json", "vm", "startall"]) == 66
    nobody, started = json.loads(capsys.readouterr().out)
    assert (nobody["outcome"], nobody["code"], nobody["exit_status"]) == ("failed", "not-found", 66)
    assert (started["guest"], started["host"], started["outcome"]) == ("web1", "hv2", "started")


def test_what_would_be_started_is_told(world: MemoryWorld, capsys: OUT) -> None:
    assert run(["vm", "startall", "--dry-run"]) == 0
    assert capsys.readouterr().out == (
        "HOST  ORDER  GUEST   WOULD\nhv2   1      nobody  be started\nhv2   2      web1    be started\n"
    )
    assert world.hosts["hv2"].running == {}


def test_all_are_stopped_only_if_somebody_says_so(world: MemoryWorld, capsys: OUT) -> None:
    world.site().datastore().guest("web1").start("hv1")
    assert run(["-q", "vm", "stopall"]) == 64
    assert "say --yes" in capsys.readouterr().err
    assert run(["-q", "vm", "stopall", "-y"]) == 0
    assert capsys.readouterr().out == "guest web1 is stopped\n"
    assert run(["-q", "vm", "stopall", "-y"]) == 0
    assert capsys.readouterr().out == ""


def test_several_by_name_are_told_of_one_by_one(capsys: OUT) -> None:
    assert run(["-q", "vm", "start", "web1", "nobody", "--host", "hv2"]) == 66
    assert capsys.readouterr().out == "guest web1 runs on hv2\n"
    assert run(["-q", "vm", "stop", "nobody", "web1"]) == 66
    assert capsys.readouterr().out == "guest web1 is stopped\n"
    assert run(["-q", "vm", "start", "web1", "db1", "--dry-run"]) == 64


def test_buttons_that_lose_data_are_asked_for(world: MemoryWorld, capsys: OUT) -> None:
    world.site().datastore().guest("web1").start("hv1")
    for button in ("reset", "poweroff"):
        assert run(["-q", "vm", button, "web1"]) == 64
        assert "say --yes" in capsys.readouterr().err
    assert run(["-q", "vm", "reset", "web1", "-f"]) == 0
    assert run(["-q", "vm", "restart", "web1"]) == 0
    assert run(["-q", "vm", "poweroff", "web1", "-y"]) == 0
    assert capsys.readouterr().out == (
        "guest web1 was reset and runs again on hv1\nguest web1 runs again on hv1\nguest web1 is off\n"
    )


def test_a_log_is_its_lines_and_where_it_is_stands_beside(world: MemoryWorld, capsys: OUT) -> None:
    world.hosts["hv1"].files["/var/log/pyvmiscsi/web1.log"] = b"one\ntwo\n"
    assert run(["vm", "log", "web1", "-n", "1"]) == 0
    assert capsys.readouterr() == ("two\n", "hv1:/var/log/pyvmiscsi/web1.log\n")
    assert run(["--json", "vm", "log", "web1"]) == 0
    assert json.loads(capsys.readouterr().out)["lines"] == ["one", "two"]
    assert run(["--json", "vm", "log", "web1", "-f"]) == 64


def test_the_order_at_boot_is_a_column_in_vm_bhyves_words(capsys: OUT) -> None:
    assert run(["vm", "list"]) == 0
    heading, row = capsys.readouterr().out.splitlines()
    assert "Yes [2] hv2" in row
    assert row.index("Yes") == heading.index("AUTO")
    assert run(["vm", "list", "-r"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
