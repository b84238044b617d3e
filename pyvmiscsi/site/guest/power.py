"""The buttons of a guest that runs: restart, reset, power off."""

from __future__ import annotations

from dataclasses import replace

from pyvmiscsi.bhyve.configuration.config_text import parse_guest
from pyvmiscsi.bhyve.hypervisor import Hypervisor
from pyvmiscsi.operations.pairing import configured_targets
from pyvmiscsi.operations.power import reset_plan, restart_plan
from pyvmiscsi.plan.engine import Preview
from pyvmiscsi.plan.step import Plan
from pyvmiscsi.site.guest.life import Life
from pyvmiscsi.site.running import Run, new_intent
from pyvmiscsi.steps.lock import NoJournal


class Power(Life):
    """What is done to a machine from outside. No nas is asked for any of it."""

    def restart(self, *, deadline: float = 120.0, run: Run | None = None) -> str:
        """Have it power off and run again with the disks, sessions and command line that it has; its host's name.

        NotFoundError when it does not run. DeadlineError when it does not power off in time: it still comes back once
        it does, unless it is stopped before. A changed configuration needs a stop and a start.
        """
        host = self._where_it_runs()
        self._carry_out(self._restart_plan(host, deadline), run)
        return host

    def preview_restart(self) -> Preview:
        """The steps that `restart` would take; nothing is changed."""
        return Run().engine().preview(self._restart_plan(self._where_it_runs(), 0.0))

    def reset(self, run: Run | None = None) -> str:
        """Press its reset button: no clean shutdown, same disks and sessions; its host's name.

        NotFoundError when it does not run, SessionLostError while one of its sessions is down.
        """
        host = self._where_it_runs()
        self._carry_out(self._reset_plan(host), run)
        return host

    def preview_reset(self) -> Preview:
        """The steps that `reset` would take; nothing is changed."""
        return Run().engine().preview(self._reset_plan(self._where_it_runs()))

    def _restart_plan(self, host: str, deadline: float) -> Plan:
        scene = self._scene()
        before = Hypervisor(scene.host(host)).guest(self.name)
        return restart_plan(self.name, before, self.datastore, scene, host=host, deadline=deadline)

    def _reset_plan(self, host: str) -> Plan:
        scene = self._scene()
        before = Hypervisor(scene.host(host)).guest(self.name)
        conf = self._config_text(host, scene)
        targets = configured_targets(parse_guest(self.name, conf), conf, self.datastore)
        return reset_plan(self.name, before, targets, self.datastore, scene, host=host)

    def _carry_out(self, plan: Plan, run: Run | None) -> None:
        intent = replace(new_intent(plan.verb, str(self.name), {}), kept=False)
        (run or Run()).engine().execute(plan, NoJournal(), intent)
