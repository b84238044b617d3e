"""What a guest is told by cloud-init, once it is there."""

from __future__ import annotations

from dataclasses import replace
from secrets import token_hex

from pyvmiscsi.bhyve.configuration.config_text import parse_guest
from pyvmiscsi.errors import RuleError
from pyvmiscsi.operations.first_boot import is_seed, seed_disk
from pyvmiscsi.operations.networks import conf_path, said_of
from pyvmiscsi.plan.engine import Preview
from pyvmiscsi.plan.step import Plan, Step
from pyvmiscsi.site.guest.access import GuestAccess
from pyvmiscsi.site.running import Run, new_intent
from pyvmiscsi.steps.configuration import ConfigurationSays
from pyvmiscsi.steps.first_boot import CloudInit
from pyvmiscsi.steps.lock import NoJournal
from pyvmiscsi.steps.seeds import Seed, SeedChanged

TELL = "cloud-init"


class FirstBoot(GuestAccess):
    """The CD that its cloud-init reads."""

    def tell(self, given: CloudInit, *, again: bool = False, run: Run | None = None) -> None:
        """Have its cloud-init read this from the next start on; what is not given stays as it was.

        Cloud-init sets a guest up once, and then only follows its host name; `again` makes it another instance, for
        which it does all of that once more, new SSH host keys included. A stopped guest without such a CD gets one.
        BusyError while the guest runs, or an operation on it is unfinished.
        """
        plan = self._tell_plan(given, again=again)
        intent = replace(new_intent(TELL, str(self.name), {}), kept=False)
        (run or Run()).engine().execute(plan, NoJournal(), intent)

    def preview_tell(self, given: CloudInit, *, again: bool = False) -> Preview:
        """The steps that `tell` would take; nothing is changed."""
        return Run().engine().preview(self._tell_plan(given, again=again))

    def _tell_plan(self, given: CloudInit, *, again: bool) -> Plan:
        self._refuse_running()
        record, scene = self.record(), self._scene()
        self._refuse_unfinished(record)
        host = self._config_host(scene)
        text = self._config_text(host.name, scene)
        config = parse_guest(self.name, text)
        if config.uuid != record.uuid:
            raise RuleError(f"guest {self.name}: its configuration has another uuid than the nas")
        directory = f"{self.datastore.config_path}/{self.name}"
        instance = f"{record.uuid}-{token_hex(4)}" if again else None
        steps: list[Step] = [SeedChanged(Seed(host, directory), str(self.name), given, str(record.uuid), instance)]
        if not any(is_seed(disk) for disk in config.disks):
            settings = seed_disk(len(config.disks))
            path = conf_path(self.name, self.datastore)
            steps.append(ConfigurationSays(host, path, settings, said_of(settings, text)))
        return Plan(TELL, str(self.name), tuple(steps))
