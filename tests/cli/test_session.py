"""`pyvmiscsi session`: what it shows of a site in memory, and one line for what cannot be."""

from __future__ import annotations

import json

import pytest

from cli.app import run
from pyvmiscsi.errors import HostUnreachableError
from pyvmiscsi.model import HostRecord
from pyvmiscsi.ports import Host
from pyvmiscsi.site import Site
from tests.model.worlds import MemoryWorld
from tests.site.worlds import web1


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> MemoryWorld:
    """A guest with one disk; `--site` is ignored."""
    world = MemoryWorld()
    world.site().datastore().create(web1())

    def load(_path: object, *, warn: object) -> Site:
        site = world.site()
        site._connections.warn = warn  # type: ignore[assignment]
        return site

    monkeypatch.setattr(Site, "load", load)
    return world


@pytest.mark.usefixtures("world")
def test_a_login_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-q", "session", "attach", "web1", "--on", "hv1"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("web1:disk0  hv1   /dev/diskid/DISK-")
    assert run(["session", "list"]) == 0
    assert capsys.readouterr().out == (
        "DISK        HOST  VERDICT  ON THE HOST    ON THE NAS\nweb1:disk0  hv1   idle     Connected da0  10.0.0.11\n"
    )
    assert run(["-q", "session", "detach", "web1:disk0", "--on", "hv1"]) == 0
    assert capsys.readouterr() == ("hv1 is logged out of web1:disk0\n", "")
    assert run(["session", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_in_json_nothing_is_left_out(world: MemoryWorld, capsys: pytest.CaptureFixture[str]) -> None:
    world.site().datastore().guest("web1").start("hv2")
    assert run(["--json", "session", "show", "web1"]) == 0
    ((target,),) = json.loads(capsys.readouterr().out).values()
    assert (target["owner"], target["locked_by"], target["size"]) == ("web1:disk0", ["hv2"], 1 << 30)
    (login,) = target["sessions"]
    assert (login["host"], login["verdict"], login["on_nas"]) == ("hv2", "in use", ["10.0.0.11"])
    assert login["on_host"][0]["devices"] == {"1": "da0"}


def test_a_host_that_does_not_answer_is_a_line_and_no_failure(
    world: MemoryWorld, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.site().datastore().guest("web1").attach("hv1")

    def refuse(record: HostRecord) -> Host:
        raise HostUnreachableError(f"host {record.name}: no answer")

    real = MemoryWorld.site

    def site(self: MemoryWorld) -> Site:
        made = real(self)
        made._connections.connect_host = refuse
        return made

    monkeypatch.setattr(MemoryWorld, "site", site)
    assert run(["session", "list"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[1].split("  ")[:3] == ["web1:disk0", "iqn.1994-09.org.freebsd:hv1", "unclear"]
    assert said.err.splitlines() == [
        f"pyvmiscsi: warning: host {name}: no answer: its sessions are told by the nases alone"
        for name in ("hv1", "hv2")
    ]


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        (("list", "web2"), 66, "no target in any datastore"),
        (("list", "--host", "hv9"), 66, "not in the site"),
        (("show", "web1:"), 64, "no disk after the colon"),
        (("attach", "iqn.2005-10.org.freenas.ctl:web1-disk0", "--on", "hv1"), 64, "not a guest's name"),
        (("attach", "web1", "--on", "hv9"), 66, "does not share datastore iscsi1"),
        (("attach", "web1:disk3", "--on", "hv1"), 66, "has no disk3"),
        (("detach", "web1:disk3", "--on", "hv1"), 66, "has no disk3"),
        (("detach", "web1"), 64, "missing option '--on'"),
    ],
)
def test_what_cannot_be_is_one_line(
    words: tuple[str, ...], status: int, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["-q", "session", *words]) == status
    (line,) = capsys.readouterr().err.splitlines()
    assert why in line
