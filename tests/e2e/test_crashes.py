"""The real command, killed at every step of create and destroy, then resumed or taken back: nothing is orphaned.

A fault holds one call at the NAS, or one command on the hypervisor, before its effect or before its answer; the
process is killed by SIGKILL while it waits there. Nothing depends on timing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from pyvmiscsi.lab import Lab
from pyvmiscsi.lab.hypervisor.control import Control as HypervisorControl
from tests.e2e.command import Command

pytestmark = pytest.mark.crash

When = Literal["before", "after"]

CREATE = (
    "pool.dataset.create 1",
    "pool.dataset.create 2",
    "iscsi.auth.create 1",
    "iscsi.target.create 1",
    "iscsi.extent.create 1",
    "iscsi.targetextent.create 1",
    "host: web.conf",
    "pool.dataset.update 1",
)
DESTROY = (
    "pool.dataset.update 1",
    "iscsi.target.delete 1",
    "iscsi.extent.delete 1",
    "iscsi.auth.delete 1",
    "pool.dataset.delete 1",
    "host: rm",
    "pool.dataset.delete 2",
)
NO_RETURN = "iscsi.extent.delete 1"
HOST_PATTERNS = {"host: web.conf": r"{guest}\.conf", "host: rm": r"rm.*{guest}"}


@dataclass(frozen=True)
class Scenario:
    """A guest of its own on a lab that others may share."""

    lab: Lab
    command: Command
    guest: str

    def facts(self) -> Any:
        return self.lab.control.state()["facts"]

    def kill_at(self, step: str, when: When, *words: str) -> None:
        """Start the command, and kill it when it has reached the step."""
        if step.startswith("host:"):
            pattern = HOST_PATTERNS[step].format(guest=self.guest)
            with HypervisorControl(Path(self.lab.info.hypervisors["hv1"].control_socket)) as host:
                self._kill(host, host.fault(pattern, when=when, action="hang"), *words)
        else:
            method, nth = step.split()
            nas = self.lab.control
            self._kill(nas, nas.fault(method, action="hang", when=when, nth=int(nth)), *words)

    def _kill(self, control: Any, fault: int, *words: str) -> None:
        with self.command.start(*words) as process:
            try:
                control.wait_for_fault(fault, 60.0)
            finally:
                process.kill()
                process.communicate()
                control.clear()

    def pending(self) -> list[dict[str, Any]]:
        return [found for found in self.command.json("ops", "list") if found["guest"] == self.guest]

    def create_words(self) -> tuple[str, ...]:
        return ("vm", "create", self.guest, "--size", "64M")


@pytest.fixture
def scenario(lab: Lab, command: Command, guest: str) -> Scenario:
    return Scenario(lab, command, guest)


def writes_of(lab: Lab) -> list[str]:
    """The writes that the NAS has logged, each with its ordinal."""
    seen: dict[str, int] = {}
    found = []
    for call in lab.control.calls():
        if call["kind"] == "write":
            seen[call["method"]] = seen.get(call["method"], 0) + 1
            found.append(f"{call['method']} {seen[call['method']]}")
    return found


def test_the_matrix_below_has_every_write_of_create_and_destroy(scenario: Scenario) -> None:
    scenario.lab.control.reset_calls()
    scenario.command.ok(*scenario.create_words())
    assert writes_of(scenario.lab) == [step for step in CREATE if not step.startswith("host:")]
    scenario.lab.control.reset_calls()
    scenario.command.ok("vm", "destroy", scenario.guest, "--yes")
    assert writes_of(scenario.lab) == [step for step in DESTROY if not step.startswith("host:")]


@pytest.mark.parametrize("ending", ["resume", "rewind"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", CREATE)
def test_a_create_killed_at_any_step_is_finished_or_taken_back(
    scenario: Scenario, step: str, when: When, ending: str
) -> None:
    before = scenario.facts()
    scenario.kill_at(step, when, *scenario.create_words())
    pending = scenario.pending()
    if step == CREATE[0] and when == "before":
        assert pending == []
        assert scenario.facts() == before
        return
    if step == CREATE[-1] and when == "after":
        assert pending == []
    else:
        (operation,) = pending
        assert operation["verb"] == "create"
        scenario.command.ok("ops", ending, operation["id"])
        assert scenario.pending() == []
    if ending == "rewind" and pending:
        assert scenario.facts() == before
        return
    (disk,) = scenario.command.json("vm", "info", scenario.guest)["disks"]
    assert (disk["sector"], disk["lun"], disk["size"]) == (512, 1, 64 << 20)
    scenario.command.ok("vm", "destroy", scenario.guest, "--yes")
    assert scenario.facts() == before


@pytest.mark.parametrize("ending", ["resume", "rewind"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", DESTROY)
def test_a_destroy_killed_at_any_step_is_finished_or_taken_back_or_says_why_not(
    scenario: Scenario, step: str, when: When, ending: str
) -> None:
    before = scenario.facts()
    scenario.command.ok(*scenario.create_words())
    whole = scenario.command.json("vm", "info", scenario.guest)
    scenario.kill_at(step, when, "vm", "destroy", scenario.guest, "--yes")
    pending = scenario.pending()
    if step == DESTROY[-1] and when == "after":
        assert pending == []
        assert scenario.facts() == before
        return
    passed = DESTROY.index(step) + (when == "after") > DESTROY.index(NO_RETURN)
    if step == DESTROY[0] and when == "before":
        assert pending == []
    elif ending == "rewind" and not passed:
        scenario.command.ok("ops", "rewind", pending[0]["id"])
    elif ending == "rewind":
        status, said = scenario.command.refused("ops", "rewind", pending[0]["id"])
        assert status == 65
        assert "point of no return" in said
        assert "ops resume" in said
    if scenario.pending():
        scenario.command.ok("ops", "resume", pending[0]["id"])
    else:
        assert scenario.command.json("vm", "info", scenario.guest) == whole
        scenario.command.ok("vm", "destroy", scenario.guest, "--yes")
    assert scenario.pending() == []
    assert scenario.facts() == before
