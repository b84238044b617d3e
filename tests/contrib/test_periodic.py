"""contrib/periodic/daily/470.pyvmiscsi under a real sh; what it reads is what the real command prints."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from cli.app import run
from pyvmiscsi.names import GuestName
from pyvmiscsi.site import Site
from tests.bhyve.stage import SHELLS
from tests.contrib.stage import CONTRIB, Stage
from tests.model.worlds import MemoryWorld
from tests.site.worlds import web1

SITE = "/usr/local/etc/pyvmiscsi/site.toml"
PROGRAM = "/usr/local/bin/pyvmiscsi"
DEFAULTS = "/etc/defaults/periodic.conf"
ENABLED = 'daily_status_pyvmiscsi_enable="YES"\nsource_periodic_confs() { :; }\n'
QUESTIONS = ("ops list", "session list", "vm list", "vm startall --dry-run")

# `…/pyvmiscsi --quiet --site FILE WORD…`: what stands in the file of these words, and the status in `status` beside.
_PROGRAM = """
shift 3
file=$(echo "$*" | tr -d ' -')
cat "@/answers/$file"
[ ! -e "@/answers/$file.failed" ]
"""


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    stage = Stage(tmp_path)
    stage.program(DEFAULTS, ENABLED)
    stage.program(SITE, "")
    stage.program(PROGRAM, _PROGRAM.replace("@", str(tmp_path)))
    (tmp_path / "answers").mkdir()
    return stage


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> MemoryWorld:
    """A guest that hv1 is to run."""
    world = MemoryWorld()
    world.site().datastore().create(web1())
    world.hosts["hv1"].files["/etc/rc.conf"] = b'vm_list="web1"\n'
    monkeypatch.setattr(Site, "load", lambda _path, *, warn: world.site())  # noqa: ARG005 - nobody warns here
    return world


def answers(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Let the stand-in say what the real command says of the world now."""
    for question in QUESTIONS:
        capsys.readouterr()
        assert run(["--quiet", *question.split()]) == 0
        file = question.replace(" ", "").replace("-", "")
        (stage.path / "answers" / file).write_text(capsys.readouterr().out)


def daily(stage: Stage, shell: tuple[str, ...] = ("dash",)) -> tuple[int, str]:
    return stage.run("periodic/daily/470.pyvmiscsi", shell=shell, moved=(DEFAULTS, SITE, PROGRAM))


@pytest.mark.parametrize("shell", SHELLS.values(), ids=SHELLS)
def test_it_says_nothing_while_all_is_well(
    stage: Stage, world: MemoryWorld, capsys: pytest.CaptureFixture[str], shell: tuple[str, ...]
) -> None:
    world.site().datastore().guest("web1").start("hv1")
    answers(stage, capsys)
    assert daily(stage, shell) == (0, "")


@pytest.mark.parametrize("shell", SHELLS.values(), ids=SHELLS)
def test_it_tells_what_is_not_as_it_should_be(
    stage: Stage, world: MemoryWorld, capsys: pytest.CaptureFixture[str], shell: tuple[str, ...]
) -> None:
    world.site().datastore().guest("web1").attach("hv2")
    answers(stage, capsys)
    (stage.path / "answers/opslist").write_text("ID    VERB\n7c01  rename\n")
    status, said = daily(stage, shell)
    assert status == 1
    assert said == (
        "\npyvmiscsi: operations that are unfinished:\nID    VERB\n7c01  rename\n"
        "\npyvmiscsi: sessions that are not as they should be:\n"
        "DISK        HOST  VERDICT  ON THE HOST    ON THE NAS\nweb1:disk0  hv2   idle     Connected da0  10.0.0.11\n"
        "\npyvmiscsi: guests that are to run and do not:\n"
        "HOST  ORDER  GUEST  WOULD\nhv1   1      web1   be started\n"
    )


def test_a_lock_that_nobody_stands_behind_is_told(
    stage: Stage, world: MemoryWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    """A hypervisor that is gone for good left it, say: no start elsewhere gets past it."""
    world.site().datastore().create(replace(web1(), guest=GuestName.parse("db1")))
    world.site().datastore().guest("web1").start("hv1")
    world.hosts["hv1"].create_file("/vmconfig/db1/run.lock", b"hv7\n")
    answers(stage, capsys)
    status, said = daily(stage)
    heading, row = said.splitlines()[2:]
    assert (status, said.splitlines()[1]) == (1, "pyvmiscsi: guests that are locked, and run nowhere:")
    assert (heading.split()[-1], row.split()[0], row.split()[-2:]) == ("STATE", "db1", ["Locked", "(hv7)"])


def test_a_warning_is_told_too(stage: Stage, world: MemoryWorld, capsys: pytest.CaptureFixture[str]) -> None:
    world.site().datastore().guest("web1").start("hv1")
    answers(stage, capsys)
    with (stage.path / "answers/sessionlist").open("r+") as answer:
        listed = answer.read()
        answer.seek(0)
        answer.write(f"pyvmiscsi: warning: host hv2: no answer\n{listed}")
    status, said = daily(stage)
    assert (status, said.splitlines()[2:]) == (1, ["pyvmiscsi: warning: host hv2: no answer"])


@pytest.mark.usefixtures("world")
def test_what_cannot_be_told_is_said_and_the_rest_is_told(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    answers(stage, capsys)
    (stage.path / "answers/opslist").write_text("pyvmiscsi: nas nas1: no answer\n")
    (stage.path / "answers/opslist.failed").touch()
    status, said = daily(stage)
    assert status == 3
    assert "cannot tell of operations that are unfinished:\npyvmiscsi: nas nas1: no answer\n" in said
    assert "web1   be started" in said


def test_it_is_silent_unless_it_is_enabled(stage: Stage) -> None:
    stage.program(DEFAULTS, ENABLED.replace("YES", "NO"))
    assert daily(stage) == (0, "")


def test_without_a_site_file_it_says_so(stage: Stage) -> None:
    (stage.path / SITE.lstrip("/")).unlink()
    status, said = daily(stage)
    assert status == 2
    assert "there is no" in said


@pytest.mark.usefixtures("world")
def test_nothing_is_left_in_the_directory_for_temporary_files(
    stage: Stage, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(stage, capsys)
    (stage.path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(stage.path / "tmp"))
    assert daily(stage)[0] == 1
    assert list((stage.path / "tmp").iterdir()) == []


def test_its_variables_are_told_at_its_head_and_on_the_page() -> None:
    head, _, code = (CONTRIB / "periodic/daily/470.pyvmiscsi").read_text().partition("\nif ")
    used = set(re.findall(r"daily_status_pyvmiscsi_\w+", code))
    page = (CONTRIB.parent / "docs/boot.md").read_text()
    assert used == set(re.findall(r"daily_status_pyvmiscsi_\w+", head)) == set(re.findall(r"`(daily_\w+)`", page))
