"""A guest's configuration, looked at and changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.configuration.config_text import parse_guest
from pyvmiscsi.bhyve.configuration.oddities import oddities
from pyvmiscsi.errors import ConfigError, ConflictError, Problem, RuleError
from pyvmiscsi.operations.configure import VERB, configure_plan, moved_devices, with_settings
from pyvmiscsi.operations.guests import GuestRecord
from pyvmiscsi.operations.start import StartRequest
from pyvmiscsi.plan.engine import Preview
from pyvmiscsi.plan.step import Plan
from pyvmiscsi.site.connections import SiteScene
from pyvmiscsi.site.guest.judging import Judging
from pyvmiscsi.site.running import Run, new_intent
from pyvmiscsi.site.survey import survey_hosts
from pyvmiscsi.steps.lock import NoJournal


@dataclass(frozen=True, slots=True)
class Configured:
    """What was changed of a configuration."""

    keys: tuple[str, ...]
    """Those whose values changed; none when only comments did, or nothing."""
    runs_on: str | None = None
    """Where the guest runs, which shows nothing of it until it has been stopped and started."""
    warnings: tuple[Problem, ...] = ()
    """What is odd about the text, which devices move, and what keeps the guest from starting and did so before."""


class Configuring(Judging):
    """`<guest>.conf`, by key or as a whole."""

    def configuration(self) -> ConfText:
        """The text as it stands on the hosts; it may hold a VNC password."""
        scene = self._scene()
        return self._config_text(scene.host_names(self.datastore)[0], scene)

    def set(self, settings: Mapping[str, str], *, host: str | None = None, run: Run | None = None) -> Configured:
        """Change these keys of the configuration, and nothing else of its text; an empty value takes a key out.

        When a device comes or goes by it, the slots of the guest's devices are written down, so that none moves.

        InputError for a key that nobody reads, or a value that the file cannot hold. ConfigError and RuleError with
        everything that would keep the guest from starting, on `host` or the first of the datastore, and did not before.
        """
        before = self.configuration()
        return self.configure(before, with_settings(self.name, before, settings), host=host, run=run)

    def preview_set(self, settings: Mapping[str, str], *, host: str | None = None) -> Preview:
        """The steps that `set` would take, refused as it would refuse them; nothing is changed."""
        before = self.configuration()
        scene = self._scene()
        plan, _ = self._planned_configure(before, with_settings(self.name, before, settings), scene, host)
        return Run().engine().preview(plan)

    def configure(
        self, before: ConfText, after: ConfText, *, host: str | None = None, run: Run | None = None
    ) -> Configured:
        """Put `after` in place of the text that was read as `before`; a guest that runs goes on as it is.

        ConflictError when the file says something else than `before` by now; BusyError while an operation on the guest
        is unfinished; other errors as `set`.
        """
        if after.text == before.text:
            return Configured(())
        plan, warnings = self._planned_configure(before, after, self._scene(), host)
        self._refuse_unfinished(self.record())
        intent = replace(new_intent(VERB, str(self.name), {}), kept=False)
        (run or Run()).engine().execute(plan, NoJournal(), intent)
        _, runs_on = survey_hosts(self.datastore, self._connections).state_of(str(self.name))
        return Configured(tuple(before.changes_to(after)), runs_on, warnings)

    def _planned_configure(
        self, before: ConfText, after: ConfText, scene: SiteScene, host: str | None
    ) -> tuple[Plan, tuple[Problem, ...]]:
        """The plan, and what is to be told; RuleError with what would keep the guest from starting."""
        plan = configure_plan(self.name, before, after, self.datastore, scene)
        record, where = self.record(), host or scene.host_names(self.datastore)[0]
        found = self._reasons_against(record, after, where, scene)
        known = self._reasons_against(record, before, where, scene) if found else ()
        fresh = tuple(problem for problem in found if problem not in known)
        if fresh:
            raise RuleError.of_all(f"guest {self.name}", fresh)
        return plan, (*found, *moved_devices(self.name, before, after), *oddities(after))

    def _reasons_against(self, record: GuestRecord, text: ConfText, host: str, scene: SiteScene) -> tuple[Problem, ...]:
        """Everything that would keep a guest with this configuration from starting."""
        try:
            request = StartRequest.of(record, parse_guest(self.name, text), self.datastore, host)
        except ConfigError as unreadable:
            return unreadable.problems
        except ConflictError as another:
            return (Problem("disks", another.message.removeprefix(f"guest {self.name}: "), another.hint),)
        return self._judge(request, scene)[1]
