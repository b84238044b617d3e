"""From an intent to its plan: what makes an unfinished operation resumable by anybody.

A fresh operation takes the same way: what a plan is built from has always gone through the intent. An operation's own
module, and the steps that it takes, are imported when an intent speaks of it: a command is about one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar
from uuid import UUID

from pyvmiscsi.errors import UnsupportedError
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.names import DatasetPath, GuestName
from pyvmiscsi.operations.anchors import change_journal
from pyvmiscsi.operations.guests import owned_by
from pyvmiscsi.operations.scene import Scene
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
    operation = VERBS.get(intent.verb)
    if operation is None:
        raise UnsupportedError(
            f"operation {intent.id}: {intent.verb!r} is not an operation this release knows",
            hint="use the pyvmiscsi that began it",
        )
    build = operation()
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


def _making() -> _Build:
    """A guest, of empty disks or of copies."""
    from pyvmiscsi.operations.create import CreateRequest, create_journal, create_plan

    def build(intent: Intent, datastore: DatastoreRecord, scene: Scene) -> tuple[Plan, Journal]:
        request = CreateRequest.from_json(intent.request)
        plan = create_plan(request, datastore, scene, intent.id, intent.verb)
        return plan, create_journal(request, datastore, scene)

    return build


def _destroy() -> _Build:
    from pyvmiscsi.operations.destroy import DestroyRequest, destroy_journal, destroy_plan

    return _verb(DestroyRequest, destroy_plan, destroy_journal)


def _rename() -> _Build:
    from pyvmiscsi.operations.rename import RenameRequest, rename_journal, rename_plan

    return _verb(RenameRequest, rename_plan, rename_journal)


def _promote() -> _Build:
    from pyvmiscsi.operations.promote import PromoteRequest, promote_plan

    return _verb(PromoteRequest, promote_plan, _on_its_guest)


def _add_disk() -> _Build:
    from pyvmiscsi.operations.add_disk import AddDiskRequest, add_disk_plan

    return _signing(AddDiskRequest, add_disk_plan, _on_its_guest)


def _remove_disk() -> _Build:
    from pyvmiscsi.operations.remove_disk import RemoveDiskRequest, remove_disk_plan

    return _verb(RemoveDiskRequest, remove_disk_plan, _on_its_guest)


def _resize() -> _Build:
    from pyvmiscsi.operations.resize import ResizeRequest, resize_plan

    return _verb(ResizeRequest, resize_plan, _on_its_guest)


def _add_network() -> _Build:
    from pyvmiscsi.operations.networks import NetworkRequest, add_network_plan

    return _verb(NetworkRequest, add_network_plan, _on_its_guest)


def _remove_network() -> _Build:
    from pyvmiscsi.operations.networks import NetworkRequest, remove_network_plan

    return _verb(NetworkRequest, remove_network_plan, _on_its_guest)


def _rotate_chap() -> _Build:
    from pyvmiscsi.operations.rotate_chap import RotateChapRequest, rotate_chap_plan

    return _signing(RotateChapRequest, rotate_chap_plan, _on_its_guest)


def _snapshot() -> _Build:
    from pyvmiscsi.operations.snapshots import SnapshotRequest, snapshot_plan

    return _verb(SnapshotRequest, snapshot_plan, _on_its_guest)


def _forget_snapshot() -> _Build:
    from pyvmiscsi.operations.snapshots import SnapshotRequest, forget_plan

    return _verb(SnapshotRequest, forget_plan, _on_its_guest)


def _rollback() -> _Build:
    from pyvmiscsi.operations.snapshots import RollbackRequest, rollback_plan

    return _signing(RollbackRequest, rollback_plan, _on_its_guest)


def _park() -> _Build:
    from pyvmiscsi.operations.trash import ParkRequest, park_journal, park_plan

    return _verb(ParkRequest, park_plan, park_journal)


def _restore() -> _Build:
    from pyvmiscsi.operations.trash import RestoreRequest, restore_journal, restore_plan

    return _signing(RestoreRequest, restore_plan, restore_journal)


def _empty_trash() -> _Build:
    from pyvmiscsi.operations.trash import EmptyRequest, empty_journal, empty_plan

    return _signing(EmptyRequest, empty_plan, empty_journal)


def _imaging() -> _Build:
    """An image, of a disk or of a file."""
    from pyvmiscsi.operations.images import ImageRequest, image_journal, image_plan

    def build(intent: Intent, datastore: DatastoreRecord, scene: Scene) -> tuple[Plan, Journal]:
        request = ImageRequest.from_json(intent.request)
        plan = image_plan(request, datastore, scene, intent.id, intent.verb)
        return plan, image_journal(request.mark.name, datastore, scene)

    return build


def _image_destroy() -> _Build:
    from pyvmiscsi.operations.images import ImageDestroyRequest, image_destroy_plan, image_journal

    def journal(request: ImageDestroyRequest, datastore: DatastoreRecord, scene: Scene) -> Journal:
        return image_journal(request.name, datastore, scene)

    return _signing(ImageDestroyRequest, image_destroy_plan, journal)


def _export() -> _Build:
    from pyvmiscsi.operations.images import ExportRequest, export_journal, export_plan

    return _signing(ExportRequest, export_plan, export_journal)


VERBS: dict[str, Callable[[], _Build]] = {
    "create": _making,
    "clone": _making,
    "provision": _making,
    "destroy": _destroy,
    "rename": _rename,
    "promote": _promote,
    "add-disk": _add_disk,
    "remove-disk": _remove_disk,
    "resize": _resize,
    "add-network": _add_network,
    "remove-network": _remove_network,
    "rotate-chap": _rotate_chap,
    "snapshot": _snapshot,
    "forget-snapshot": _forget_snapshot,
    "rollback": _rollback,
    "park": _park,
    "restore": _restore,
    "empty-trash": _empty_trash,
    "image-create": _imaging,
    "image-import": _imaging,
    "image-destroy": _image_destroy,
    "export": _export,
}
"""Verb, in the words of every intent that stands on a nas -> what imports its operation."""
