"""A guest created, or the same create gone on with."""

from __future__ import annotations

from dataclasses import replace

from pyvmiscsi.errors import BusyError, ConflictError
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.operations.create import VERB, CreateRequest, DiskRequest, create_plan
from pyvmiscsi.operations.guests import GuestRecord
from pyvmiscsi.operations.pending import PlannedOperation, planned
from pyvmiscsi.site.connections import Connections, SiteScene
from pyvmiscsi.site.guest import Guest
from pyvmiscsi.site.making import beside, make_guest, planned_guest
from pyvmiscsi.site.running import Run, is_under_way
from pyvmiscsi.steps.difference import refuse_difference


def planned_create(request: CreateRequest, datastore: DatastoreRecord, connections: Connections) -> PlannedOperation:
    """The operation that creates this guest, with a new intent."""
    return planned_guest(VERB, request, datastore, connections)


def create_guest(request: CreateRequest, datastore: DatastoreRecord, connections: Connections, run: Run) -> None:
    """Make the guest, or go on with the same create; ConflictError names the first difference to what is in the way."""
    try:
        make_guest(VERB, request, datastore, connections, run)
    except ConflictError as error:
        found = Guest(request.guest, datastore, connections).find_record()
        if found is None:
            create_guest(beside(request, datastore, connections, error), datastore, connections, run)
        else:
            elsewhere = found.anchor != datastore.anchor_of(request.guest)
            same = replace(request, uuid=found.uuid, beside=elsewhere)
            _carry_on(same, found, datastore, SiteScene(connections), run)


def _carry_on(
    request: CreateRequest, found: GuestRecord, datastore: DatastoreRecord, scene: SiteScene, run: Run
) -> None:
    """There is a guest: it may be the same one, unfinished or complete."""
    if not found.intents:
        _refuse_another(request, found, datastore, scene)
        return
    pending = found.intents[0]
    if is_under_way(pending):
        raise BusyError(
            f"guest {request.guest}: {pending.by} is at work on it",
            hint=f"if that process is none of ours: pyvmiscsi ops resume {pending.id}",
        )
    if pending.verb != VERB or CreateRequest.from_json(pending.request) != request:
        raise BusyError(
            f"guest {request.guest}: another {pending.verb}, by {pending.by}, is unfinished",
            hint=f"pyvmiscsi ops resume {pending.id}, or ops rewind {pending.id}",
        )
    operation = planned(pending, datastore, scene)
    run.engine().resume(operation.plan, operation.journal, operation.intent)


def _refuse_another(request: CreateRequest, found: GuestRecord, datastore: DatastoreRecord, scene: SiteScene) -> None:
    for step in create_plan(request, datastore, scene, "").steps:
        if not step.holds():
            raise ConflictError(f"guest {request.guest}: exists already, without {step.title}")
    title = f"guest {request.guest}"
    refuse_difference(title, [("its number of disks", len(found.disks), len(request.disks))])
    for disk, asked in zip(found.disks, request.disks, strict=True):
        if isinstance(asked, DiskRequest):
            refuse_difference(f"{title}, {disk.name}", [("size", disk.volume.size, asked.size)])
