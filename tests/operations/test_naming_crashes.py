"""Every call of a rename x (killed before, killed after, answer lost) x (resume, rewind), in memory.

Where the nas renames datasets, and where it does not, in both layouts.
"""

from __future__ import annotations

import copy
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.names import DiskName, GuestName
from pyvmiscsi.operations.create import CreateRequest
from pyvmiscsi.operations.guests import GuestRecord, guest_records
from pyvmiscsi.operations.pending import PlannedOperation, planned_again, planned_create, planned_rename
from pyvmiscsi.operations.rename import RenamedAccount, RenameRequest
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
    execute(planned_create(request, intent, datastore, scene.another()))


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
            setattr(store, name, copy.copy(value))  # what they hold is frozen
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
    return planned_rename(request, intent, datastore, scene.another())


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


CASES = [(layout, moves) for layout in ("nested", "flat") for moves in (True, False)]


@pytest.mark.parametrize("kind", ["killed before", "killed after", "answer lost"])
@pytest.mark.parametrize(("layout", "moves"), CASES)
def test_a_rename_is_finished_or_taken_back(layout: str, kind: str, tmp_path: Path, *, moves: bool) -> None:
    prepared, datastore = prepare(tmp_path / "prepared", layout)
    before = everything(prepared)
    rehearsal, datastore = copy_of(prepared, datastore, tmp_path / "rehearsal")
    planned = renaming(rehearsal, datastore, moves=moves)
    rehearsal.store.calls.clear()
    execute(planned)
    cases = sum(call.when == "before" for call in rehearsal.store.calls)
    assert cases >= 15
    assert_renamed(rehearsal, datastore, moves=moves)
    for number in range(cases):
        moment = f"{kind} call {number}"
        scene, datastore = copy_of(prepared, datastore, tmp_path / str(number))
        planned = renaming(scene, datastore, moves=moves)
        scene.store.calls.clear()
        scene.store.watch = bad_luck(number, kind)
        crashed = False
        try:
            execute(planned)
        except Killed:
            crashed = True
        scene.store.watch = lambda _call: None
        unfinished = pending(scene, datastore)
        if not unfinished:
            assert crashed or kind == "answer lost", moment
            if everything(scene) != before:
                assert_renamed(scene, datastore, moves=moves)
            continue
        assert crashed, f"{moment}: unfinished without a crash"
        assert record_of(WEB1, scene, datastore).intents == tuple(unfinished), f"{moment}: not seen where it is"
        other, elsewhere = copy_of(scene, datastore, tmp_path / f"{number} taken back")
        again = planned_again(unfinished[0], elsewhere, other.another())
        Engine().rewind(again.plan, again.journal, again.intent)
        assert everything(other) == before, moment
        again = planned_again(unfinished[0], datastore, scene.another())
        Engine().resume(again.plan, again.journal, again.intent)
        assert_renamed(scene, datastore, moves=moves)
        assert not pending(scene, datastore), moment
