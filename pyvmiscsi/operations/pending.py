"""From an intent back to its plan: what makes an unfinished operation resumable by anybody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyvmiscsi.errors import UnsupportedError
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.operations.add_disk import AddDiskRequest, add_disk_plan
from pyvmiscsi.operations.anchors import change_journal
from pyvmiscsi.operations.clone import VERB as CLONE
from pyvmiscsi.operations.create import CreateRequest, create_journal, create_plan
from pyvmiscsi.operations.destroy import DestroyRequest, destroy_journal, destroy_plan
from pyvmiscsi.operations.promote import VERB as PROMOTE
from pyvmiscsi.operations.promote import PromoteRequest, promote_plan
from pyvmiscsi.operations.rename import VERB as RENAME
from pyvmiscsi.operations.rename import RenameRequest, rename_journal, rename_plan
from pyvmiscsi.operations.resize import VERB as RESIZE
from pyvmiscsi.operations.resize import ResizeRequest, resize_plan
from pyvmiscsi.operations.rotate_chap import VERB as ROTATE_CHAP
from pyvmiscsi.operations.rotate_chap import RotateChapRequest, rotate_chap_plan
from pyvmiscsi.operations.scene import Scene
from pyvmiscsi.operations.snapshots import (
    FORGET,
    ROLLBACK,
    SNAPSHOT,
    RollbackRequest,
    SnapshotRequest,
    forget_plan,
    rollback_plan,
    snapshot_plan,
)
from pyvmiscsi.plan.intent import Intent
from pyvmiscsi.plan.journal import Journal
from pyvmiscsi.plan.step import Plan


@dataclass(frozen=True, slots=True)
class PlannedOperation:
    """An operation ready for the engine."""

    intent: Intent
    plan: Plan
    journal: Journal


def planned_again(intent: Intent, datastore: DatastoreRecord, scene: Scene) -> PlannedOperation:
    """The plan an intent speaks of; UnsupportedError when a newer pyvmiscsi wrote it."""
    build = _BUILDERS.get(intent.verb)
    if build is None:
        raise UnsupportedError(
            f"operation {intent.id}: {intent.verb!r} is not an operation this release knows",
            hint="use the pyvmiscsi that began it",
        )
    return build(intent, datastore, scene)


def planned_create(
    request: CreateRequest, intent: Intent, datastore: DatastoreRecord, scene: Scene
) -> PlannedOperation:
    """To make a guest, of empty disks or of copies, as the intent's verb says."""
    plan = create_plan(request, datastore, scene, intent.id, intent.verb)
    return PlannedOperation(intent, plan, create_journal(request, datastore, scene))


def planned_destroy(
    request: DestroyRequest, intent: Intent, datastore: DatastoreRecord, scene: Scene
) -> PlannedOperation:
    plan = destroy_plan(request, datastore, scene)
    return PlannedOperation(intent, plan, destroy_journal(request, datastore, scene))


def planned_add_disk(
    request: AddDiskRequest, intent: Intent, datastore: DatastoreRecord, scene: Scene
) -> PlannedOperation:
    plan = add_disk_plan(request, datastore, scene, intent.id)
    return PlannedOperation(intent, plan, change_journal(request.anchor, datastore, scene))


def _create(intent: Intent, datastore: DatastoreRecord, scene: Scene) -> PlannedOperation:
    return planned_create(CreateRequest.from_json(intent.request), intent, datastore, scene)


def _destroy(intent: Intent, datastore: DatastoreRecord, scene: Scene) -> PlannedOperation:
    return planned_destroy(DestroyRequest.from_json(intent.request), intent, datastore, scene)


def _add_disk(intent: Intent, datastore: DatastoreRecord, scene: Scene) -> PlannedOperation:
    return planned_add_disk(AddDiskRequest.from_json(intent.request), intent, datastore, scene)


def planned_snapshot(
    request: SnapshotRequest, intent: Intent, datastore: DatastoreRecord, scene: Scene
) -> PlannedOperation:
    """To take a snapshot or to forget one, as the intent's verb says."""
    plan = (snapshot_plan if intent.verb == SNAPSHOT else forget_plan)(request, datastore, scene)
    return PlannedOperation(intent, plan, change_journal(request.anchor, datastore, scene))


def planned_rollback(
    request: RollbackRequest, intent: Intent, datastore: DatastoreRecord, scene: Scene
) -> PlannedOperation:
    plan = rollback_plan(request, datastore, scene, intent.id)
    return PlannedOperation(intent, plan, change_journal(request.anchor, datastore, scene))


def planned_resize(
    request: ResizeRequest, intent: Intent, datastore: DatastoreRecord, scene: Scene
) -> PlannedOperation:
    plan = resize_plan(request, datastore, scene)
    return PlannedOperation(intent, plan, change_journal(request.anchor, datastore, scene))


def planned_rotate_chap(
    request: RotateChapRequest, intent: Intent, datastore: DatastoreRecord, scene: Scene
) -> PlannedOperation:
    plan = rotate_chap_plan(request, datastore, scene, intent.id)
    return PlannedOperation(intent, plan, change_journal(request.anchor, datastore, scene))


def planned_promote(
    request: PromoteRequest, intent: Intent, datastore: DatastoreRecord, scene: Scene
) -> PlannedOperation:
    plan = promote_plan(request, datastore, scene)
    return PlannedOperation(intent, plan, change_journal(request.anchor, datastore, scene))


def _promote(intent: Intent, datastore: DatastoreRecord, scene: Scene) -> PlannedOperation:
    return planned_promote(PromoteRequest.from_json(intent.request), intent, datastore, scene)


def planned_rename(
    request: RenameRequest, intent: Intent, datastore: DatastoreRecord, scene: Scene
) -> PlannedOperation:
    plan = rename_plan(request, datastore, scene)
    return PlannedOperation(intent, plan, rename_journal(request, datastore, scene))


def _rename(intent: Intent, datastore: DatastoreRecord, scene: Scene) -> PlannedOperation:
    return planned_rename(RenameRequest.from_json(intent.request), intent, datastore, scene)


def _resize(intent: Intent, datastore: DatastoreRecord, scene: Scene) -> PlannedOperation:
    return planned_resize(ResizeRequest.from_json(intent.request), intent, datastore, scene)


def _rotate_chap(intent: Intent, datastore: DatastoreRecord, scene: Scene) -> PlannedOperation:
    return planned_rotate_chap(RotateChapRequest.from_json(intent.request), intent, datastore, scene)


def _snapshot(intent: Intent, datastore: DatastoreRecord, scene: Scene) -> PlannedOperation:
    return planned_snapshot(SnapshotRequest.from_json(intent.request), intent, datastore, scene)


def _rollback(intent: Intent, datastore: DatastoreRecord, scene: Scene) -> PlannedOperation:
    return planned_rollback(RollbackRequest.from_json(intent.request), intent, datastore, scene)


_BUILDERS: dict[str, Callable[[Intent, DatastoreRecord, Scene], PlannedOperation]] = {
    "add-disk": _add_disk,
    CLONE: _create,
    PROMOTE: _promote,
    "create": _create,
    FORGET: _snapshot,
    RENAME: _rename,
    RESIZE: _resize,
    ROTATE_CHAP: _rotate_chap,
    ROLLBACK: _rollback,
    SNAPSHOT: _snapshot,
    "destroy": _destroy,
}
