"""The matrix sees what it is there to see: a world that nobody may leave behind, and a command that says nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from tests.crash.faults import Fate
from tests.crash.launcher import Launcher, Running
from tests.crash.matrix import Case, Rehearsal, Theatre
from tests.crash.scenarios import GUEST, NEIGHBOUR, scenario

pytestmark = pytest.mark.crash


@dataclass
class Meddling(Launcher):
    """Starts commands, and does something of its own before an ending."""

    launcher: Launcher
    meddle: Callable[[], object] = field(default=lambda: None)

    def start(self, *words: str) -> Running:
        if "ops" in words and {"resume", "rewind"} & {*words}:
            self.meddle()
        return self.launcher.start(*words)


@pytest.fixture(scope="module")
def stage(launcher: Launcher) -> Iterator[tuple[Meddling, Theatre, Rehearsal]]:
    """A snapshot is to be taken."""
    meddling = Meddling(launcher)
    with Theatre("25.10", meddling) as theatre:
        yield meddling, theatre, theatre.rehearse(scenario("snapshot"))


def complaint(stage: tuple[Meddling, Theatre, Rehearsal], ending: str, meddle: Callable[[], object]) -> str:
    """What is said of a snapshot that was killed before it was taken, when somebody meddles with its ending."""
    meddling, theatre, rehearsal = stage
    meddling.meddle = meddle
    write = next(write for write in rehearsal.writes if write.name == "pool.snapshot.create")
    return theatre.play(rehearsal, Case(write, Fate.KILLED_BEFORE, "jsonrpc", ending)).complaint


@pytest.mark.parametrize("ending", ["resume", "rewind"])
def test_nothing_is_said_when_nobody_meddles(stage: tuple[Meddling, Theatre, Rehearsal], ending: str) -> None:
    assert complaint(stage, ending, lambda: None) == ""


@pytest.mark.parametrize("ending", ["resume", "rewind"])
def test_an_orphan_is_seen(stage: tuple[Meddling, Theatre, Rehearsal], ending: str) -> None:
    nas = stage[1].world.lab.control
    said = complaint(stage, ending, lambda: nas.call("iscsi.target.create", {"name": "orphan", "groups": []}))
    assert "+ nas/targets/orphan" in said


@pytest.mark.parametrize("ending", ["resume", "rewind"])
def test_a_byte_of_somebody_s_data_is_missed(stage: tuple[Meddling, Theatre, Rehearsal], ending: str) -> None:
    def lose() -> None:
        volume = stage[1].world.lab.control.volume_file(f"tank/vm/{NEIGHBOUR}/disk0")
        with volume.open("r+b") as data:
            data.write(b"\0")

    assert f"- data/tank/vm/{NEIGHBOUR}/disk0" in complaint(stage, ending, lose)


@pytest.mark.parametrize("ending", ["resume", "rewind"])
def test_a_file_left_on_the_host_is_seen(stage: tuple[Meddling, Theatre, Rehearsal], ending: str) -> None:
    left = stage[1].world.config / GUEST / "run.lock"
    assert f"+ files/{GUEST}/run.lock" in complaint(stage, ending, lambda: left.write_text("hv1\n"))


def test_the_writes_of_a_create_are_found(stage: tuple[Meddling, Theatre, Rehearsal]) -> None:
    found = [(write.place, write.name.partition(" (")[0]) for write in stage[1].rehearse(scenario("create")).writes]
    assert [name for place, name in found if place == "nas"] == [
        "pool.dataset.create",
        "pool.dataset.create",
        "iscsi.auth.create",
        "iscsi.target.create",
        "iscsi.extent.create",
        "iscsi.targetextent.create",
        "pool.dataset.update",
    ]
    assert [name for place, name in found if place == "host"] == ['mkdir -p -- "$1"', "create"]
