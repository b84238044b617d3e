"""The end of a guest."""

from __future__ import annotations

from pyvmiscsi.operations.destroy import VERB as DESTROY
from pyvmiscsi.operations.destroy import DestroyRequest
from pyvmiscsi.operations.pending import PlannedOperation, planned_destroy
from pyvmiscsi.plan.engine import Preview
from pyvmiscsi.site.guest.access import GuestAccess
from pyvmiscsi.site.running import Run, new_intent


class Removal(GuestAccess):
    """A guest destroyed."""

    def destroy(self, run: Run | None = None) -> None:
        """Everything of the guest goes, on the nas too; BusyError while it runs or any session has a disk of it."""
        self._refuse_running()
        operation = self._planned_destroy()
        self._execute(operation, run)

    def preview_destroy(self) -> Preview:
        """The steps that `destroy` would take; nothing is changed."""
        return Run().engine().preview(self._planned_destroy().plan)

    def _planned_destroy(self) -> PlannedOperation:
        request = DestroyRequest.of(self.record(), self.datastore)
        intent = new_intent(DESTROY, str(self.name), request.as_json())
        return planned_destroy(request, intent, self.datastore, self._scene())
