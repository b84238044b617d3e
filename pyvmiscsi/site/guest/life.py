"""A guest started and stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pyvmiscsi.bhyve.configuration.config_text import parse_guest
from pyvmiscsi.bhyve.machine.capabilities import Capabilities
from pyvmiscsi.errors import ConfigError, HostUnreachableError, NotFoundError
from pyvmiscsi.names import Iqn
from pyvmiscsi.operations.pairing import configured_targets
from pyvmiscsi.operations.pending import PlannedOperation
from pyvmiscsi.operations.start import StartRequest, start_intent, start_journal, start_plan
from pyvmiscsi.operations.stop import stop_plan
from pyvmiscsi.plan.engine import Preview
from pyvmiscsi.plan.intent import Intent
from pyvmiscsi.plan.step import Plan
from pyvmiscsi.site.connections import SiteScene
from pyvmiscsi.site.guest.judging import Judging
from pyvmiscsi.site.running import Run, new_intent
from pyvmiscsi.site.survey import survey_hosts
from pyvmiscsi.steps.lock import NoJournal


class Life(Judging):
    """From a configuration to a running guest, and back."""

    def start(self, host: str | None = None, run: Run | None = None) -> str:
        """Run the guest on a host (the datastore's first, if none is named), on disks proven there; the host's name.

        RuleError names what keeps it from starting before anything is touched; BusyError when it runs already.
        """
        scene = self._scene()
        return self._begin(self._start_request(host or scene.host_names(self.datastore)[0], scene), scene, run)

    def preview_start(self, host: str | None = None) -> Preview:
        """The steps that `start` would take; nothing is changed. RuleError as `start`."""
        scene = self._scene()
        request = self._start_request(host or scene.host_names(self.datastore)[0], scene)
        self._refuse_unstartable(request, scene)
        return Run().engine().preview(start_plan(request, self.datastore, scene, ""))

    def planned_start(self, intent: Intent) -> PlannedOperation:
        """A start or an installation that was cut short, as its lock tells of it."""
        scene = self._scene()
        request = self._start_request(intent.request["host"], scene, intent.request.get("iso"))
        return self._planned_start(request, intent, scene)

    def stop(self, *, deadline: float = 120.0, force: bool = False, run: Run | None = None) -> None:
        """See the guest off and its disks logged out; no error when they are. The nas is not asked: it may be lost.

        DeadlineError when it does not power off in time and `force` does not say to make it.
        """
        self._see_off(self._where_it_may_be(), deadline=deadline, force=force, run=run)

    def stop_on(self, host: str, *, deadline: float = 120.0, force: bool = False, run: Run | None = None) -> None:
        """The same on one host, without a look at any other."""
        self._see_off([host], deadline=deadline, force=force, run=run)

    def poweroff(self, run: Run | None = None) -> None:
        """The same without asking the guest: its power goes off now, and what it had not written yet is lost."""
        self._see_off(self._where_it_may_be(), deadline=None, force=True, run=run)

    def preview_poweroff(self) -> Preview:
        """The steps that `poweroff` would take, on every host on which the guest may be; nothing is changed."""
        plans = self._off_plans(self._where_it_may_be(), "", deadline=None, force=True)
        previews = [Run().engine().preview(plan) for plan in plans]
        return Preview(tuple(step for preview in previews for step in preview.steps), no_return=None)

    def _see_off(self, hosts: Sequence[str], *, deadline: float | None, force: bool, run: Run | None) -> None:
        intent = replace(new_intent("stop", str(self.name), {}), kept=False)
        for plan in self._off_plans(hosts, intent.id, deadline=deadline, force=force):
            (run or Run()).engine().execute(plan, NoJournal(), intent)

    def _off_plans(self, hosts: Sequence[str], operation: str, *, deadline: float | None, force: bool) -> list[Plan]:
        scene = self._scene()
        targets = self._targets_to_leave(hosts[0], scene)
        return [
            stop_plan(
                *(self.name, targets, self.datastore, scene),
                operation=operation,
                host=host,
                deadline=deadline,
                force=force,
            )
            for host in hosts
        ]

    def _targets_to_leave(self, host: str, scene: SiteScene) -> tuple[Iqn, ...]:
        """Those in its configuration; none if that is broken or gone by now: its supervisor knows them by itself."""
        try:
            conf = self._config_text(host, scene)
            return configured_targets(parse_guest(self.name, conf), conf, self.datastore)
        except (ConfigError, NotFoundError) as error:
            self._connections.warn(f"{error.message}: it is stopped all the same, see `session list` for what is left")
            return ()

    def _where_it_runs(self) -> str:
        """The host on which it runs; NotFoundError when it does not, HostUnreachableError when nobody can tell."""
        hosts = survey_hosts(self.datastore, self._connections)
        state, where = hosts.state_of(str(self.name))
        if state == "Running" and where is not None:
            return where
        if state == "Locked" and where not in {glance.name for glance in hosts.hosts}:
            raise HostUnreachableError(f"guest {self.name}: on {where}, which does not answer")
        raise NotFoundError(f"guest {self.name}: not running", hint=f"pyvmiscsi vm start {self.name}")

    def _where_it_may_be(self) -> list[str]:
        """The host that runs it, or has its lock; any that answers, when none is known to."""
        hosts = survey_hosts(self.datastore, self._connections)
        _, where = hosts.state_of(str(self.name))
        names = [glance.name for glance in hosts.hosts if where in (None, glance.name)]
        if not names:
            raise HostUnreachableError(f"guest {self.name}: on {where}, which does not answer")
        return names

    def _begin(self, request: StartRequest, scene: SiteScene, run: Run | None) -> str:
        """Run the guest, or install it; the host's name."""
        self._execute(self._new_start(request, scene), run)
        return request.host

    def _new_start(self, request: StartRequest, scene: SiteScene) -> PlannedOperation:
        capabilities = self._refuse_unstartable(request, scene)
        verb, asked = start_intent(str(self.name), request.host, request.iso)
        return self._planned_start(request, new_intent(verb, str(self.name), asked), scene, capabilities)

    def _planned_start(
        self, request: StartRequest, intent: Intent, scene: SiteScene, capabilities: Capabilities | None = None
    ) -> PlannedOperation:
        plan = start_plan(request, self.datastore, scene, intent.id, capabilities)
        return PlannedOperation(intent, plan, start_journal(request, self.datastore, scene, intent))

    def _start_request(self, host: str, scene: SiteScene, iso: str | None = None) -> StartRequest:
        record = self.record()
        self._refuse_unfinished(record)
        return StartRequest.of(record, self._config(host, scene), self.datastore, host, iso)
