"""A copy goes on where it was cut short, on a nas that remembers; what is not certain counts for nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pyvmiscsi.errors import (
    DeadlineError,
    ImageError,
    InterruptedOperation,
    NasUnansweredError,
    PyvmiscsiError,
    SessionLostError,
)
from pyvmiscsi.images import filling
from pyvmiscsi.images.reached import AnotherSourceError, Reached
from pyvmiscsi.model import Volume
from pyvmiscsi.plan.engine import Engine
from pyvmiscsi.plan.intent import Intent
from pyvmiscsi.plan.journal import ChangeJournal, DatasetAnchor
from pyvmiscsi.plan.step import Plan, Watch
from pyvmiscsi.steps import headway
from pyvmiscsi.steps.headway import NOWHERE, Headway, reached_on
from pyvmiscsi.steps.transfer import Transport, VolumeFilled
from pyvmiscsi.units import MIB, Size
from tests.fakes.calls import Call
from tests.fakes.luns import PIECE
from tests.fakes.zfs import PARENT
from tests.images.digests import digest_of
from tests.plan.worlds import Killed
from tests.steps.faults import FAULTS, fault_at
from tests.steps.test_transfer import OURS, PATH, World

DISK = os.urandom(MIB.bytes + PIECE) + bytes(3 * PIECE) + os.urandom(MIB.bytes // 4)
SIZE = Size.parse("2M")
REACHED = Reached(MIB.bytes, digest_of(DISK[: MIB.bytes]))


@pytest.fixture(autouse=True)
def _kept_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "TOLD_SECONDS", 0.0)
    monkeypatch.setattr(filling, "MILESTONE_EVERY", MIB.bytes)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return world_at(tmp_path / "world")


def world_at(folder: Path) -> World:
    world = World.at(folder)
    world.image.write_bytes(DISK)
    world.nas.create_volume(Volume(PATH, SIZE, marks=OURS.as_marks(PATH)))
    return world


def filled(world: World, watch: Watch | None = None) -> VolumeFilled:
    return replace(world.filled(), transport=Transport(world.luns, watch or Watch()))


def volume_of(world: World) -> Volume:
    volume = world.nas.find_volume(PATH)
    assert volume is not None
    return volume


def reached(world: World) -> Reached:
    return reached_on(volume_of(world), "aa01")


def cut_short(world: World, at: int = MIB.bytes + 5 * PIECE) -> None:
    """Run, and be killed once so much was written."""

    def die(_done: int, _total: int | None) -> None:
        if len(world.luns.last.written) * PIECE >= at:
            raise Killed

    with pytest.raises(Killed):
        filled(world, Watch(progress=die)).make()


def test_only_what_was_not_reached_is_written(world: World) -> None:
    cut_short(world)
    assert reached(world) == REACHED
    said: list[str] = []
    filled(world, Watch(say=said.append)).make()
    assert min(world.luns.last.written) == REACHED.length
    assert world.luns.bytes_of(PATH) == DISK.ljust(SIZE.bytes, b"\0")
    assert filled(world).holds()
    assert said == [f"{filled(world).title}: the first 1M are there, if the source is the same still"]


def test_nothing_tells_of_it_once_it_is_whole(world: World) -> None:
    cut_short(world)
    filled(world).make()
    assert [key for key in volume_of(world).marks if "filling" in key or "reached" in key] == []


def test_an_image_that_was_changed_is_written_from_its_beginning_and_that_is_said(world: World) -> None:
    cut_short(world)
    other = os.urandom(len(DISK))
    world.image.write_bytes(other)
    said: list[str] = []
    filled(world, Watch(say=said.append)).make()
    assert world.luns.bytes_of(PATH) == other.ljust(SIZE.bytes, b"\0")
    assert said[1] == "image disk.raw: its first 1 MiB are not those that were copied before: begins again"


def test_another_image_in_the_pipe_is_refused_and_then_taken_from_its_beginning(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    @contextmanager
    def piped(data: bytes) -> Iterator[VolumeFilled]:
        with (tmp_path / "pipe").open("w+b") as file:
            file.write(data)
            file.seek(0)
            monkeypatch.setattr(sys, "stdin", file)
            yield replace(filled(world), image="-")

    cut_short(world)
    other = os.urandom(len(DISK))
    with piped(other) as step, pytest.raises(AnotherSourceError, match="pipe it in again"):
        step.make()
    assert world.luns.bytes_of(PATH)[: REACHED.length] == DISK[: REACHED.length]
    with piped(other) as step:
        step.make()
    assert world.luns.bytes_of(PATH) == other.ljust(SIZE.bytes, b"\0")


def test_what_a_killed_run_had_asked_for_comes_too_late_to_count(world: World) -> None:
    """The volume behind it may be zero again: its successor made it so."""
    late = Headway(world.nas, PATH, "aa01")
    late.begin(NOWHERE)
    late.keep(REACHED)
    assert reached(world) == REACHED
    later = Headway(world.nas, PATH, "aa01")
    later.begin(NOWHERE)
    late.keep(REACHED)
    assert reached(world) == NOWHERE
    later.keep(REACHED)
    assert reached(world) == REACHED


def test_another_operation_goes_on_with_nothing(world: World) -> None:
    cut_short(world)
    assert reached_on(volume_of(world), "bb02") == NOWHERE


@pytest.mark.parametrize(
    "text", ["{}", '{"run":"%s"}', '{"run":"%s","length":-1,"digest":""}', '{"run":"%s","length":[]}']
)
def test_a_mark_that_nobody_understands_counts_for_nothing(world: World, text: str) -> None:
    run = Headway(world.nas, PATH, "aa01")
    run.begin(NOWHERE)
    world.nas.change_marks(PATH, {"org.pyvmiscsi:reached": f"{PATH} 1/1 {text.replace('%s', run.run)}"})
    assert reached(world) == NOWHERE


def test_a_nas_that_does_not_answer_costs_the_mark_and_not_the_copy(world: World) -> None:
    def unanswered(call: Call) -> None:
        told = str(call)
        if call.method == "change_marks" and "reached" in told and "filling" not in told and "whole" not in told:
            raise NasUnansweredError("no answer")

    world.nas.watch = unanswered
    cut_short(world)
    assert reached(world) == NOWHERE
    filled(world).make()
    assert world.luns.bytes_of(PATH) == DISK.ljust(SIZE.bytes, b"\0")


def test_a_stop_says_how_to_go_on_and_keeps_what_is_there(world: World) -> None:
    stop = Watch(interrupted=lambda: len(world.luns.last.written) * PIECE > MIB.bytes + 5 * PIECE)
    with pytest.raises(InterruptedOperation) as stopped:
        filled(world, stop).make()
    assert stopped.value.hint == (
        "pyvmiscsi ops resume aa01 goes on with it, ops rewind aa01 takes it back; "
        "1 MiB of 1 MiB are on stable storage, and the volume is unfinished"
    )
    assert reached(world) == REACHED


@pytest.mark.parametrize("error", [SessionLostError("the target closed the connection"), DeadlineError("no answer")])
def test_a_target_that_is_gone_or_hangs_leaves_what_was_copied_to_be_gone_on_with(
    world: World, error: PyvmiscsiError
) -> None:
    """It may be back tomorrow. An error that will not pass, such as a full pool, takes it back as any does."""
    journal = ChangeJournal(DatasetAnchor(world.nas, PARENT))
    intent = Intent("aa01", "fill", "web1", {}, "root@control", "2026-11-22T10:00Z")

    def lose(_title: str, _done: int, _total: int | None) -> None:
        if len(world.luns.last.written) * PIECE > MIB.bytes + 5 * PIECE:
            raise error

    with pytest.raises(
        InterruptedOperation, match=r"1 MiB of 1 MiB are on stable storage, .*; pyvmiscsi ops resume aa01"
    ):
        Engine(meter=lose).execute(Plan("fill", "web1", (filled(world),)), journal, intent)
    assert reached(world) == REACHED
    Engine().resume(Plan("fill", "web1", (filled(world),)), journal, intent)
    assert min(world.luns.last.written) == REACHED.length
    assert world.luns.bytes_of(PATH) == DISK.ljust(SIZE.bytes, b"\0")


def test_an_image_that_became_too_large_meanwhile_is_refused(world: World) -> None:
    cut_short(world)
    world.image.write_bytes(DISK + bytes(SIZE.bytes))
    with pytest.raises(ImageError, match="disk 2M"):
        filled(world).make()


class AtOnce:
    """An executor that does everything in the thread that asks."""

    def __init__(self, _count: int, *, thread_name_prefix: str) -> None:
        assert thread_name_prefix

    def __enter__(self) -> AtOnce:
        return self

    def __exit__(self, *_error: object) -> None: ...

    def submit(self, act: Callable[..., None], *given: Any) -> Future[None]:
        done: Future[None] = Future()
        act(*given)
        done.set_result(None)
        return done


def test_cut_short_at_any_call_of_two_runs_it_ends_with_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second goes on with what the first had reached, and is cut short, too."""
    monkeypatch.setattr(headway, "ThreadPoolExecutor", AtOnce)
    rehearsal = world_at(tmp_path / "rehearsal")
    cut_short(rehearsal)
    rehearsal.nas.calls.clear()
    filled(rehearsal).make()
    count = sum(call.when == "before" for call in rehearsal.nas.calls)
    assert count > 15
    for number in range(count):
        for fault in FAULTS:
            moment = f"{fault} call {number}"
            world = world_at(tmp_path / moment)
            cut_short(world)
            world.nas.watch = fault_at(number, fault)
            try:
                filled(world).make()
            except (Killed, NasUnansweredError):
                world.nas.watch = lambda _call: None
                if not filled(world).holds():
                    filled(world).make()
            assert filled(world).holds(), moment
            assert world.luns.bytes_of(PATH) == DISK.ljust(SIZE.bytes, b"\0"), moment
            assert not world.nas.inventory(PARENT).extents, moment
