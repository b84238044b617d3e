"""Which cases there are, and one case from its fault to its ending.

A case is right when the command's accident, and what a person then does, ends in one of two worlds: the one before it,
or the one that the command makes when nothing goes wrong. Never in a third.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pyvmiscsi.lab import Lab
from pyvmiscsi.lab.pytest_plugin import PLENTY_OF_LOGINS
from pyvmiscsi.lab.warden import guarded_directory
from pyvmiscsi.waiting import wait_for
from tests.crash.faults import Armed, Fate, armed, fates
from tests.crash.launcher import Ended, Launcher, Running
from tests.crash.scenarios import NEIGHBOUR, Scenario, Stage, dialects_of
from tests.crash.world import Facts, World, difference
from tests.crash.writes import Write, watch

ENDINGS = ("resume", "rewind")
_STRIDE = 7
"""How far the next write of a turn is in its cases: at another fate, in another dialect, with another ending."""

_COMING_UP = 10.0
_UNSURE = "ops resume"
_NOT_FOUND = 66
_NO_RETURN = "point of no return"


@dataclass(frozen=True)
class Case:
    """One accident and its ending."""

    write: Write
    fate: Fate
    dialect: str
    ending: str

    def __str__(self) -> str:
        return f"{self.write}: {self.fate}, {self.dialect}, {self.ending}"


@dataclass(frozen=True)
class Outcome:
    """How a case ended; `complaint` is empty when all was right, `needless` when nothing was left for the ending."""

    case: Case
    complaint: str = ""
    needless: bool = False


@dataclass(frozen=True)
class Rehearsal:
    """A scenario's world after its command, and what the command writes."""

    scenario: Scenario
    clean: Facts
    writes: tuple[Write, ...]

    @property
    def dialects(self) -> tuple[str, ...]:
        return self.scenario.dialects

    @property
    def staying(self) -> frozenset[str]:
        """What a rewind may leave: only as it is in the end."""
        stays = self.scenario.stays
        return frozenset(line for line in self.clean.lines if stays and line.startswith(stays))

    def cases(self, dialect: str) -> tuple[Case, ...]:
        """All there are in this dialect."""
        return tuple(
            Case(write, fate, dialect, ending)
            for write in self.writes
            for fate in fates(write, dialect)
            for ending in ENDINGS
        )

    def drawn(self, dialect: str, *, part: float, seed: int) -> tuple[Case, ...]:
        """A part of them, each as likely as another."""
        chance = random.Random(f"{seed} {self.scenario.name} {dialect}")  # noqa: S311 - no secret
        return tuple(case for case in self.cases(dialect) if chance.random() < part)

    def turn(self, number: int) -> tuple[Case, ...]:
        """One case for each write: turns that follow on each other come round to all of the matrix."""
        cases = [case for dialect in self.dialects for case in self.cases(dialect)]
        chosen = []
        for place, write in enumerate(self.writes):
            its = [case for case in cases if case.write == write]
            chosen.append(its[(number + place * _STRIDE) % len(its)])
        return tuple(chosen)


class CaseError(Exception):
    """A case that did not end as it should; the text says how."""


class Theatre:
    """A lab of one release, and the command on it in every dialect that this release speaks."""

    def __init__(self, release: str, launcher: Launcher) -> None:
        self._opened = ExitStack()
        self._directory = self._opened.enter_context(guarded_directory())
        self._launcher = launcher
        self._lab = Lab.up(
            self._directory / "lab", profile=release, hypervisors=("hv1",), login_budget=PLENTY_OF_LOGINS
        )
        self.world = World(self._lab)
        self._sites = {dialect: self._site_file(dialect) for dialect in dialects_of(release)}
        self._last: Scenario | None = None
        stage = self._stage()
        stage.ok(f"vm create {NEIGHBOUR} --size 1M")
        stage.stamp(NEIGHBOUR, "is not concerned")
        self.world.keep("neighbour")

    def _site_file(self, dialect: str) -> Path:
        path = self._directory / f"{dialect}.toml"
        path.write_text(self._lab.site_file.read_text().replace('api = "auto"', f'api = "{dialect}"'))
        return path

    def close(self) -> None:
        self._lab.down()
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # before the accident

    def rehearse(self, scenario: Scenario) -> Rehearsal:
        """Prepare the scenario's world, and run its command without any accident: in all dialects it does the same."""
        self._take_off(self._last)
        self._last = scenario
        self.world.put_back("neighbour")
        scenario.prepare(self._stage())
        self._kept = self.world.facts()
        self.world.keep(scenario.key)
        self._eve(scenario)
        first, *others = scenario.dialects
        writes = watch(self.world, lambda: self._start(first, *scenario.argv))
        rehearsal = Rehearsal(scenario, self.world.facts(), writes)
        for dialect in others:
            self._put_back(scenario)
            self._ok(dialect, *scenario.argv)
            self._compare(f"by {dialect}", rehearsal.clean.likeness, self.world.facts().likeness)
        return rehearsal

    def _stage(self) -> Stage:
        return Stage(self._launcher, next(iter(self._sites.values())), self.world)

    def _start(self, dialect: str, *words: str) -> Running:
        local = str(self.world.local)
        return self._launcher.start(
            "--site", str(self._sites[dialect]), *(word.replace("LOCAL", local) for word in words)
        )

    def _put_back(self, scenario: Scenario) -> Facts:
        """The world before the command, whatever the last case left of it."""
        self._take_off(scenario)
        if self.world.facts() != self._kept:
            self.world.put_back(scenario.key)
            found = self.world.facts()
            if found != self._kept:
                raise CaseError(f"the world cannot be put back\n{difference(self._kept.lines, found.lines)}")
        return self._eve(scenario)

    def _take_off(self, scenario: Scenario | None) -> None:
        """Nothing of the scenario is on the host any more."""
        if scenario is not None and scenario.afterwards:
            self._run(scenario.dialects[0], *scenario.afterwards.split())

    def _eve(self, scenario: Scenario) -> Facts:
        if not scenario.eve:
            return self._kept
        self._ok(scenario.dialects[0], *scenario.eve.split())
        return self.world.facts()

    # the accident, and what comes after it

    def play(self, rehearsal: Rehearsal, case: Case) -> Outcome:
        before = self._put_back(rehearsal.scenario)
        try:
            with armed(self.world, case.write, case.fate) as fault:
                ended = self._meet(fault, case, self._start(case.dialect, *rehearsal.scenario.argv))
            needless = self._end(rehearsal, case, before, ended)
        except (CaseError, AssertionError) as wrong:
            return Outcome(case, str(wrong))
        return Outcome(case, needless=needless)

    @staticmethod
    def _meet(fault: Armed, case: Case, running: Running) -> Ended:
        """Let the command run into the fault; how it ended."""
        if not fault.is_met(running):
            raise CaseError(f"the write was never reached: {running.wait()}")
        if not case.fate.kills:
            return running.wait()
        ended = running.kill()
        if case.fate is Fate.LATE:
            fault.let_go()
        return ended

    def _end(self, rehearsal: Rehearsal, case: Case, before: Facts, ended: Ended) -> bool:
        """Do what a person would do now, and see that all is well; whether there was nothing to do."""
        if rehearsal.scenario.again:
            return self._run_again(rehearsal, case, ended)
        pending: list[dict[str, Any]] = []

        def is_told() -> bool:
            """A guest that was started comes up, or ends, by itself: meanwhile neither may be so."""
            pending.clear()
            if not self._is_settled(rehearsal, case, before, ended):
                pending.extend(self._pending(case))
                return bool(pending)
            return True

        try:
            wait_for(is_told, what="the end", deadline=_COMING_UP)
        except TimeoutError as late:
            astray = self._astray(rehearsal, before, ended)
            raise CaseError(f"nothing is unfinished, and yet {astray}") from late
        if not pending:
            return True
        if len(pending) > 1:
            raise CaseError(f"several unfinished operations: {pending}")
        operation = pending[0]
        if operation["verb"] != rehearsal.scenario.verb:
            raise CaseError(f"not the verb of the command: {operation}")
        if not case.fate.kills and f"ops resume {operation['id']}" not in ended.err:
            raise CaseError(f"it does not say how to go on: {ended}")
        if case.ending == "rewind" and self._rewinds(case, operation["id"]):
            self._compare("taken back", before.lines, self.world.facts().without(rehearsal.staying).lines)
            return False
        resumed = self._start(case.dialect, "ops", "resume", operation["id"]).wait()
        if resumed.status not in (0, _NOT_FOUND):  # a start may come to its end by itself before we look
            raise CaseError(str(resumed))
        self._compare(f"resumed ({resumed})", rehearsal.clean.likeness, self.world.facts().likeness)
        return False

    def _run_again(self, rehearsal: Rehearsal, case: Case, ended: Ended) -> bool:
        if ended.status == 0:
            self._compare("finished by itself", rehearsal.clean.likeness, self.world.facts().likeness)
            return True
        self._run(case.dialect, *rehearsal.scenario.argv)
        self._compare("run again", rehearsal.clean.likeness, self.world.facts().likeness)
        return False

    def _is_settled(self, rehearsal: Rehearsal, case: Case, before: Facts, ended: Ended) -> bool:
        """Whether the command did all of it, or nothing, and said so. No intent is left in either world."""
        facts = self.world.facts()
        is_done = facts.likeness == rehearsal.clean.likeness
        is_undone = facts.without(rehearsal.staying).lines == before.lines
        if case.fate.kills:
            return is_done or is_undone
        if is_done and (ended.status == 0 or _UNSURE in ended.err):  # it could not look any more, and said so
            return True
        return is_undone and ended.status != 0  # of an export both are so: a whole file stays

    def _astray(self, rehearsal: Rehearsal, before: Facts, ended: Ended) -> str:
        """How the world differs from what the command said it left."""
        found = self.world.facts()
        wanted = rehearsal.clean.likeness if ended.status == 0 else before.likeness
        return f"not all is as it should be\n{ended}{difference(wanted, found.likeness)}"

    def _rewinds(self, case: Case, operation: str) -> bool:
        """Take it back; False when it is past its point of no return, and says so."""
        ended = self._start(case.dialect, "ops", "rewind", operation).wait()
        if ended.status == 0:
            return True
        if ended.status == _NOT_FOUND:
            return False
        if _NO_RETURN not in ended.err or f"ops resume {operation}" not in ended.err:
            raise CaseError(str(ended))
        return False

    def _pending(self, case: Case) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self._ok(case.dialect, "--json", "ops", "list").json
        strangers = [operation for operation in listed if operation["guest"] == NEIGHBOUR]
        if strangers:
            raise CaseError(f"an operation on {NEIGHBOUR}: {strangers}")
        return listed

    def _run(self, dialect: str, *words: str) -> None:
        """Run what must succeed, but that it may find nothing to take away: an accident took it on its way."""
        ended = self._start(dialect, *words).wait()
        if ended.status not in (0, _NOT_FOUND):
            raise CaseError(str(ended))

    def _ok(self, dialect: str, *words: str) -> Ended:
        ended = self._start(dialect, *words).wait()
        if ended.status != 0:
            raise CaseError(str(ended))
        return ended

    @staticmethod
    def _compare(how: str, wanted: tuple[str, ...], found: tuple[str, ...]) -> None:
        if wanted != found:
            raise CaseError(f"{how}, and not as it should be\n{difference(wanted, found)}")


def play_all(theatre: Theatre, rehearsal: Rehearsal, cases: Iterable[Case]) -> Iterator[Outcome]:
    """Play the cases; an ending that had nothing to do stands for the other one too, which is left out."""
    needless: set[tuple[Write, Fate, str]] = set()
    for case in cases:
        moment = case.write, case.fate, case.dialect
        if moment in needless:
            continue
        outcome = theatre.play(rehearsal, case)
        if outcome.needless:
            needless.add(moment)
        yield outcome
