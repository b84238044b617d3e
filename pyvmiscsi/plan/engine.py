"""The engine: executes, resumes, rewinds or previews any plan.

Laws (DESIGN section 6), each with a test in `tests/plan/test_engine.py`:

- the intent is durable before the first effect;
- after `make`, `holds()` is true, or the operation stops;
- a lost answer means *look again*, never *send again blindly*;
- a stop is taken between two steps only;
- rewind takes back what this operation made, from the last to the first, and nothing that was found;
- a process that takes its own operation back leaves alone what it knows that it did not make;
- past the point of no return rewind refuses, and says which step has no way back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from pyvmiscsi.errors import (
    AlreadyExistsError,
    ConflictError,
    HostUnreachableError,
    InterruptedOperation,
    NasRateLimitedError,
    NasUnansweredError,
    NasUnreachableError,
    NotFoundError,
    PastNoReturnError,
    PyvmiscsiError,
)
from pyvmiscsi.plan.events import Event, Listener, Meter, Notebook, Phase, nobody, unmetered, unread
from pyvmiscsi.plan.intent import Intent
from pyvmiscsi.plan.journal import Journal
from pyvmiscsi.plan.step import LongStep, Plan, Step, Watch

_LOOKS = 3
"""How often a write whose answer was lost is looked for before we give up: the nas is then unreachable."""

_NOBODY_ANSWERS = (NasUnreachableError, NasUnansweredError, NasRateLimitedError, HostUnreachableError)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a plan would do: each step's title, and whether it holds already."""

    steps: tuple[tuple[str, bool], ...]
    no_return: str | None
    """The first step that has no way back."""


@dataclass(frozen=True, slots=True)
class Engine:
    """Runs plans. `interrupted` is asked between steps; `listen` is told of every step.

    A long step asks `interrupted` in its middle, too; `meter` is told how far it is, `note` what it found out.
    """

    listen: Listener = nobody
    interrupted: Callable[[], bool] = lambda: False
    meter: Meter = unmetered
    note: Notebook = unread

    def execute(self, plan: Plan, journal: Journal, intent: Intent) -> None:
        """Bring every step about, after making the intent durable.

        An error takes the operation back by itself where that is possible, so that nothing is left half made.
        Past the point of no return, or when nobody answers, the intent stays on the nas for `resume` or `rewind`.
        """
        with _at_work(intent):
            self._execute(plan, journal, intent)

    def _execute(self, plan: Plan, journal: Journal, intent: Intent) -> None:
        intent = replace(intent, found=tuple(step.title for step in plan.steps if not step.signed and step.holds()))
        _open(journal, intent)
        self._tell(intent, Phase.INTENT, f"{plan.verb} {plan.subject}", 0, plan)
        made: list[str] = []
        try:
            self._bring_about(plan, journal, intent, fresh=True, made=made)
        except InterruptedOperation:
            raise
        except PyvmiscsiError as error:
            if isinstance(error, _NOBODY_ANSWERS) or not self._took_back(plan, journal, intent, made):
                _tell_how_to_go_on(error, intent)
            raise
        self._finish(plan, journal, intent)

    def resume(self, plan: Plan, journal: Journal, intent: Intent) -> None:
        """Go on with an operation that somebody began, whatever it reached; ConflictError when it has ended."""
        with _at_work(intent):
            _refuse_ended(journal, intent)
            self._bring_about(plan, journal, intent, fresh=False, made=[])
            self._finish(plan, journal, intent)

    def rewind(self, plan: Plan, journal: Journal, intent: Intent) -> None:
        """Take back what the operation made; PastNoReturnError when a step that has no way back was taken.

        ConflictError when it has ended meanwhile, in somebody else's hands: what it made is in use by now.
        """
        with _at_work(intent):
            self._rewind(plan, journal, intent, {step.title for step in plan.steps} - {*intent.found})

    def _rewind(self, plan: Plan, journal: Journal, intent: Intent, made: Collection[str]) -> None:
        _refuse_ended(journal, intent)
        passed = self._passed(plan, intent)
        if passed is not None:
            raise PastNoReturnError(
                f"{intent.verb} {intent.subject} is past its point of no return: {passed.title}",
                hint=f"only pyvmiscsi ops resume {intent.id} goes on from here",
            )
        for number, step in reversed(list(enumerate(plan.reversible, 1))):
            self._stop_if_asked(intent)
            if step.title not in made:
                continue
            self._tell(intent, Phase.UNDOING, step.title, number, plan)
            _until_answered(step.undo)
            self._tell(intent, Phase.UNDONE, step.title, number, plan)
        _until_answered(lambda: journal.withdraw(intent))
        self._tell(intent, Phase.REWOUND, f"{plan.verb} {plan.subject}", len(plan.steps), plan)

    def preview(self, plan: Plan) -> Preview:
        """What executing the plan would do; nothing is changed."""
        ahead = plan.irreversible
        return Preview(
            steps=tuple((step.title, step.holds()) for step in plan.steps),
            no_return=ahead[0].title if ahead else None,
        )

    def _bring_about(self, plan: Plan, journal: Journal, intent: Intent, *, fresh: bool, made: list[str]) -> None:
        """Make what does not hold. The title of each step that this process may have made is put into `made`."""
        for number, step in enumerate(plan.steps, 1):
            self._stop_if_asked(intent)
            if number > len(plan.reversible):
                _refuse_ended(journal, intent)  # this process may have slept, and somebody else gone on
            if not (fresh and step.signed) and step.holds():
                self._tell(intent, Phase.FOUND, step.title, number, plan)
                continue
            self._tell(intent, Phase.MAKING, step.title, number, plan)
            made.append(step.title)
            try:
                _make(self._watched(step, partial(self._note, intent, number, plan)), fresh=fresh)
            except AlreadyExistsError:
                if not step.signed and _taken(step):
                    made.pop()  # all of it is there, and was not when we looked: somebody else's
                raise
            self._tell(intent, Phase.MADE, step.title, number, plan)

    def _watched(self, step: Step, say: Callable[[str], None]) -> Step:
        if not isinstance(step, LongStep):
            return step
        title = step.title
        watch = Watch(
            progress=lambda done, total: self.meter(title, done, total),
            interrupted=self.interrupted,
            learnt=lambda learnt: self.note(title, learnt),
            say=say,
        )
        return step.watched(watch)

    def _finish(self, plan: Plan, journal: Journal, intent: Intent) -> None:
        try:
            _until_answered(lambda: journal.close(intent))
        except PyvmiscsiError as error:
            _tell_how_to_go_on(error, intent)
            raise
        self._tell(intent, Phase.DONE, f"{plan.verb} {plan.subject}", len(plan.steps), plan)

    def _took_back(self, plan: Plan, journal: Journal, intent: Intent, made: Collection[str]) -> bool:
        try:
            self._rewind(plan, journal, intent, made)
        except PyvmiscsiError:
            return False
        return True

    def _passed(self, plan: Plan, intent: Intent) -> Step | None:
        """The first step without a way back that this operation took."""
        return next((step for step in plan.irreversible if step.title not in intent.found and _taken(step)), None)

    def _stop_if_asked(self, intent: Intent) -> None:
        if self.interrupted():
            raise InterruptedOperation(
                f"stopped: {intent.verb} {intent.subject} is unfinished",
                hint=intent.way_on,
            )

    def _note(self, intent: Intent, number: int, plan: Plan, what: str) -> None:
        self._tell(intent, Phase.NOTED, what, number, plan)

    def _tell(self, intent: Intent, phase: Phase, title: str, number: int, plan: Plan) -> None:
        self.listen(Event(intent.id, phase, title, number, len(plan.steps)))


_under_way: set[str] = set()


def is_at_work(operation: str) -> bool:
    """Whether some thread of this process is at this operation right now."""
    return operation in _under_way


@contextmanager
def _at_work(intent: Intent) -> Iterator[None]:
    _under_way.add(intent.id)
    try:
        yield
    finally:
        _under_way.discard(intent.id)


def _open(journal: Journal, intent: Intent) -> None:
    lost: PyvmiscsiError
    for _ in range(_LOOKS):
        try:
            return journal.open(intent)
        except (NasUnansweredError, HostUnreachableError) as error:
            lost = error
        except AlreadyExistsError:
            if not _is_open(journal, intent):
                raise
            return None
        if _is_open(journal, intent):
            return None
    _tell_how_to_go_on(lost, intent)
    raise lost


def _is_open(journal: Journal, intent: Intent) -> bool:
    return any(pending.id == intent.id for pending in journal.pending())


def _refuse_ended(journal: Journal, intent: Intent) -> None:
    if journal.has_ended(intent):
        raise ConflictError(
            f"operation {intent.id}: {intent.verb} {intent.subject} was completed or taken back meanwhile",
            hint="nothing was changed; pyvmiscsi ops list shows what is unfinished",
        )


def _make(step: Step, *, fresh: bool) -> None:
    """Make it, looking again after a lost answer.

    On a fresh run, what is there already although no answer was lost is somebody else's, unless it is signed by us;
    on a resumed one it may be a late effect of the process that was cut short. So may be that what was to be renamed
    is not there.
    """
    for attempt in range(_LOOKS):
        lost: PyvmiscsiError
        try:
            step.make()
        except (AlreadyExistsError, NotFoundError, NasUnansweredError) as error:
            lost = error
        else:
            break
        taken = not isinstance(lost, NasUnansweredError)
        if taken and fresh and attempt == 0 and not step.signed:
            raise lost
        if step.holds():
            return
        if taken:
            raise lost
    else:
        raise lost
    if not step.holds():
        raise ConflictError(f"{step.title}: made, and yet it is not so", hint="somebody else changes the same thing")


def _taken(step: Step) -> bool:
    try:
        return step.holds()
    except ConflictError:
        return False


def _until_answered(write: Callable[[], None]) -> None:
    """Repeat a write that may be repeated (it takes away, or writes the same again) while its answer is lost."""
    for _ in range(_LOOKS - 1):
        try:
            return write()
        except NasUnansweredError:
            continue
    write()
    return None


def _tell_how_to_go_on(error: PyvmiscsiError, intent: Intent) -> None:
    way_on = f"operation {intent.id} is unfinished: {intent.way_on}" if intent.kept else intent.way_on
    error.hint = f"{error.hint}; {way_on}" if error.hint else way_on
