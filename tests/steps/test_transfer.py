"""A volume is filled, or copied, from the start to the end or not at all, whatever cuts it short on the way."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import pytest

from pyvmiscsi.errors import ConflictError, ImageError, InterruptedOperation
from pyvmiscsi.model import DatastoreRecord, Volume
from pyvmiscsi.names import DatasetPath, SnapshotName
from pyvmiscsi.plan.engine import Engine
from pyvmiscsi.plan.intent import Intent
from pyvmiscsi.plan.journal import ChangeJournal, DatasetAnchor
from pyvmiscsi.plan.step import Plan, Step, Watch
from pyvmiscsi.steps.reading import SnapshotSource
from pyvmiscsi.steps.signature import Signature
from pyvmiscsi.steps.transfer import LunCopied, Transport, VolumeFilled, filling_of
from pyvmiscsi.steps.volumes import VolumeExists
from pyvmiscsi.units import Size
from tests.fakes.calls import Call
from tests.fakes.luns import PIECE, FakeLuns
from tests.fakes.nas import PARENT, FakeNas
from tests.images.digests import digest_of
from tests.operations.scenes import datastore_in
from tests.plan.worlds import Killed
from tests.steps.faults import FAULTS, fault_at

PATH, SOURCE = DatasetPath("tank/vm/web1"), DatasetPath("tank/vm/db1")
SUNDAY = SnapshotName("sunday")
OURS = Signature(uuid4(), "aa01")
DISK = b"x" * PIECE + bytes(2 * PIECE) + b"y" * 512
SIZE = Size.parse("64K")


@dataclass
class World:
    """A nas with a source volume that changed after its snapshot, and an image in a file."""

    nas: FakeNas
    datastore: DatastoreRecord
    image: Path
    luns: FakeLuns

    @classmethod
    def at(cls, folder: Path) -> World:
        folder.mkdir()
        nas, image = FakeNas(), folder / "disk.raw"
        nas.create_volume(Volume(SOURCE, SIZE))
        nas.contents[SOURCE] = DISK
        nas.create_snapshot(SOURCE, SUNDAY)
        nas.contents[SOURCE] = b"written since"
        image.write_bytes(DISK)
        return cls(nas, datastore_in(folder), image, FakeLuns(nas))

    def make_volume(self) -> None:
        self.exists().make()

    def exists(self) -> VolumeExists:
        return VolumeExists(self.nas, Volume(PATH, SIZE), OURS)

    def filled(self) -> VolumeFilled:
        return VolumeFilled(self.nas, self.datastore, PATH, str(self.image), Transport(self.luns), OURS)

    def copied(self) -> LunCopied:
        source = SnapshotSource(self.nas, self.datastore, SOURCE, SUNDAY)
        return LunCopied(source, self.nas, self.datastore, PATH, Transport(self.luns), OURS)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.at(tmp_path / "world")


Kind = Callable[[World], VolumeFilled | LunCopied]
both = pytest.mark.parametrize("kind", [World.filled, World.copied])


@both
def test_the_volume_holds_the_disk_and_zeros_behind_it_and_says_so(world: World, kind: Kind) -> None:
    world.make_volume()
    before = world.nas.state()
    step = kind(world)
    assert not step.holds()
    step.make()
    assert step.holds()
    assert world.luns.bytes_of(PATH) == DISK.ljust(SIZE.bytes, b"\0")
    volume = world.nas.find_volume(PATH)
    assert volume is not None
    note = filling_of(volume)
    assert note is not None
    length = len(DISK) if kind is World.filled else SIZE.bytes
    content = world.luns.bytes_of(PATH)[:length]
    assert note == {"op": "aa01", "length": length, "digest": digest_of(bytes(content))}
    others = {table: rows for table, rows in world.nas.state().items() if table != "volumes"}
    assert others == {table: rows for table, rows in before.items() if table != "volumes"}
    assert [one.path for one in world.nas.inventory(PARENT).volumes] == [SOURCE, PATH]


@both
def test_another_operation_has_not_filled_it(world: World, kind: Kind) -> None:
    world.make_volume()
    kind(world).make()
    assert not replace(kind(world), signature=Signature(OURS.guest, "bb02")).holds()


def test_zeros_are_not_written_to_a_volume_that_this_operation_made(world: World) -> None:
    world.make_volume()
    world.filled().make()
    assert world.luns.last.written == [0, 3 * PIECE]
    assert world.luns.last.zeroed == 0


@pytest.mark.parametrize("found", ["another's", "our own, half filled", "a clone"])
def test_a_volume_that_may_hold_anything_is_zeroed_first(world: World, found: str) -> None:
    if found == "a clone":
        world.nas.clone(SOURCE, SUNDAY, PATH, OURS.as_marks(PATH))
    elif found == "another's":
        world.nas.create_volume(Volume(PATH, SIZE, marks=Signature(OURS.guest, "bb02").as_marks(PATH)))
    else:
        world.make_volume()
        _kill_in_the_middle(world)
    world.nas.contents[PATH] = os.urandom(SIZE.bytes)
    world.filled().make()
    assert world.luns.bytes_of(PATH) == DISK.ljust(SIZE.bytes, b"\0")


def test_an_image_that_does_not_fit_leaves_nothing_on_the_nas(world: World) -> None:
    world.make_volume()
    world.image.write_bytes(b"x" * (SIZE.bytes + 512))
    with pytest.raises(ImageError, match="disk 64K"):
        world.filled().make()
    assert not world.filled().holds()
    assert world.nas.extents_of(PATH) == ()
    assert world.nas.contents[PATH] == b""


def test_an_image_that_cannot_be_opened_is_said_before_anything_is_touched(world: World) -> None:
    world.make_volume()
    world.image.write_bytes(b"")
    world.nas.calls.clear()
    with pytest.raises(ImageError, match="is empty"):
        world.filled().make()
    assert world.nas.calls == []


def test_a_copy_takes_no_digest_where_nobody_asks_for_it(world: World) -> None:
    world.make_volume()
    replace(world.copied(), hashed=False).make()
    volume = world.nas.find_volume(PATH)
    assert volume is not None
    assert filling_of(volume) == {"op": "aa01", "length": SIZE.bytes, "digest": None}


@both
def test_who_waited_for_another_to_end_the_same_copy_writes_nothing(world: World, kind: Kind) -> None:
    """Resumed twice at once: the guest may be running on the volume by the time the second has its turn."""
    world.make_volume()
    written: list[list[int]] = []

    def resume_once_more(call: Call) -> None:
        if call.when == "before" and world.luns.last.written and not world.nas.sessions_now:
            world.nas.watch = lambda _call: None
            kind(world).make()
            written.append(world.luns.last.written + [0] * world.luns.last.zeroed)

    world.nas.watch = resume_once_more
    kind(world).make()
    assert written == [[]]
    assert kind(world).holds()
    assert world.luns.bytes_of(PATH) == DISK.ljust(SIZE.bytes, b"\0")


def test_another_sha256_is_refused_and_the_volume_is_not_filled(world: World) -> None:
    world.make_volume()
    with pytest.raises(ImageError, match="SHA-256"):
        replace(world.filled(), sha256="0" * 64).make()
    assert not world.filled().holds()


@both
def test_it_stops_in_the_middle_when_asked(world: World, kind: Kind) -> None:
    world.make_volume()
    before = world.nas.state()
    step = replace(kind(world), transport=Transport(world.luns, Watch(interrupted=lambda: True)))
    with pytest.raises(InterruptedOperation, match="ops resume aa01"):
        step.make()
    assert not step.holds()
    assert {**world.nas.state(), "volumes": ()} == {**before, "volumes": ()}


def test_reading_back_notices_a_nas_that_loses_what_was_written(world: World) -> None:
    world.make_volume()
    step = replace(world.filled(), verify=True)
    step.make()
    assert step.holds()


def test_something_else_in_the_clones_place_is_left_alone(world: World) -> None:
    world.make_volume()
    place = PARENT.child(world.copied()._reading.name)
    world.nas.create_volume(Volume(place, SIZE))
    with pytest.raises(ConflictError, match="is no clone of"):
        world.copied().make()
    assert world.nas.find_volume(place) is not None


@both
def test_cut_short_anywhere_it_can_be_resumed_and_taken_back(kind: Kind, tmp_path: Path) -> None:
    rehearsal = World.at(tmp_path / "rehearsal")
    _run(rehearsal, kind)
    count = sum(call.when == "before" for call in rehearsal.nas.calls)
    assert count > 15
    for number in range(count):
        for fault in FAULTS:
            for ending in ("resume", "rewind"):
                moment = f"{fault} call {number}, {ending}"
                world = World.at(tmp_path / moment)
                before = world.nas.state()
                world.nas.calls.clear()
                world.nas.watch = fault_at(number, fault)
                try:
                    _run(world, kind)
                except Killed:
                    world.nas.watch = lambda _call: None
                    plan, journal, intent = _operation(world, kind)
                    if not journal.pending():
                        continue
                    if ending == "rewind":
                        Engine().rewind(plan, journal, intent)
                        assert world.nas.state() == before, moment
                        continue
                    Engine().resume(plan, journal, intent)
                assert kind(world).holds(), moment
                assert world.luns.bytes_of(PATH) == DISK.ljust(SIZE.bytes, b"\0"), moment
                assert {**world.nas.state(), "volumes": ()} == {**before, "volumes": ()}, moment
                assert len(world.nas.state()["volumes"]) == 2, moment


def _operation(world: World, kind: Kind) -> tuple[Plan, ChangeJournal, Intent]:
    steps: tuple[Step, ...] = (world.exists(), kind(world))
    journal = ChangeJournal(DatasetAnchor(world.nas, PARENT))
    return Plan("fill", "web1", steps), journal, Intent("aa01", "fill", "web1", {}, "root@control", "2026-11-22T10:00Z")


def _run(world: World, kind: Kind) -> None:
    world.nas.calls.clear()
    Engine().execute(*_operation(world, kind))


def _kill_in_the_middle(world: World) -> None:
    def die(_done: int, _total: int | None) -> None:
        raise Killed

    with pytest.raises(Killed):
        replace(world.filled(), transport=Transport(world.luns, Watch(progress=die))).make()
