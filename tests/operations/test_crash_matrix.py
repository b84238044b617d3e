"""Every call of every operation x (killed before, killed after, answer lost) x (resume, rewind), in memory.

The same matrix runs through the real command on the lab in `tests/crash`; this one is quick and complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.errors import NasUnansweredError, PastNoReturnError
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.names import DiskName, GuestName, SnapshotName
from pyvmiscsi.operations.add_disk import AddDiskRequest
from pyvmiscsi.operations.create import CreateRequest, DiskRequest
from pyvmiscsi.operations.destroy import DestroyRequest
from pyvmiscsi.operations.guests import GuestRecord, guest_records
from pyvmiscsi.operations.pending import PlannedOperation, planned
from pyvmiscsi.operations.resize import ResizeRequest
from pyvmiscsi.operations.rotate_chap import RotateChapRequest, chap_tag_to_rotate
from pyvmiscsi.operations.snapshots import RollbackRequest, SnapshotRequest
from pyvmiscsi.plan.engine import Engine
from pyvmiscsi.plan.intent import Intent
from pyvmiscsi.secrets import Secret
from pyvmiscsi.steps.sessions import guest_account
from pyvmiscsi.units import Size
from tests.fakes.nas import Call, FakeNas
from tests.operations.scenes import FakeScene, datastore_in
from tests.plan.worlds import Killed

GUEST = GuestName.parse("web1")
NEIGHBOUR = GuestName.parse("db1")
WELL_KNOWN = Secret("everybodyKnows1")
OLD, NEW = b"as at sunday", b"written since"
DISKS = (DiskRequest(Size.parse("1G")), DiskRequest(Size.parse("2G"), thick=True))

Operation = Callable[[FakeScene, DatastoreRecord], PlannedOperation]


def creation(scene: FakeScene, datastore: DatastoreRecord) -> PlannedOperation:
    request = CreateRequest(GUEST, DISKS)
    intent = Intent("aa01", "create", str(GUEST), request.as_json(), "root@control", "2026-11-22T10:00:00Z")
    return planned(intent, datastore, scene)


def destruction(scene: FakeScene, datastore: DatastoreRecord) -> PlannedOperation:
    record = next(record for record in _records(scene, datastore) if record.name == GUEST)
    request = DestroyRequest.of(record, datastore)
    intent = Intent("dd01", "destroy", str(GUEST), request.as_json(), "root@control", "2026-11-22T11:00:00Z")
    return planned(intent, datastore, scene)


def addition(scene: FakeScene, datastore: DatastoreRecord) -> PlannedOperation:
    record = next(record for record in _records(scene, datastore) if record.name == GUEST)
    conf = ConfText((scene.directory / "web1" / "web1.conf").read_text())
    request = AddDiskRequest.of(record, conf, DiskRequest(Size.parse("3G")), datastore, datastore)
    intent = Intent("ad01", "add-disk", str(GUEST), request.as_json(), "root@control", "2026-11-22T11:00:00Z")
    return planned(intent, datastore, scene)


def snapshot(scene: FakeScene, datastore: DatastoreRecord) -> PlannedOperation:
    record = next(record for record in _records(scene, datastore) if record.name == GUEST)
    request = SnapshotRequest(GUEST, record.anchor, record.uuid, SnapshotName("monday"))
    intent = Intent("5a01", "snapshot", str(GUEST), request.as_json(), "root@control", "2026-11-22T11:00:00Z")
    return planned(intent, datastore, scene)


def rollback(scene: FakeScene, datastore: DatastoreRecord) -> PlannedOperation:
    record = next(record for record in _records(scene, datastore) if record.name == GUEST)
    request = RollbackRequest.of(record, SnapshotName("sunday"), (), configuration=True)
    intent = Intent("4b01", "rollback", str(GUEST), request.as_json(), "root@control", "2026-11-22T11:00:00Z")
    return planned(intent, datastore, scene)


def growth(scene: FakeScene, datastore: DatastoreRecord) -> PlannedOperation:
    record = next(record for record in _records(scene, datastore) if record.name == GUEST)
    request = ResizeRequest.of(record, DiskName(1), Size.parse("3G"), datastore, ())
    intent = Intent("9e01", "resize", str(GUEST), request.as_json(), "root@control", "2026-11-22T11:00:00Z")
    return planned(intent, datastore, scene)


def growth_seen_by_a_host(scene: FakeScene, datastore: DatastoreRecord) -> PlannedOperation:
    record = next(record for record in _records(scene, datastore) if record.name == GUEST)
    request = replace(ResizeRequest.of(record, DiskName(1), Size.parse("3G"), datastore, ()), via="hv1")
    intent = Intent("9e02", "resize", str(GUEST), request.as_json(), "root@control", "2026-11-22T11:00:00Z")
    return planned(intent, datastore, scene)


def rotation(scene: FakeScene, datastore: DatastoreRecord) -> PlannedOperation:
    record = next(record for record in _records(scene, datastore) if record.name == GUEST)
    account = guest_account(scene.store, chap_tag_to_rotate(record))
    targets = scene.store.inventory(datastore.parent).targets
    request = RotateChapRequest.of(record, datastore, {"nas1": account}, {"nas1": targets})
    intent = Intent("7c01", "rotate-chap", str(GUEST), request.as_json(), "root@control", "2026-11-22T11:00:00Z")
    return planned(intent, datastore, scene)


def execute(operation: PlannedOperation) -> None:
    Engine().execute(operation.plan, operation.journal, operation.intent)


def prepare(operation: Operation, directory: Path, layout: str) -> tuple[FakeScene, DatastoreRecord]:
    """A nas with a neighbour on it, and with the guest itself when it is to be destroyed."""
    directory.mkdir()
    scene, datastore = FakeScene(FakeNas(), directory), datastore_in(directory, layout=layout)
    neighbour = CreateRequest(NEIGHBOUR, DISKS[:1])
    intent = Intent("bb01", "create", str(NEIGHBOUR), neighbour.as_json(), "root@control", "2026-11-22T09:00:00Z")
    execute(planned(intent, datastore, scene.another()))
    if operation is not creation:
        execute(creation(scene.another(), datastore))
    if operation is rollback:
        _prepare_rollback(scene, datastore)
    if operation is rotation:
        tag = next(chap_tag_to_rotate(record) for record in _records(scene, datastore) if record.name == GUEST)
        scene.store.change_credential(tag, str(GUEST), secret=WELL_KNOWN)
    scene.store.calls.clear()
    return scene, datastore


def everything(scene: FakeScene) -> object:
    """The nas and the config path, whole."""
    return scene.store.state(), dict(scene.store.contents), scene.files()


def count_of_calls(operation: Operation, directory: Path, layout: str) -> int:
    scene, datastore = prepare(operation, directory, layout)
    execute(operation(scene.another(), datastore))
    return sum(call.when == "before" for call in scene.store.calls)


def bad_luck(number: int, kind: str) -> Callable[[Call], None]:
    seen: Iterator[int] = iter(range(10**6))

    def watch(call: Call) -> None:
        if call.when == "before":
            watch.now = next(seen)  # type: ignore[attr-defined]
        if watch.now != number:  # type: ignore[attr-defined]
            return
        if kind == "killed before" and call.when == "before":
            raise Killed
        if call.when == "after" and kind == "killed after":
            raise Killed
        if call.when == "after" and kind == "answer lost" and call.writes:
            raise NasUnansweredError("the connection was lost")

    watch.now = -1  # type: ignore[attr-defined]
    return watch


IN_BOTH_LAYOUTS = [creation, destruction, addition, snapshot, growth, rotation]
IN_NESTED_LAYOUT = [rollback, growth_seen_by_a_host]
CASES = [(operation, layout) for operation in IN_BOTH_LAYOUTS for layout in ("nested", "flat")]
CASES += [(operation, "nested") for operation in IN_NESTED_LAYOUT]


@pytest.mark.parametrize("ending", ["resume", "rewind"])
@pytest.mark.parametrize("kind", ["killed before", "killed after", "answer lost"])
@pytest.mark.parametrize(("operation", "layout"), CASES)
def test_leaves_no_orphan_and_loses_no_volume(
    operation: Operation, kind: str, ending: str, layout: str, tmp_path: Path
) -> None:
    cases = count_of_calls(operation, tmp_path / "rehearsal", layout)
    assert cases >= 5
    for number in range(cases):
        scene, datastore = prepare(operation, tmp_path / str(number), layout)
        before = everything(scene)
        ready = operation(scene.another(), datastore)
        scene.store.calls.clear()
        scene.store.watch = bad_luck(number, kind)
        crashed = False
        try:
            execute(ready)
        except Killed:
            crashed = True
        scene.store.watch = lambda _call: None
        moment = f"{kind} call {number}"
        pending = _pending(scene, datastore)
        if not pending:
            assert not crashed or everything(scene) == before or _is_done(operation, scene, datastore), moment
            continue
        assert crashed, f"{moment}: unfinished without a crash"
        again = planned(pending[0], datastore, scene.another())
        if ending == "resume":
            Engine().resume(again.plan, again.journal, again.intent)
            assert _is_done(operation, scene, datastore), moment
        else:
            try:
                Engine().rewind(again.plan, again.journal, again.intent)
            except PastNoReturnError:
                assert operation in (destruction, rollback, growth, growth_seen_by_a_host, rotation), moment
                again = planned(pending[0], datastore, scene.another())
                Engine().resume(again.plan, again.journal, again.intent)
                assert _is_done(operation, scene, datastore), moment
                continue
            assert everything(scene) == before, moment
        assert not _pending(scene, datastore), moment


def _prepare_rollback(scene: FakeScene, datastore: DatastoreRecord) -> None:
    """A snapshot of two written disks and their configuration, all of which changed since."""
    volumes = [datastore.volume_of(GUEST, DiskName(number)) for number in range(len(DISKS))]
    scene.store.contents |= dict.fromkeys(volumes, OLD)
    record = next(record for record in _records(scene, datastore) if record.name == GUEST)
    request = SnapshotRequest(GUEST, record.anchor, record.uuid, SnapshotName("sunday"))
    intent = Intent("5a00", "snapshot", str(GUEST), request.as_json(), "root@control", "2026-11-22T10:30:00Z")
    execute(planned(intent, datastore, scene.another()))
    scene.store.contents |= dict.fromkeys(volumes, NEW)
    with (scene.directory / "web1" / "web1.conf").open("a") as conf:
        conf.write("# by hand\n")


def _records(scene: FakeScene, datastore: DatastoreRecord) -> tuple[GuestRecord, ...]:
    return guest_records(datastore, scene.store.inventory(datastore.parent))


def _pending(scene: FakeScene, datastore: DatastoreRecord) -> list[Intent]:
    return [intent for record in _records(scene, datastore) for intent in record.intents]


def _is_done(operation: Operation, scene: FakeScene, datastore: DatastoreRecord) -> bool:
    """The guest is whole, or nothing of it is left; the neighbour is untouched."""
    records = {record.name: record for record in _records(scene, datastore)}
    neighbour = records.pop(NEIGHBOUR)
    assert len(neighbour.disks) == 1
    assert neighbour.disks[0].mapping is not None
    state = repr(scene.store.state())
    if operation is destruction:
        return not records and str(GUEST) not in state and not (scene.directory / str(GUEST)).exists()
    guest, wanted = records[GUEST], len(DISKS) + (operation is addition)
    if operation is snapshot:
        kept = (scene.directory / "web1" / "snapshots" / "monday.conf").exists()
        return kept and any(taken.endswith("@monday") for taken in map(str, scene.store.state()["snapshots"]))
    if operation is rollback:
        restored = "by hand" not in (scene.directory / "web1" / "web1.conf").read_text()
        return restored and all(scene.store.contents[disk.volume.path] == OLD for disk in guest.disks)
    if operation is rotation:
        (account,) = scene.store.find_credentials(tag=chap_tag_to_rotate(guest))
        return account.user == str(GUEST) and account.secret != WELL_KNOWN
    if operation in (growth, growth_seen_by_a_host):
        assert not scene.initiators["hv1"].disks
        return [disk.volume.size for disk in guest.disks] == [Size.parse("1G"), Size.parse("3G")]
    assert all(disk.mapping and disk.extent and disk.target for disk in guest.disks)
    assert state.count(f"{GUEST}-disk2") == 0 or operation is addition
    return len(guest.disks) == wanted
