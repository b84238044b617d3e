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
from pyvmiscsi.operations.images import CREATE as IMAGE_CREATE
from pyvmiscsi.operations.images import DESTROY as IMAGE_DESTROY
from pyvmiscsi.operations.images import (
    EXPORT,
    PROVISION,
    ExportRequest,
    ImageDestroyRequest,
    ImageRequest,
    export_journal,
    export_plan,
    image_destroy_plan,
    image_journal,
    image_plan,
)
from pyvmiscsi.operations.images import IMPORT as IMAGE_IMPORT
from pyvmiscsi.operations.networks import ADD as ADD_NETWORK
from pyvmiscsi.operations.networks import REMOVE as REMOVE_NETWORK
from pyvmiscsi.operations.networks import NetworkRequest, add_network_plan, remove_network_plan
from pyvmiscsi.operations.promote import VERB as PROMOTE
from pyvmiscsi.operations.promote import PromoteRequest, promote_plan
from pyvmiscsi.operations.remove_disk import VERB as REMOVE_DISK
from pyvmiscsi.operations.remove_disk import RemoveDiskRequest, remove_disk_plan
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
from pyvmiscsi.operations.trash import (
    EMPTY,
    PARK,
    RESTORE,
    EmptyRequest,
    ParkRequest,
    RestoreRequest,
    empty_journal,
    empty_plan,
    park_journal,
    park_plan,
    restore_journal,
    restore_plan,
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


def planned_remove_disk(
    request: RemoveDiskRequest, intent: Intent, datastore: DatastoreRecord, scene: Scene
) -> PlannedOperation:
    plan = remove_disk_plan(request, datastore, scene)
    return PlannedOperation(intent, plan, change_journal(request.anchor, datastore, scene))


def planned_network(
    request: NetworkRequest, intent: Intent, datastore: DatastoreRecord, scene: Scene
) -> PlannedOperation:
    """To add a network or to remove one, as the intent's verb says."""
    plan = (add_network_plan if intent.verb == ADD_NETWORK else remove_network_plan)(request, datastore, scene)
    return PlannedOperation(intent, plan, change_journal(request.anchor, datastore, scene))


def _remove_disk(intent: Intent, datastore: DatastoreRecord, scene: Scene) -> PlannedOperation:
    return planned_remove_disk(RemoveDiskRequest.from_json(intent.request), intent, datastore, scene)


def _network(intent: Intent, datastore: DatastoreRecord, scene: Scene) -> PlannedOperation:
    return planned_network(NetworkRequest.from_json(intent.request), intent, datastore, scene)


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


def planned_image(request: ImageRequest, intent: Intent, datastore: DatastoreRecord, scene: Scene) -> PlannedOperation:
    """To make an image of a disk or of a file, as the intent's verb says."""
    plan = image_plan(request, datastore, scene, intent.id, intent.verb)
    return PlannedOperation(intent, plan, image_journal(request.mark.name, datastore, scene))


def _image(intent: Intent, datastore: DatastoreRecord, scene: Scene) -> PlannedOperation:
    return planned_image(ImageRequest.from_json(intent.request), intent, datastore, scene)


def planned_image_destroy(
    request: ImageDestroyRequest, intent: Intent, datastore: DatastoreRecord, scene: Scene
) -> PlannedOperation:
    plan = image_destroy_plan(request, datastore, scene, intent.id)
    return PlannedOperation(intent, plan, image_journal(request.name, datastore, scene))


def _image_destroy(intent: Intent, datastore: DatastoreRecord, scene: Scene) -> PlannedOperation:
    return planned_image_destroy(ImageDestroyRequest.from_json(intent.request), intent, datastore, scene)


def planned_export(
    request: ExportRequest, intent: Intent, datastore: DatastoreRecord, scene: Scene
) -> PlannedOperation:
    plan = export_plan(request, datastore, scene, intent.id)
    return PlannedOperation(intent, plan, export_journal(request, datastore, scene))


def _export(intent: Intent, datastore: DatastoreRecord, scene: Scene) -> PlannedOperation:
    return planned_export(ExportRequest.from_json(intent.request), intent, datastore, scene)


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


def planned_park(request: ParkRequest, intent: Intent, datastore: DatastoreRecord, scene: Scene) -> PlannedOperation:
    return PlannedOperation(intent, park_plan(request, datastore, scene), park_journal(request, datastore, scene))


def planned_restore(
    request: RestoreRequest, intent: Intent, datastore: DatastoreRecord, scene: Scene
) -> PlannedOperation:
    plan = restore_plan(request, datastore, scene, intent.id)
    return PlannedOperation(intent, plan, restore_journal(request, datastore, scene))


def planned_empty(request: EmptyRequest, intent: Intent, datastore: DatastoreRecord, scene: Scene) -> PlannedOperation:
    plan = empty_plan(request, datastore, scene, intent.id)
    return PlannedOperation(intent, plan, empty_journal(request, datastore, scene))


def _park(intent: Intent, datastore: DatastoreRecord, scene: Scene) -> PlannedOperation:
    return planned_park(ParkRequest.from_json(intent.request), intent, datastore, scene)


def _restore(intent: Intent, datastore: DatastoreRecord, scene: Scene) -> PlannedOperation:
    return planned_restore(RestoreRequest.from_json(intent.request), intent, datastore, scene)


def _empty(intent: Intent, datastore: DatastoreRecord, scene: Scene) -> PlannedOperation:
    return planned_empty(EmptyRequest.from_json(intent.request), intent, datastore, scene)


_BUILDERS: dict[str, Callable[[Intent, DatastoreRecord, Scene], PlannedOperation]] = {
    "add-disk": _add_disk,
    ADD_NETWORK: _network,
    REMOVE_NETWORK: _network,
    REMOVE_DISK: _remove_disk,
    CLONE: _create,
    EXPORT: _export,
    IMAGE_CREATE: _image,
    IMAGE_DESTROY: _image_destroy,
    IMAGE_IMPORT: _image,
    PROVISION: _create,
    PROMOTE: _promote,
    "create": _create,
    EMPTY: _empty,
    FORGET: _snapshot,
    PARK: _park,
    RENAME: _rename,
    RESTORE: _restore,
    RESIZE: _resize,
    ROTATE_CHAP: _rotate_chap,
    ROLLBACK: _rollback,
    SNAPSHOT: _snapshot,
    "destroy": _destroy,
}
