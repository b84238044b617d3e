"""New guests: what creating one and cloning another have in common."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pyvmiscsi.errors import BusyError, ConflictError
from pyvmiscsi.model import DatastoreRecord, chap_tag_of
from pyvmiscsi.names import Iqn
from pyvmiscsi.nas.recall import RecallingNas
from pyvmiscsi.operations.anchors import anchor_at
from pyvmiscsi.operations.copied_disk import CopiedDisk
from pyvmiscsi.operations.create import CreateRequest
from pyvmiscsi.operations.guests import is_a_guests
from pyvmiscsi.operations.pending import PlannedOperation, planned
from pyvmiscsi.plan.journal import DatasetAnchor, SharedJournal
from pyvmiscsi.site.connections import Connections, SiteScene
from pyvmiscsi.site.running import Run, new_intent
from pyvmiscsi.steps.exports import TargetExists


def planned_guest(
    verb: str, request: CreateRequest, datastore: DatastoreRecord, connections: Connections
) -> PlannedOperation:
    """The operation that makes this guest, with a new intent."""
    scene = SiteScene(connections)
    _look_ahead(request, datastore, scene)
    intent = new_intent(verb, str(request.guest), request.as_json())
    return planned(intent, datastore, scene)


def make_guest(
    verb: str, request: CreateRequest, datastore: DatastoreRecord, connections: Connections, run: Run
) -> None:
    """Make the guest; ConflictError when there is another, or anything else, in the way."""
    operation = planned_guest(verb, request, datastore, connections)
    _refuse_found_targets(operation)
    if datastore.layout == "flat":
        _refuse_found_clones(request, datastore, SiteScene(connections))
    run.engine().execute(operation.plan, operation.journal, operation.intent)


def beside(
    request: CreateRequest, datastore: DatastoreRecord, connections: Connections, error: ConflictError
) -> CreateRequest:
    """The request for another place: where its name leads, another guest's volumes stand.

    That guest was renamed, or is in the trash. Raises `error` when something else is in the way.
    """
    anchor = anchor_at(datastore.anchor_of(request.place), datastore, SiteScene(connections))
    marks = None if isinstance(error, BusyError) else anchor.marks()
    if marks is None or request.beside:
        raise error
    if not is_a_guests(anchor.path, marks):
        raise ConflictError(
            f"{anchor.path}: is there already, and is no guest's", hint="choose another name"
        ) from error
    return replace(request, beside=True)


def _look_ahead(request: CreateRequest, datastore: DatastoreRecord, scene: SiteScene) -> None:
    """Have the plan's few reads in flight together; the plan then finds them answered."""
    places = request.places(datastore, scene).items()
    for name in dict.fromkeys((datastore.nas, *(where.nas for _, (where, _) in places))):
        there = [(disk, where) for disk, (where, _) in places if where.nas == name]
        nas = scene.recalling(there[0][1] if there else datastore)
        _look_at(nas, request, [where.target_of(request.guest, disk) for disk, where in there])


def _look_at(nas: RecallingNas, request: CreateRequest, targets: Iterable[Iqn]) -> None:
    reads = [lambda iqn=iqn: nas.find_target(iqn) for iqn in targets]
    nas.together(nas.basename, lambda: nas.find_credentials(tag=chap_tag_of(request.uuid)), *reads)


def _refuse_found_targets(operation: PlannedOperation) -> None:
    """A target that is there already may have other LUNs: a destroy of the guest would take them along."""
    for step in operation.plan.steps:
        if isinstance(step, TargetExists) and step.holds():
            raise ConflictError(f"{step.title}: is there already", hint="delete it on the nas, or choose another name")


def _refuse_found_clones(request: CreateRequest, datastore: DatastoreRecord, scene: SiteScene) -> None:
    """No dataset of the guest's own keeps others out here, and a clone without marks could be anybody's."""
    nas = scene.nas(datastore)
    for intent in SharedJournal(DatasetAnchor(nas, datastore.parent), str(request.guest)).pending():
        raise intent.in_the_way_of(f"guest {request.guest}")
    for name, disk in request.numbered_disks:
        path = datastore.volume_of(request.place, name)
        if isinstance(disk, CopiedDisk) and nas.find_volume(path) is not None:
            raise ConflictError(f"volume {path}: is there already", hint="choose another name")
