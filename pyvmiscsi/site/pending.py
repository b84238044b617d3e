"""Unfinished operations, as any control host finds them: on the nas, or (starts) in a guest's lock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from pyvmiscsi.bhyve.hypervisor import Hypervisor
from pyvmiscsi.errors import HostUnreachableError
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.operations.pending import PlannedOperation, planned
from pyvmiscsi.operations.start import start_intent
from pyvmiscsi.plan.engine import Preview
from pyvmiscsi.plan.intent import Intent
from pyvmiscsi.site.connections import Connections, SiteScene
from pyvmiscsi.site.datastore import Datastore
from pyvmiscsi.site.running import Run
from pyvmiscsi.site.survey import sharing, survey_hosts
from pyvmiscsi.site.views import OperationView


@dataclass(frozen=True, slots=True)
class PendingOperation:
    """An operation that somebody began and did not finish."""

    intent: Intent
    datastore: str
    _planned: Callable[[], PlannedOperation]

    def view(self) -> OperationView:
        intent = self.intent
        return OperationView(intent.id, intent.verb, intent.subject, self.datastore, intent.by, intent.since)

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


def pending_operations(datastore: Datastore, connections: Connections) -> list[PendingOperation]:
    """Every unfinished operation on the guests of a datastore."""
    return [*_on_the_nas(datastore, connections), *_in_locks(datastore, connections)]


def _on_the_nas(datastore: Datastore, connections: Connections) -> Iterator[PendingOperation]:
    for intent in datastore.intents():
        planned = partial(_planned_afresh, intent, datastore.record, connections)
        yield PendingOperation(intent, datastore.record.name, planned)


def _planned_afresh(intent: Intent, datastore: DatastoreRecord, connections: Connections) -> PlannedOperation:
    """With a scene of its own each time: between a preview and a resume others may have been at work."""
    return planned(intent, datastore, SiteScene(connections))


def _in_locks(datastore: Datastore, connections: Connections) -> Iterator[PendingOperation]:
    """Starts whose lock is held while nothing runs: the process that began them is gone, or not yet there."""
    try:
        hosts = survey_hosts(datastore.record, connections)
    except HostUnreachableError as error:
        connections.warn(f"{error}: unfinished starts are not seen")
        return
    names = {glance.name for glance in hosts.hosts}
    for name in hosts.directories:
        state, host = hosts.state_of(name)
        if state == "Locked" and host in names:
            yield from _start_in_lock(datastore, connections, name, host)


def _start_in_lock(datastore: Datastore, connections: Connections, name: str, host: str) -> Iterator[PendingOperation]:
    guest = datastore.guest(name)
    if sharing(datastore.record, connections.record) and not guest.exists():
        return  # the start of another datastore's guest
    directory = f"{datastore.record.config_path}/{name}"
    holder = Hypervisor(connections.host(host)).run_lock(guest.name, directory).find_holder()
    if holder is not None and holder.operation is not None and not holder.is_stop:
        verb, request = start_intent(name, host, holder.medium)
        intent = Intent(holder.operation, verb, name, request, by=holder.by or holder.host, since=holder.since)
        yield PendingOperation(intent, datastore.record.name, partial(guest.planned_start, intent))
