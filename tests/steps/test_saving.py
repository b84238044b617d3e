"""A file is saved whole or not at all, whatever cuts it short, and no other file is lost for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from pyvmiscsi.errors import AlreadyExistsError
from pyvmiscsi.images.formats.kinds import Format
from pyvmiscsi.images.saving import part_of
from pyvmiscsi.model import DatastoreRecord, Volume
from pyvmiscsi.names import DatasetPath, SnapshotName
from pyvmiscsi.plan.engine import Engine
from pyvmiscsi.plan.intent import Intent
from pyvmiscsi.plan.journal import ChangeJournal, DatasetAnchor
from pyvmiscsi.plan.step import Plan
from pyvmiscsi.steps.reading import SnapshotSource
from pyvmiscsi.steps.saving import FileSaved, identity_of
from pyvmiscsi.steps.signature import Signature
from pyvmiscsi.steps.transfer import Transport
from pyvmiscsi.units import Size
from tests.fakes.luns import FakeLuns
from tests.fakes.nas import PARENT, FakeNas
from tests.operations.scenes import datastore_in
from tests.plan.worlds import Killed
from tests.steps.faults import FAULTS, fault_at

SOURCE, SUNDAY = DatasetPath("tank/vm/db1"), SnapshotName("sunday")
DISK = (b"as at sunday" * 1000).ljust(1 << 16, b"\0")
OURS = Signature(uuid4(), "aa01")


@dataclass
class World:
    nas: FakeNas
    datastore: DatastoreRecord
    file: Path

    @classmethod
    def at(cls, folder: Path) -> World:
        folder.mkdir()
        nas = FakeNas()
        nas.create_volume(Volume(SOURCE, Size(len(DISK))))
        nas.contents[SOURCE] = DISK.rstrip(b"\0")
        nas.create_snapshot(SOURCE, SUNDAY)
        nas.contents[SOURCE] = b"written since"
        return cls(nas, datastore_in(folder), folder / "disk.raw")

    def step(self, replaces: str | None = None) -> FileSaved:
        source = SnapshotSource(self.nas, self.datastore, SOURCE, SUNDAY)
        return FileSaved(source, self.file, Format.RAW, Transport(FakeLuns(self.nas)), OURS, replaces)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.at(tmp_path / "world")


def test_the_file_holds_what_the_volume_had_and_the_nas_is_as_before(world: World) -> None:
    before = world.nas.state()
    assert not world.step().holds()
    world.step().make()
    assert world.step().holds()
    assert world.file.read_bytes() == DISK
    assert world.nas.state() == before


def test_a_file_that_is_there_stays(world: World) -> None:
    world.file.write_bytes(b"mine")
    before = world.nas.state()
    with pytest.raises(AlreadyExistsError):
        world.step().make()
    assert world.file.read_bytes() == b"mine"
    assert world.nas.state() == before


def test_only_the_very_file_that_was_meant_is_replaced(world: World) -> None:
    world.file.write_bytes(b"old")
    step = world.step(replaces=identity_of(world.file))
    assert not step.holds()
    step.make()
    assert step.holds()
    assert world.file.read_bytes() == DISK
    with pytest.raises(AlreadyExistsError):
        world.step(replaces="another").make()


@pytest.mark.parametrize("old", [None, b"old"])
def test_cut_short_anywhere_it_can_be_resumed_and_taken_back(old: bytes | None, tmp_path: Path) -> None:
    rehearsal = World.at(tmp_path / "rehearsal")
    Engine().execute(*_operation(rehearsal, None))
    count = sum(call.when == "before" for call in rehearsal.nas.calls)
    for number in range(count):
        for fault in FAULTS:
            for ending in ("resume", "rewind"):
                moment = f"{fault} call {number}, {ending}"
                world = World.at(tmp_path / moment)
                if old:
                    world.file.write_bytes(old)
                replaces = identity_of(world.file)
                before = world.nas.state()
                world.nas.watch = fault_at(number, fault)
                try:
                    Engine().execute(*_operation(world, replaces))
                except Killed:
                    world.nas.watch = lambda _call: None
                    plan, journal, intent = _operation(world, replaces)
                    if journal.pending():
                        engine = Engine()
                        (engine.resume if ending == "resume" else engine.rewind)(plan, journal, intent)
                assert world.nas.state() == before, moment
                assert not part_of(world.file).exists(), moment
                assert not world.file.exists() or world.file.read_bytes() in (DISK, old), moment


def _operation(world: World, replaces: str | None) -> tuple[Plan, ChangeJournal, Intent]:
    journal = ChangeJournal(DatasetAnchor(world.nas, PARENT))
    intent = Intent("aa01", "save", "db1", {}, "root@control", "2026-11-22T10:00:00Z")
    world.nas.calls.clear()
    return Plan("save", "db1", (world.step(replaces),)), journal, intent
