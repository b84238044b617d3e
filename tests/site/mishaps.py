"""A verb of the SDK x its calls of the nas x (killed before, killed after, answer lost) x (resume, rewind)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pyvmiscsi.errors import NasUnansweredError, PastNoReturnError
from pyvmiscsi.operations.pending import planned
from pyvmiscsi.plan.engine import Engine
from pyvmiscsi.plan.intent import Intent
from pyvmiscsi.site import Site
from tests.fakes.calls import Call, Watch, nothing
from tests.operations.scenes import FakeScene
from tests.plan.worlds import Killed
from tests.site.worlds import World

KINDS = ("killed before", "killed after", "answer lost")
ENDINGS = ("resume", "rewind")


@dataclass(frozen=True)
class Verb:
    """What is to be interrupted: the world it needs, the call that begins it, and how one sees that it is done."""

    prepare: Callable[[Path], World]
    begin: Callable[[Site], object]
    is_done: Callable[[World], bool]
    has_no_return: bool = False


def everything(world: World) -> object:
    """The nas and the config path, whole."""
    files = {str(path.relative_to(world.directory)): path.read_bytes() for path in world.directory.rglob("*.*")}
    return world.nas.state(), dict(world.nas.contents), files


def assert_survives(verb: Verb, kind: str, ending: str, directory: Path) -> int:
    """Whatever call is hit, the operation can be carried on or taken back; how many calls there were."""
    rehearsal = _prepared(verb, directory / "rehearsal")
    verb.begin(rehearsal.site())
    assert verb.is_done(rehearsal), "undisturbed"
    calls = sum(call.when == "before" for call in rehearsal.nas.calls)
    for number in range(calls):
        _assert_survives(verb, kind, number, ending, _prepared(verb, directory / str(number)))
    return calls


def _prepared(verb: Verb, directory: Path) -> World:
    directory.mkdir()
    world = verb.prepare(directory)
    world.nas.calls.clear()
    return world


def _assert_survives(verb: Verb, kind: str, number: int, ending: str, world: World) -> None:
    moment, before, crashed = f"{kind} call {number}", everything(world), False
    world.nas.watch = _mishap(number, kind)
    try:
        verb.begin(world.site())
    except Killed:
        crashed = True
    except NasUnansweredError as error:
        assert "ops resume" in str(error) or everything(world) == before, moment
    world.nas.watch = nothing
    pending = world.site().datastore().intents()
    if not pending:
        assert everything(world) == before or verb.is_done(world), moment
        return
    assert crashed, f"{moment}: unfinished without a crash"
    (intent,) = pending
    if ending == "rewind" and _rewound(verb, intent, world):
        assert everything(world) == before, moment
    else:
        again = planned(intent, world.site().datastore().record, FakeScene(world.nas, world.directory))
        Engine().resume(again.plan, again.journal, again.intent)
        assert verb.is_done(world), moment
    assert world.site().datastore().intents() == (), moment


def _rewound(verb: Verb, intent: Intent, world: World) -> bool:
    again = planned(intent, world.site().datastore().record, FakeScene(world.nas, world.directory))
    try:
        Engine().rewind(again.plan, again.journal, again.intent)
    except PastNoReturnError:
        assert verb.has_no_return
        return False
    return True


def _mishap(number: int, kind: str) -> Watch:
    numbers: Iterator[int] = iter(range(10**6))
    now = [-1]

    def watch(call: Call) -> None:
        if call.when == "before":
            now[0] = next(numbers)
        if now[0] != number:
            return
        if kind == f"killed {call.when}":
            raise Killed
        if kind == "answer lost" and call.when == "after" and call.writes:
            raise NasUnansweredError("the connection was lost")

    return watch
