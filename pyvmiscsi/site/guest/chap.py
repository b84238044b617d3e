"""A guest's CHAP account."""

from __future__ import annotations

from pyvmiscsi.operations.pending import PlannedOperation, planned
from pyvmiscsi.operations.rotate_chap import VERB as ROTATE_CHAP
from pyvmiscsi.operations.rotate_chap import RotateChapRequest, chap_tag_to_rotate
from pyvmiscsi.plan.engine import Preview
from pyvmiscsi.site.guest.access import GuestAccess
from pyvmiscsi.site.running import Run, new_intent
from pyvmiscsi.steps.sessions import guest_account


class Chap(GuestAccess):
    """New secrets, which nobody has to know: whoever logs in asks the nas."""

    def rotate_chap(self, run: Run | None = None) -> str:
        """Give the stopped guest's account a new secret, with mutual CHAP both; the account's name.

        On every nas that has a disk of the guest.

        BusyError while the guest runs or anybody is logged in: a session would live on, and could not come back once
        it is lost. RuleError for a guest without CHAP, ConflictError when the account opens others' targets, too.
        """
        self._refuse_running()
        operation, request = self._planned_rotation()
        self._execute(operation, run)
        return request.user

    def preview_rotate_chap(self) -> Preview:
        """The steps that `rotate_chap` would take; nothing is changed."""
        operation, _ = self._planned_rotation()
        return Run().engine().preview(operation.plan)

    def _planned_rotation(self) -> tuple[PlannedOperation, RotateChapRequest]:
        record, scene = self.record(), self._scene()
        tag = chap_tag_to_rotate(record)
        places = {where.nas: where for disk in record.disks for where in (disk.datastore(self.datastore),)}
        accounts = {name: guest_account(scene.nas(where), tag) for name, where in places.items()}
        targets = {name: scene.nas(where).inventory(where.parent).targets for name, where in places.items()}
        request = RotateChapRequest.of(record, self.datastore, accounts, targets)
        intent = new_intent(ROTATE_CHAP, str(self.name), request.as_json())
        return planned(intent, self.datastore, scene), request
