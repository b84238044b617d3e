"""From an intent to its plan: what makes an unfinished operation resumable by anybody.

A fresh operation takes the same way: what a plan is built from has always gone through the intent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar
from uuid import UUID

from pyvmiscsi.errors import UnsupportedError
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.names import DatasetPath, GuestName
from pyvmiscsi.operations.add_disk import VERB as ADD_DISK
from pyvmiscsi.operations.add_disk import AddDiskRequest, add_disk_plan
from pyvmiscsi.operations.anchors import change_journal
from pyvmiscsi.operations.clone import VERB as CLONE
from pyvmiscsi.operations.create import VERB as CREATE
from pyvmiscsi.operations.create import CreateRequest, create_journal, create_plan
from pyvmiscsi.operations.destroy import VERB as DESTROY
from pyvmiscsi.operations.destroy import DestroyRequest, destroy_journal, destroy_plan
from pyvmiscsi.operations.guests import owned_by
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


def planned(intent: Intent, datastore: DatastoreRecord, scene: Scene) -> PlannedOperation:
    """The plan an intent speaks of, and where the intent is kept; UnsupportedError when a newer pyvmiscsi wrote it."""
    build = VERBS.get(intent.verb)
    if build is None:
        raise UnsupportedError(
            f"operation {intent.id}: {intent.verb!r} is not an operation this release knows",
            hint="use the pyvmiscsi that began it",
        )
    plan, journal = build(intent, datastore, scene)
    return PlannedOperation(intent, plan, journal)


class _Request(Protocol):
    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self: ...


class _OnItsGuest(_Request, Protocol):
    @property
    def guest(self) -> GuestName: ...

    @property
    def uuid(self) -> UUID: ...

    @property
    def anchor(self) -> DatasetPath: ...


R = TypeVar("R", bound=_Request)

_Plan = Callable[[R, DatastoreRecord, Scene], Plan]
_SigningPlan = Callable[[R, DatastoreRecord, Scene, str], Plan]
_Journal = Callable[[R, DatastoreRecord, Scene], Journal]
_Build = Callable[[Intent, DatastoreRecord, Scene], tuple[Plan, Journal]]


def _verb(request: type[R], plan: _Plan[R], journal: _Journal[R]) -> _Build:
    def build(intent: Intent, datastore: DatastoreRecord, scene: Scene) -> tuple[Plan, Journal]:
        asked = request.from_json(intent.request)
        return plan(asked, datastore, scene), journal(asked, datastore, scene)

    return build


def _signing(request: type[R], plan: _SigningPlan[R], journal: _Journal[R]) -> _Build:
    """A verb that leaves the operation's id on what it makes."""

    def build(intent: Intent, datastore: DatastoreRecord, scene: Scene) -> tuple[Plan, Journal]:
        asked = request.from_json(intent.request)
        return plan(asked, datastore, scene, intent.id), journal(asked, datastore, scene)

    return build


def _on_its_guest(request: _OnItsGuest, datastore: DatastoreRecord, scene: Scene) -> Journal:
    return change_journal(request.anchor, datastore, scene, owned_by(request.guest, request.uuid))


def _making(intent: Intent, datastore: DatastoreRecord, scene: Scene) -> tuple[Plan, Journal]:
    """A guest, of empty disks or of copies."""
    request = CreateRequest.from_json(intent.request)
    plan = create_plan(request, datastore, scene, intent.id, intent.verb)
    return plan, create_journal(request, datastore, scene)


def _imaging(intent: Intent, datastore: DatastoreRecord, scene: Scene) -> tuple[Plan, Journal]:
    """An image, of a disk or of a file."""
    request = ImageRequest.from_json(intent.request)
    plan = image_plan(request, datastore, scene, intent.id, intent.verb)
    return plan, image_journal(request.mark.name, datastore, scene)


def _of_image(request: ImageDestroyRequest, datastore: DatastoreRecord, scene: Scene) -> Journal:
    return image_journal(request.name, datastore, scene)


VERBS: dict[str, _Build] = {
    CREATE: _making,
    CLONE: _making,
    PROVISION: _making,
    DESTROY: _verb(DestroyRequest, destroy_plan, destroy_journal),
    RENAME: _verb(RenameRequest, rename_plan, rename_journal),
    PROMOTE: _verb(PromoteRequest, promote_plan, _on_its_guest),
    ADD_DISK: _signing(AddDiskRequest, add_disk_plan, _on_its_guest),
    REMOVE_DISK: _verb(RemoveDiskRequest, remove_disk_plan, _on_its_guest),
    RESIZE: _verb(ResizeRequest, resize_plan, _on_its_guest),
    ADD_NETWORK: _verb(NetworkRequest, add_network_plan, _on_its_guest),
    REMOVE_NETWORK: _verb(NetworkRequest, remove_network_plan, _on_its_guest),
    ROTATE_CHAP: _signing(RotateChapRequest, rotate_chap_plan, _on_its_guest),
    SNAPSHOT: _verb(SnapshotRequest, snapshot_plan, _on_its_guest),
    FORGET: _verb(SnapshotRequest, forget_plan, _on_its_guest),
    ROLLBACK: _signing(RollbackRequest, rollback_plan, _on_its_guest),
    PARK: _verb(ParkRequest, park_plan, park_journal),
    RESTORE: _signing(RestoreRequest, restore_plan, restore_journal),
    EMPTY: _signing(EmptyRequest, empty_plan, empty_journal),
    IMAGE_CREATE: _imaging,
    IMAGE_IMPORT: _imaging,
    IMAGE_DESTROY: _signing(ImageDestroyRequest, image_destroy_plan, _of_image),
    EXPORT: _signing(ExportRequest, export_plan, export_journal),
}
