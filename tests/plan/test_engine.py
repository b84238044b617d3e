"""The engine's laws (DESIGN section 6)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.errors import (
    AlreadyExistsError,
    ConflictError,
    HostUnreachableError,
    InterruptedOperation,
    NasRefusedError,
    NasUnansweredError,
    NasUnreachableError,
    NotFoundError,
    PastNoReturnError,
    PyvmiscsiError,
)
from pyvmiscsi.plan.engine import Engine
from pyvmiscsi.plan.events import Event, Phase
from pyvmiscsi.plan.intent import Intent
from pyvmiscsi.plan.step import Plan, Watch
from tests.plan.worlds import Broken, Fact, Killed, World, WorldJournal

INTENT = Intent("0a1b", "create", "web1", {"guest": "web1"}, "root@control", "2026-11-22T10:00:00Z")


def plan_of(world: World, *titles: str, no_return: int | None = None, signed: bool = False) -> Plan:
    return Plan("create", "web1", tuple(Fact(world, title, signed=signed) for title in titles), no_return)


def bad_luck_at(moment: str, error: BaseException, times: int = 1) -> Luck:
    return Luck(moment, error, times)


class Luck:
    def __init__(self, moment: str, error: BaseException, times: int) -> None:
        self.moment, self.error, self.times = moment, error, times

    def __call__(self, moment: str) -> None:
        if moment == self.moment and self.times:
            self.times -= 1
            raise self.error


def test_makes_the_intent_durable_before_the_first_effect_and_clears_it_after_the_last() -> None:
    world = World()
    Engine().execute(plan_of(world, "a", "b"), WorldJournal(world), INTENT)
    assert world.log == ["open", "make a", "make b", "close"]
    assert world.intents == {}


def test_leaves_what_holds_already_alone_and_writes_it_down_as_found() -> None:
    world = World(facts={"a": "somebody"})
    world.luck = bad_luck_at("before make b", Killed())
    with pytest.raises(Killed):
        Engine().execute(plan_of(world, "a", "b"), WorldJournal(world), INTENT)
    assert world.intents[INTENT.id].found == ("a",)
    assert world.facts == {"a": "somebody"}


def test_does_not_look_for_signed_things_before_making_them_on_a_fresh_run() -> None:
    class Unseen(Fact):
        def holds(self) -> bool:
            assert f"make {self.title}" in self.world.log, "looked before it was made"
            return super().holds()

    world = World()
    plan = Plan("create", "web1", (Unseen(world, "a", signed=True),))
    Engine().execute(plan, WorldJournal(world), INTENT)
    assert world.facts == {"a": "op1"}


def test_an_error_that_stays_takes_the_operation_back_by_itself() -> None:
    world = World(facts={"a": "somebody"})
    world.luck = bad_luck_at("before make c", NasRefusedError("no"))
    with pytest.raises(NasRefusedError):
        Engine().execute(plan_of(world, "a", "b", "c"), WorldJournal(world), INTENT)
    assert world.facts == {"a": "somebody"}
    assert world.intents == {}


def test_says_how_to_go_on_when_taking_back_fails_too() -> None:
    world = World()
    luck = iter([NasRefusedError("no"), NasUnreachableError("gone")])

    def bad(moment: str) -> None:
        if moment in ("before make b", "before undo a"):
            raise next(luck)

    world.luck = bad
    with pytest.raises(NasRefusedError) as caught:
        Engine().execute(plan_of(world, "a", "b"), WorldJournal(world), INTENT)
    assert "ops rewind" in caught.value.hint
    assert INTENT.id in world.intents


def test_a_silent_nas_leaves_the_intent_and_says_how_to_go_on() -> None:
    world = World()
    world.luck = bad_luck_at("before make b", NasUnreachableError("nas1: no answer"))
    with pytest.raises(NasUnreachableError) as caught:
        Engine().execute(plan_of(world, "a", "b"), WorldJournal(world), INTENT)
    assert f"ops resume {INTENT.id}" in caught.value.hint
    assert world.facts == {"a": "op1"}
    assert INTENT.id in world.intents


def test_a_lost_answer_means_look_again_not_send_again() -> None:
    world = World()
    world.luck = bad_luck_at("after make a", NasUnansweredError("lost"))
    Engine().execute(plan_of(world, "a", "b"), WorldJournal(world), INTENT)
    assert world.log.count("make a") == 1
    assert world.facts == {"a": "op1", "b": "op1"}


def test_a_lost_request_is_sent_again_once_it_is_seen_to_be_without_effect() -> None:
    world = World()
    world.luck = bad_luck_at("before make a", NasUnansweredError("lost"))
    Engine().execute(plan_of(world, "a"), WorldJournal(world), INTENT)
    assert world.facts == {"a": "op1"}


def test_gives_up_looking_when_no_write_is_ever_answered() -> None:
    world = World()
    world.luck = bad_luck_at("before make a", NasUnansweredError("lost"), times=99)
    with pytest.raises(NasUnansweredError):
        Engine().execute(plan_of(world, "a"), WorldJournal(world), INTENT)
    assert INTENT.id in world.intents


@pytest.mark.parametrize("lost", [NasUnansweredError("lost"), HostUnreachableError("the connection broke")])
def test_a_lost_answer_to_the_intent_is_looked_for_too(lost: PyvmiscsiError) -> None:
    world = World()
    world.luck = bad_luck_at("after open", lost)
    Engine().execute(plan_of(world, "a"), WorldJournal(world), INTENT)
    assert world.log == ["open", "make a", "close"]


class Raced(Fact):
    """Somebody else makes it between our look and our write."""

    def make(self) -> None:
        self.world.facts[self.title] = "somebody"
        raise AlreadyExistsError(f"{self.title}: exists")


def test_what_somebody_else_made_since_we_looked_is_not_taken_for_ours() -> None:
    world = World()
    with pytest.raises(AlreadyExistsError):
        Engine().execute(Plan("create", "web1", (Raced(world, "a"),)), WorldJournal(world), INTENT)


def test_what_somebody_else_made_since_we_looked_is_not_taken_back_as_ours() -> None:
    world = World()
    plan = Plan("create", "web1", (Fact(world, "a"), Raced(world, "b"), Fact(world, "c")))
    world.luck = lambda moment: world.facts.update(c="somebody") if moment == "after make a" else None
    with pytest.raises(AlreadyExistsError):
        Engine().execute(plan, WorldJournal(world), INTENT)
    assert world.facts == {"b": "somebody", "c": "somebody"}
    assert world.intents == {}


def test_what_was_made_is_taken_back_when_the_next_thing_is_found_to_be_another_s() -> None:
    class Nearly(Fact):
        def holds(self) -> bool:
            if "a" in self.world.facts:
                raise AlreadyExistsError(f"{self.title}: is there already")
            return False

    world = World()
    with pytest.raises(AlreadyExistsError):
        Engine().execute(Plan("create", "web1", (Fact(world, "a"), Nearly(world, "b"))), WorldJournal(world), INTENT)
    assert world.facts == {}


def test_on_a_resumed_run_it_may_be_a_late_effect_of_the_process_that_was_cut_short() -> None:
    world = World(intents={INTENT.id: INTENT})
    Engine().resume(Plan("create", "web1", (Raced(world, "a"),)), WorldJournal(world), INTENT)
    assert world.intents == {}


class Moved(Fact):
    """What it was made of goes between our look and our write."""

    comes: bool = True

    def make(self) -> None:
        if self.comes:
            self.world.facts[self.title] = self.maker
        raise NotFoundError(f"{self.title}: its old name is not there")


class Vanished(Moved):
    comes = False


def test_on_a_resumed_run_what_is_not_there_may_have_been_renamed_late() -> None:
    world = World(intents={INTENT.id: INTENT})
    Engine().resume(Plan("rename", "web1", (Moved(world, "a"),)), WorldJournal(world), INTENT)
    assert world.intents == {}


def test_what_is_not_there_and_was_not_renamed_either_is_an_error() -> None:
    world = World(intents={INTENT.id: INTENT})
    with pytest.raises(NotFoundError):
        Engine().resume(Plan("rename", "web1", (Vanished(world, "a"),)), WorldJournal(world), INTENT)
    assert world.intents == {INTENT.id: INTENT}


def test_takes_no_step_without_a_way_back_once_somebody_else_has_ended_the_operation() -> None:
    world = World()

    class Sleeps(Fact):
        def make(self) -> None:
            super().make()
            self.world.intents.clear()  # meanwhile somebody resumed it to its end

    plan = Plan("destroy", "web1", (Sleeps(world, "a"), Fact(world, "b")), no_return=1)
    with pytest.raises(ConflictError, match="meanwhile"):
        Engine().execute(plan, WorldJournal(world), INTENT)
    assert "b" not in world.facts


def test_a_name_taken_by_something_else_is_a_conflict() -> None:
    world = World()

    class Taken(Fact):
        def make(self) -> None:
            raise AlreadyExistsError(f"{self.title}: exists")

    with pytest.raises(AlreadyExistsError):
        Engine().execute(Plan("create", "web1", (Taken(world, "a"),)), WorldJournal(world), INTENT)
    assert world.intents == {}


def test_stops_when_a_step_was_made_and_yet_does_not_hold() -> None:
    world = World()
    plan = Plan("create", "web1", (Fact(world, "a"), Broken(world, "b")))
    with pytest.raises(ConflictError, match="made, and yet it is not so"):
        Engine().execute(plan, WorldJournal(world), INTENT)


def test_stops_between_two_steps_when_asked_and_says_how_to_go_on() -> None:
    world = World()
    answers: Iterator[bool] = iter([False, True])
    with pytest.raises(InterruptedOperation) as caught:
        Engine(interrupted=lambda: next(answers)).execute(plan_of(world, "a", "b"), WorldJournal(world), INTENT)
    assert world.facts == {"a": "op1"}
    assert INTENT.id in world.intents
    assert f"ops rewind {INTENT.id}" in caught.value.hint


@dataclass(frozen=True)
class Copying(Fact):
    """A step that takes long: it tells how far it is, and asks whether to stop."""

    watch: Watch = field(default_factory=Watch)

    def watched(self, watch: Watch) -> Copying:
        return replace(self, watch=watch)

    def make(self) -> None:
        for done in (1, 2):
            self.watch.progress(done, 2)
            if self.watch.interrupted():
                raise InterruptedOperation("stopped in the middle")
        super().make()
        self.watch.learnt({"sha256": "abc"})


def test_a_long_step_is_measured_and_what_it_found_out_is_told() -> None:
    world, told = World(), list[object]()
    engine = Engine(meter=lambda *now: told.append(now), note=lambda *now: told.append(now))
    engine.execute(Plan("create", "web1", (Copying(world, "copy"),)), WorldJournal(world), INTENT)
    assert told == [("copy", 1, 2), ("copy", 2, 2), ("copy", {"sha256": "abc"})]


def test_a_long_step_stops_in_its_middle_when_asked() -> None:
    world, asked = World(), list[int]()
    engine = Engine(meter=lambda _title, done, _total: asked.append(done), interrupted=lambda: bool(asked))
    with pytest.raises(InterruptedOperation, match="in the middle"):
        engine.execute(Plan("create", "web1", (Copying(world, "copy"),)), WorldJournal(world), INTENT)
    assert asked == [1]
    assert world.intents


def test_rewind_refuses_past_the_point_of_no_return_and_names_the_step() -> None:
    world = World(facts={"a": "op1", "b": "op1"}, intents={INTENT.id: INTENT})
    with pytest.raises(PastNoReturnError, match="b"):
        Engine().rewind(plan_of(world, "a", "b", "c", no_return=1), WorldJournal(world), INTENT)
    assert world.facts == {"a": "op1", "b": "op1"}
    assert INTENT.id in world.intents


def test_an_error_past_the_point_of_no_return_leaves_the_operation_to_resume() -> None:
    world = World()
    world.luck = bad_luck_at("before make c", NasRefusedError("no"))
    with pytest.raises(NasRefusedError) as caught:
        Engine().execute(plan_of(world, "a", "b", "c", no_return=1), WorldJournal(world), INTENT)
    assert "ops resume" in caught.value.hint
    assert world.facts == {"a": "op1", "b": "op1"}


def test_what_held_before_does_not_count_as_passing_the_point_of_no_return() -> None:
    world = World(facts={"b": "somebody"})
    world.luck = bad_luck_at("before make c", NasRefusedError("no"))
    with pytest.raises(NasRefusedError):
        Engine().execute(plan_of(world, "a", "b", "c", no_return=1), WorldJournal(world), INTENT)
    assert world.facts == {"b": "somebody"}
    assert world.intents == {}


def test_preview_changes_nothing_and_names_the_point_of_no_return() -> None:
    world = World(facts={"a": "somebody"})
    preview = Engine().preview(plan_of(world, "a", "b", "c", no_return=2))
    assert preview.steps == (("a", True), ("b", False), ("c", False))
    assert preview.no_return == "c"
    assert world.log == []


def test_tells_every_phase_of_every_step() -> None:
    world, heard = World(facts={"a": "somebody"}), list[Event]()
    Engine(listen=heard.append).execute(plan_of(world, "a", "b"), WorldJournal(world), INTENT)
    assert [(event.phase, event.title) for event in heard] == [
        (Phase.INTENT, "create web1"),
        (Phase.FOUND, "a"),
        (Phase.MAKING, "b"),
        (Phase.MADE, "b"),
        (Phase.DONE, "create web1"),
    ]
    assert heard[1].text == "[1/2] found a"


MOMENTS = (
    ["before open", "after open"]
    + [f"{when} make {fact}" for fact in "abcd" for when in ("before", "after")]
    + ["before close", "after close"]
)


@given(
    moment=st.sampled_from(MOMENTS),
    found=st.sets(st.sampled_from("abcd")),
    signed=st.booleans(),
    no_return=st.sampled_from([None, 1, 3]),
)
def test_a_process_killed_anywhere_is_resumed_to_the_same_end_or_taken_back_to_the_beginning(
    moment: str, found: set[str], signed: bool, no_return: int | None
) -> None:
    for ending in ("resume", "rewind"):
        before = {} if signed else dict.fromkeys(found, "somebody")
        world = World(facts=dict(before), luck=bad_luck_at(moment, Killed()))
        plan = plan_of(world, *"abcd", no_return=no_return, signed=signed)
        with contextlib.suppress(Killed):
            Engine().execute(plan, WorldJournal(world), INTENT)
        done = {**dict.fromkeys("abcd", "op1"), **before}
        pending = WorldJournal(world).pending()
        if not pending:
            assert world.facts in (before, done)
            continue
        if ending == "resume":
            Engine().resume(plan, WorldJournal(world), pending[0])
            assert world.facts == done
        else:
            try:
                Engine().rewind(plan, WorldJournal(world), pending[0])
            except PastNoReturnError:
                assert no_return is not None
                assert any(world.facts.get(fact) == "op1" for fact in "abcd"[no_return:])
                assert world.intents
                continue
            assert world.facts == before
        assert world.intents == {}


def test_what_somebody_else_completed_meanwhile_is_neither_resumed_nor_taken_back() -> None:
    world = World(facts={"a": "op1"})
    for again in (Engine().resume, Engine().rewind):
        with pytest.raises(ConflictError, match="completed or taken back meanwhile"):
            again(plan_of(world, "a", "b"), WorldJournal(world), INTENT)
    assert world.facts == {"a": "op1"}
    assert world.log == []


def test_an_error_takes_nothing_back_once_somebody_else_completed_the_operation() -> None:
    world = World()

    def colleague_is_faster(moment: str) -> None:
        if moment == "before make b":
            world.facts["b"] = "op1"
            world.intents.clear()
            raise NasRefusedError("no")

    world.luck = colleague_is_faster
    with pytest.raises(NasRefusedError):
        Engine().execute(plan_of(world, "a", "b"), WorldJournal(world), INTENT)
    assert world.facts == {"a": "op1", "b": "op1"}
