"""Every call of a rename, and of the trash's verbs x (killed before, killed after, answer lost) x (resume, rewind).

In memory, in both layouts; a rename where the nas renames datasets, and where it does not.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from pyvmiscsi.errors import PastNoReturnError
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.names import DiskName, GuestName, Serial, SnapshotName
from pyvmiscsi.operations.create import CreateRequest
from pyvmiscsi.operations.guests import GuestRecord, guest_records
from pyvmiscsi.operations.parked import ParkedRecord, parked_records
from pyvmiscsi.operations.pending import PlannedOperation, planned
from pyvmiscsi.operations.rename import RenamedAccount, RenameRequest
from pyvmiscsi.operations.trash import EmptyRequest, ParkRequest, RestoreRequest
from pyvmiscsi.plan.engine import Engine
from pyvmiscsi.plan.intent import Intent, mark, read_intents, read_mark
from pyvmiscsi.steps.signature import Signature
from tests.fakes.nas import FakeNas
from tests.operations.scenes import FakeScene, datastore_in
from tests.operations.test_crash_matrix import DISKS, bad_luck, everything, execute
from tests.plan.worlds import Killed

WEB1, WEB2, DB1 = GuestName.parse("web1"), GuestName.parse("web2"), GuestName.parse("db1")


def create(guest: GuestName, id_: str, scene: FakeScene, datastore: DatastoreRecord) -> None:
    request = CreateRequest(guest, DISKS if guest == WEB1 else DISKS[:1], mutual=True)
    intent = Intent(id_, "create", str(guest), request.as_json(), "root@control", "2026-11-22T09:00:00Z")
    execute(planned(intent, datastore, scene.another()))


def prepare(directory: Path, layout: str) -> tuple[FakeScene, DatastoreRecord]:
    """web1 with two written disks, one of which bears another mark, and db1, its neighbour."""
    directory.mkdir()
    scene, datastore = FakeScene(FakeNas(), directory), datastore_in(directory, layout=layout)
    create(DB1, "bb01", scene, datastore)
    create(WEB1, "aa01", scene, datastore)
    (scene.directory / "web1" / "uefi-vars.fd").write_bytes(b"boot this")
    for number in (0, 1):
        scene.store.contents[datastore.volume_of(WEB1, DiskName(number))] = b"disk %d of web1" % number
    written = datastore.volume_of(WEB1, DiskName(0))
    scene.store.change_marks(written, mark(written, "filled", {"sha256": "5" * 64}))
    scene.store.calls.clear()
    return scene, datastore


def copy_of(scene: FakeScene, datastore: DatastoreRecord, directory: Path) -> tuple[FakeScene, DatastoreRecord]:
    """The same world once more, for trying what else may come of it."""
    shutil.copytree(scene.directory, directory)
    store = FakeNas()
    for name, value in vars(scene.store).items():
        if name not in ("_lock", "watch", "calls"):
            setattr(store, name, copy.copy(value))  # what they hold is frozen, but for snapshots
    store.kept = [replace(one) for one in scene.store.kept]
    return FakeScene(store, directory), replace(datastore, config_path=str(directory))


def record_of(guest: GuestName, scene: FakeScene, datastore: DatastoreRecord) -> GuestRecord:
    records = guest_records(datastore, scene.store.inventory(datastore.parent))
    return next(record for record in records if record.name == guest)


def renaming(scene: FakeScene, datastore: DatastoreRecord, *, moves: bool) -> PlannedOperation:
    record = record_of(WEB1, scene, datastore)
    assert record.chap_tag
    request = RenameRequest.of(
        record,
        WEB2,
        datastore,
        place=str(WEB2) if moves else None,
        account=RenamedAccount(record.chap_tag, peer=True),
        configured=True,
    )
    assert RenameRequest.from_json(request.as_json()) == request
    intent = Intent("4e01", "rename", str(WEB1), request.as_json(), "root@control", "2026-11-22T11:00:00Z")
    return planned(intent, datastore, scene.another())


def pending(scene: FakeScene, datastore: DatastoreRecord) -> list[Intent]:
    inventory = scene.store.inventory(datastore.parent)
    found = [read_intents(one.path, one.marks) for one in inventory.datasets]
    found += [read_intents(one.path, one.marks) for one in inventory.volumes]
    return [intent for some in found for intent in some]


def assert_renamed(scene: FakeScene, datastore: DatastoreRecord, *, moves: bool) -> None:
    guest = record_of(WEB2, scene, datastore)
    assert len(guest.disks) == len(DISKS)
    for disk in guest.disks:
        number, path = disk.name.number, disk.volume.path
        assert path == datastore.volume_of(WEB2 if moves else WEB1, disk.name)
        assert scene.store.contents[path] == b"disk %d of web1" % number
        assert disk.extent
        assert disk.target
        assert disk.mapping
        assert (disk.extent.name, disk.target.iqn) == (f"web2-disk{number}", datastore.target_of(WEB2, disk.name))
        signature = Signature.in_marks(path, disk.volume.marks)
        assert path == guest.anchor or (signature and signature.guest == guest.uuid)
        assert (read_mark(path, "filled", disk.volume.marks) is not None) == (number == 0)
    (account,) = scene.store.find_credentials(tag=guest.chap_tag or 0)
    assert (account.user, account.peer_user) == ("web2", "web2-nas")
    assert sorted(path.name for path in (scene.directory / "web2").iterdir()) == ["uefi-vars.fd", "web2.conf"]
    assert not (scene.directory / "web1").exists()
    if moves:
        assert "web1" not in repr(scene.store.state())
    assert len(record_of(DB1, scene, datastore).disks) == 1


def parking(scene: FakeScene, datastore: DatastoreRecord) -> PlannedOperation:
    until = datetime(2026, 11, 29, 10, tzinfo=UTC)
    request = ParkRequest.of(record_of(WEB1, scene, datastore), datastore, until=until, configured=True)
    assert ParkRequest.from_json(request.as_json()) == request
    intent = Intent("9a01", "park", str(WEB1), request.as_json(), "root@control", "2026-11-22T11:00:00Z")
    return planned(intent, datastore, scene.another())


def parked(scene: FakeScene, datastore: DatastoreRecord) -> ParkedRecord:
    (record,) = parked_records(datastore, scene.store.inventory(datastore.parent))
    return record


def restoring(scene: FakeScene, datastore: DatastoreRecord) -> PlannedOperation:
    record = parked(scene, datastore)
    request = RestoreRequest(record.anchor, record.parked, WEB2)
    assert RestoreRequest.from_json(request.as_json()) == request
    intent = Intent("4e02", "restore", str(WEB2), request.as_json(), "root@control", "2026-11-22T12:00:00Z")
    return planned(intent, datastore, scene.another())


def emptying(scene: FakeScene, datastore: DatastoreRecord) -> PlannedOperation:
    record = parked(scene, datastore)
    request = EmptyRequest(record.anchor, record.parked, record.origins)
    assert EmptyRequest.from_json(request.as_json()) == request
    intent = Intent("e001", "empty-trash", str(WEB1), request.as_json(), "root@control", "2026-11-22T12:00:00Z")
    return planned(intent, datastore, scene.another())


def assert_parked(scene: FakeScene, datastore: DatastoreRecord) -> None:
    record = parked(scene, datastore)
    assert [scene.store.contents[disk.was.volume] for disk in record.parked.disks] == [
        b"disk 0 of web1",
        b"disk 1 of web1",
    ]
    state = scene.store.state()
    for kind in ("extents", "targets", "mappings", "credentials"):
        assert "web1" not in repr(state[kind])
    waiting = scene.directory / ".trash" / record.parked.label
    assert sorted(path.name for path in waiting.iterdir()) == ["uefi-vars.fd", "web1.conf"]
    assert not (scene.directory / "web1").exists()
    assert [str(one.name) for one in guest_records(datastore, scene.store.inventory(datastore.parent))] == ["db1"]


def assert_restored(scene: FakeScene, datastore: DatastoreRecord) -> None:
    assert_renamed(scene, datastore, moves=False)
    assert not (scene.directory / ".trash").exists()
    guest = record_of(WEB2, scene, datastore)
    assert [disk.extent and disk.extent.serial for disk in guest.disks] == [
        Serial.of_disk(guest.uuid, disk.name) for disk in guest.disks
    ]


def assert_emptied(scene: FakeScene, datastore: DatastoreRecord) -> None:
    assert "web1" not in repr(scene.store.state())
    assert not any("web1" in str(path) for path in scene.store.contents)
    assert not (scene.directory / ".trash").exists()
    assert len(record_of(DB1, scene, datastore).disks) == 1


@dataclass(frozen=True)
class Trial:
    """An operation, what comes before it, and what must be so after it."""

    name: str
    planned: Callable[[FakeScene, DatastoreRecord], PlannedOperation]
    check: Callable[[FakeScene, DatastoreRecord], None]
    first: tuple[Callable[[FakeScene, DatastoreRecord], PlannedOperation], ...] = ()
    snapshots: bool = False

    def prepare(self, directory: Path, layout: str) -> tuple[FakeScene, DatastoreRecord]:
        scene, datastore = prepare(directory, layout)
        for operation in self.first:
            execute(operation(scene, datastore))
        if self.snapshots:
            anchor = parked(scene, datastore).anchor
            for name in ("nightly", "weekly"):
                scene.store.create_snapshot(anchor, SnapshotName(name), recursive=True)
        return scene, datastore


TRIALS = (
    Trial("move", partial(renaming, moves=True), partial(assert_renamed, moves=True)),
    Trial("new name only", partial(renaming, moves=False), partial(assert_renamed, moves=False)),
    Trial("park", parking, assert_parked),
    Trial("restore", restoring, assert_restored, (parking,)),
    Trial("empty", emptying, assert_emptied, (parking,), snapshots=True),
)


@pytest.mark.parametrize("kind", ["killed before", "killed after", "answer lost"])
@pytest.mark.parametrize("layout", ["nested", "flat"])
@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.name)
def test_it_is_finished_or_taken_back_wherever_it_was_cut_short(
    trial: Trial, layout: str, kind: str, tmp_path: Path
) -> None:
    prepared, datastore = trial.prepare(tmp_path / "prepared", layout)
    before = everything(prepared)
    rehearsal, datastore = copy_of(prepared, datastore, tmp_path / "rehearsal")
    ready = trial.planned(rehearsal, datastore)
    rehearsal.store.calls.clear()
    execute(ready)
    cases = sum(call.when == "before" for call in rehearsal.store.calls)
    assert cases >= 10
    trial.check(rehearsal, datastore)
    for number in range(cases):
        moment = f"{kind} call {number}"
        scene, datastore = copy_of(prepared, datastore, tmp_path / str(number))
        ready = trial.planned(scene, datastore)
        scene.store.calls.clear()
        scene.store.watch = bad_luck(number, kind)
        crashed = False
        try:
            execute(ready)
        except Killed:
            crashed = True
        scene.store.watch = lambda _call: None
        unfinished = pending(scene, datastore)
        if not unfinished:
            assert crashed or kind == "answer lost", moment
            if everything(scene) != before:
                trial.check(scene, datastore)
            continue
        assert crashed, f"{moment}: unfinished without a crash"
        other, elsewhere = copy_of(scene, datastore, tmp_path / f"{number} taken back")
        again = planned(unfinished[0], elsewhere, other.another())
        try:
            Engine().rewind(again.plan, again.journal, again.intent)
        except PastNoReturnError:
            assert again.plan.no_return is not None, moment
        else:
            assert everything(other) == before, moment
        again = planned(unfinished[0], datastore, scene.another())
        Engine().resume(again.plan, again.journal, again.intent)
        trial.check(scene, datastore)
        assert not pending(scene, datastore), moment


@pytest.mark.parametrize("layout", ["nested", "flat"])
def test_a_guest_whose_rename_was_cut_short_is_seen_wherever_it_is(layout: str, tmp_path: Path) -> None:
    prepared, datastore = prepare(tmp_path / "prepared", layout)
    renaming(prepared, datastore, moves=True)
    for number in range(60):
        scene, datastore = copy_of(prepared, datastore, tmp_path / str(number))
        ready = renaming(scene, datastore, moves=True)
        scene.store.watch = bad_luck(number, "killed after")
        with suppress(Killed):
            execute(ready)
        scene.store.watch = lambda _call: None
        if unfinished := pending(scene, datastore):
            assert record_of(WEB1, scene, datastore).intents == tuple(unfinished)
