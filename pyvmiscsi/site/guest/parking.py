"""A guest put into the trash."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pyvmiscsi.errors import InputError
from pyvmiscsi.operations.pending import PlannedOperation, planned
from pyvmiscsi.operations.trash import PARK, ParkRequest
from pyvmiscsi.plan.engine import Preview
from pyvmiscsi.site.guest.access import GuestAccess
from pyvmiscsi.site.running import Run, new_intent

LONGEST = 36500
"""Days."""


class Parking(GuestAccess):
    """A guest parked; `pyvmiscsi.site.trash` brings it back, or lets it go."""

    def park(self, days: int, run: Run | None = None) -> str:
        """Put the stopped guest into the trash, for at least so many days; the label under which it is found there.

        Its volumes and snapshots stay as they are, nobody is offered them any more, and its name is free. BusyError
        while it runs or any session has a disk of it, and nothing is touched then.
        """
        self._refuse_running()
        operation = self._planned_park(days)
        self._execute(operation, run)
        return ParkRequest.from_json(operation.intent.request).parked.label

    def preview_park(self, days: int) -> Preview:
        """The steps that `park` would take; nothing is changed."""
        return Run().engine().preview(self._planned_park(days).plan)

    def _planned_park(self, days: int) -> PlannedOperation:
        if not 1 <= days <= LONGEST:
            raise InputError(f"{days} days: not between 1 and {LONGEST}", hint="a guest may be destroyed at once, too")
        scene = self._scene()
        conf = f"{self.datastore.config_path}/{self.name}/{self.name}.conf"
        request = ParkRequest.of(
            self.record(),
            self.datastore,
            until=datetime.now(UTC).replace(microsecond=0) + timedelta(days=days),
            configured=self._config_host(scene).read_file(conf) is not None,
        )
        return planned(new_intent(PARK, str(self.name), request.as_json()), self.datastore, scene)
