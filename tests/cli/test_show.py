"""How answers look."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from enum import StrEnum

import pytest

from cli import show
from cli.frame import Invocation
from pyvmiscsi.names import GuestName, Iqn, Lun, Portal
from pyvmiscsi.secrets import Secret
from pyvmiscsi.units import GIB, Size


class State(StrEnum):
    RUNNING = "running"


@dataclass(frozen=True)
class Disk:
    name: str
    size: Size


@dataclass(frozen=True)
class Guest:
    name: GuestName
    state: State
    disks: tuple[Disk, ...] = ()
    host: str | None = None
    secret: Secret = field(default_factory=lambda: Secret("hunter2"))
    thick: bool = False


WEB1 = Guest(GuestName.parse("web1"), State.RUNNING, (Disk("disk0", GIB), Disk("disk1", Size(512))), "hv1")
DB = Guest(GuestName.parse("db"), State.RUNNING)
COLUMNS = {
    "NAME": lambda guest: guest.name,
    "DISKS": lambda guest: [disk.name for disk in guest.disks],
    "HOST": lambda guest: guest.host,
    "THICK": lambda guest: guest.thick,
}


def test_a_table_is_aligned_and_says_where_there_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    show.table(Invocation(), [WEB1, DB], COLUMNS)

    assert capsys.readouterr().out == (
        "NAME  DISKS         HOST  THICK\n"
        "web1  disk0, disk1  hv1   no\n"
        "db    -             -     no\n"
    )  # fmt: skip


def test_a_table_of_nothing_has_its_headings(capsys: pytest.CaptureFixture[str]) -> None:
    show.table(Invocation(), [], COLUMNS)

    assert capsys.readouterr().out == "NAME  DISKS  HOST  THICK\n"


def test_a_table_on_a_terminal_shows_brackets_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("COLUMNS", "80")

    show.table(Invocation(), ["[bold]"], {"NAME": str})

    assert "NAME" in terminal.getvalue()
    assert "[bold]" in terminal.getvalue()


def test_json_is_a_list_of_whole_records(capsys: pytest.CaptureFixture[str]) -> None:
    show.table(Invocation(json=True), [WEB1], COLUMNS)

    assert json.loads(capsys.readouterr().out) == [
        {
            "name": "web1",
            "state": "running",
            "disks": [{"name": "disk0", "size": 1024**3}, {"name": "disk1", "size": 512}],
            "host": "hv1",
            "secret": "********",
            "thick": False,
        }
    ]


def test_one_record_is_a_named_value_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    show.detail(Invocation(), WEB1)

    assert capsys.readouterr().out == (
        "name    web1\n"
        "state   running\n"
        "disks 0\n"
        "  name  disk0\n"
        "  size  1073741824\n"
        "disks 1\n"
        "  name  disk1\n"
        "  size  512\n"
        "host    hv1\n"
        "secret  ********\n"
        "thick   no\n"
    )  # fmt: skip


def test_a_record_with_nothing_in_it_is_shown_as_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    show.detail(Invocation(), {"autostart": {"hv1": 2}, "settings": {}})
    assert capsys.readouterr().out == "autostart\n  hv1  2\nsettings   -\n"


def test_a_sentence_is_for_people_and_its_record_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    show.text(Invocation(), "guest web1 runs", {"guest": "web1"})
    show.text(Invocation(json=True), "guest web1 runs", {"guest": "web1"})

    sentence, document = capsys.readouterr().out.split("\n", 1)
    assert sentence == "guest web1 runs"
    assert json.loads(document) == {"guest": "web1"}


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (None, None),
        (True, True),
        (GIB, 1024**3),
        (Lun(3), 3),
        (Portal.parse("10.0.0.1"), "10.0.0.1:3260"),
        ([Iqn.parse("iqn.2005-10.x")], ["iqn.2005-10.x"]),
        ({1: Secret("hunter2")}, {"1": "********"}),
        (State.RUNNING, "running"),
    ],
)
def test_values_become_types_of_json(value: object, data: object) -> None:
    assert show.as_data(value) == data
