"""A guest under another name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyvmiscsi.errors import AlreadyExistsError, BusyError, ConflictError, InputError
from pyvmiscsi.names import GuestName
from pyvmiscsi.operations.guests import GuestRecord, is_a_guests
from pyvmiscsi.operations.pending import PlannedOperation, planned
from pyvmiscsi.operations.rename import VERB as RENAME
from pyvmiscsi.operations.rename import RenamedAccount, RenameRequest, speaks_of
from pyvmiscsi.plan.engine import Preview
from pyvmiscsi.plan.intent import read_intents
from pyvmiscsi.ports import Nas
from pyvmiscsi.site.connections import SiteScene
from pyvmiscsi.site.guest.access import GuestAccess
from pyvmiscsi.site.running import Run, new_intent
from pyvmiscsi.steps.naming import find, peer_of
from pyvmiscsi.steps.seeds import SEED, Seed

if TYPE_CHECKING:
    from pyvmiscsi.site.guest import Guest


class Naming(GuestAccess):
    """A guest renamed."""

    def rename(self, new_name: str, run: Run | None = None) -> Guest:
        """Call the stopped guest something else, and everything of it on the nas and in the config path; that guest.

        Its serials, addresses and secrets stay. Where the nas cannot rename datasets its volumes keep their names.
        InputError for what is no name; AlreadyExistsError, before anything is touched, when anything has it already.
        """
        self._refuse_running()
        operation = self._planned_rename(GuestName.parse(new_name))
        self._execute(operation, run)
        return self._other(GuestName.parse(new_name))

    def preview_rename(self, new_name: str) -> Preview:
        """The steps that `rename` would take; nothing is changed."""
        return Run().engine().preview(self._planned_rename(GuestName.parse(new_name)).plan)

    def _planned_rename(self, new_name: GuestName) -> PlannedOperation:
        if new_name == self.name:
            raise InputError(f"guest {self.name}: that is its name")
        record, scene = self.record(), self._scene()
        nas, host = scene.nas(self.datastore), self._config_host(scene)
        place = self._new_place(record, new_name, nas)
        directory = f"{self.datastore.config_path}/{self.name}"
        conf = host.read_file(f"{directory}/{self.name}.conf")
        request = RenameRequest.of(
            record,
            new_name,
            self.datastore,
            place=place,
            account=_account_of(record, nas),
            configured=conf is not None,
            seeded=conf is not None and SEED.encode() in conf and Seed(host, directory).tells_name(),
        )
        self._refuse_taken(request, scene)
        return planned(new_intent(RENAME, str(self.name), request.as_json()), self.datastore, scene)

    def _new_place(self, record: GuestRecord, new_name: GuestName, nas: Nas) -> str | None:
        """Where its volumes go: below its new name, or beside another guest's that stand there; None: they stay."""
        if not nas.capabilities().rename_dataset:
            return None
        self._refuse_to_leave_behind(record, nas)
        for place in (str(new_name), f"{new_name}-{record.uuid.hex[:8]}"):
            anchor = self.datastore.anchor_of(place)
            if anchor == record.anchor:
                return None
            disks = (
                self.datastore.volume_of(place, name) for name in (*(disk.name for disk in record.disks), *record.kept)
            )
            taken = next((found for path in dict.fromkeys((anchor, *disks)) if (found := find(nas, path))), None)
            if taken is None:
                return place
            if not is_a_guests(taken.path, taken.marks):
                raise AlreadyExistsError(f"{taken.path}: is there already", hint="choose another name")
        raise AlreadyExistsError(f"{anchor}: is there already", hint="choose another name")

    def _refuse_to_leave_behind(self, record: GuestRecord, nas: Nas) -> None:
        """Others may count on the volumes where they are: extents that are not the guest's, operations cut short."""
        inventory, parent = nas.inventory(self.datastore.parent), nas.find_dataset(self.datastore.parent)
        own = {disk.volume.path for disk in record.disks}
        for extent in inventory.extents:
            if extent.volume.is_below(record.anchor) and extent.volume not in own:
                raise ConflictError(
                    f"volume {extent.volume}: offered by extent {extent.name}, and no disk of guest {self.name}",
                    hint="that extent would lose it: move it elsewhere on the nas first",
                )
        bearers = (*((parent,) if parent else ()), *inventory.datasets, *inventory.volumes)
        for intent in (intent for bearer in bearers for intent in read_intents(bearer.path, bearer.marks)):
            if intent not in record.intents and any(speaks_of(intent, path) for path in {record.anchor, *own}):
                raise BusyError(
                    f"guest {self.name}: {intent.verb} {intent.subject} is unfinished, and needs it where it is",
                    hint=f"pyvmiscsi ops resume {intent.id}, or ops rewind {intent.id}",
                )

    def _refuse_taken(self, request: RenameRequest, scene: SiteScene) -> None:
        nas, name = scene.nas(self.datastore), request.new_name
        taken = [f"guest {name}"] if self._other(name).exists() else []
        taken += [f"target {iqn}" for disk in request.disks if (iqn := disk.new_target) and nas.find_target(iqn)]
        taken += [
            f"extent {extent.new_name}"
            for extent in request.extents
            if extent.new_name != extent.name and nas.find_extent(extent.new_name)
        ]
        directory = f"{self.datastore.config_path}/{name}"
        taken += [directory] if self._config_host(scene).list_directory(directory) else []
        if taken:
            raise AlreadyExistsError(f"{taken[0]}: is there already", hint="choose another name")

    def _other(self, name: GuestName) -> Guest:
        from pyvmiscsi.site.guest import Guest  # which has all families

        return Guest(name, self.datastore, self._connections)


def _account_of(record: GuestRecord, nas: Nas) -> RenamedAccount | None:
    if record.chap_tag is None:
        return None
    name = str(record.name)
    own = next((one for one in nas.find_credentials(tag=record.chap_tag) if one.user == name), None)
    return RenamedAccount(record.chap_tag, own.peer_user == peer_of(name)) if own else None
