"""Unfinished operations, as any control host finds them on the nas."""

from __future__ import annotations

from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.operations.pending import PlannedOperation, planned_again
from pyvmiscsi.plan.engine import Preview
from pyvmiscsi.plan.intent import Intent
from pyvmiscsi.site.connections import Connections, SiteScene
from pyvmiscsi.site.running import Run
from pyvmiscsi.site.views import OperationView


class PendingOperation:
    """An operation that somebody began and did not finish."""

    def __init__(self, intent: Intent, datastore: DatastoreRecord, connections: Connections) -> None:
        self.intent = intent
        self._datastore = datastore
        self._connections = connections

    def view(self) -> OperationView:
        intent = self.intent
        return OperationView(intent.id, intent.verb, intent.subject, self._datastore.name, intent.by, intent.since)

    def preview(self) -> Preview:
        """What `resume` would still do."""
        return Run().engine().preview(self._planned().plan)

    def resume(self, run: Run | None = None) -> None:
        """Go on to the end, from whatever it reached."""
        operation = self._planned()
        (run or Run()).engine().resume(operation.plan, operation.journal, operation.intent)

    def rewind(self, run: Run | None = None) -> None:
        """Take back what it made; PastNoReturnError when that is no longer possible."""
        operation = self._planned()
        (run or Run()).engine().rewind(operation.plan, operation.journal, operation.intent)

    def _planned(self) -> PlannedOperation:
        return planned_again(self.intent, self._datastore, SiteScene(self._connections))
