"""Every call of what takes away x (killed before, killed after, answer lost) x (resume, rewind), in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.errors import PastNoReturnError
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.names import DiskName, SnapshotName
from pyvmiscsi.operations.destroy import DestroyRequest
from pyvmiscsi.operations.guests import GuestRecord, guest_records
from pyvmiscsi.operations.networks import NetworkRequest
from pyvmiscsi.operations.pending import PlannedOperation, planned
from pyvmiscsi.operations.remove_disk import RemoveDiskRequest
from pyvmiscsi.plan.engine import Engine
from pyvmiscsi.plan.intent import Intent, read_intents
from tests.operations.scenes import FakeScene
from tests.operations.test_crash_matrix import GUEST, NEIGHBOUR, addition, bad_luck, everything, execute, prepare
from tests.plan.worlds import Killed

Check = Callable[[FakeScene, DatastoreRecord], bool]


@dataclass(frozen=True)
class Verb:
    """How an operation is planned on a guest with snapshots, and how one sees that it is done."""

    plan: Callable[[FakeScene, DatastoreRecord], PlannedOperation]
    is_done: Check


def intent(verb: str, request: object) -> Intent:
    return Intent("de01", verb, str(GUEST), request, "root@control", "2026-11-22T11:00:00Z")  # type: ignore[arg-type]


def record_of(scene: FakeScene, datastore: DatastoreRecord) -> GuestRecord | None:
    records = guest_records(datastore, scene.store.inventory(datastore.parent))
    return next((record for record in records if record.name == GUEST), None)


def guest_of(scene: FakeScene, datastore: DatastoreRecord) -> GuestRecord:
    record = record_of(scene, datastore)
    assert record is not None
    return record


def destruction(scene: FakeScene, datastore: DatastoreRecord, *, keep_disks: bool) -> PlannedOperation:
    request = DestroyRequest.of(guest_of(scene, datastore), datastore, keep_disks=keep_disks)
    assert DestroyRequest.from_json(request.as_json()) == request
    return planned(intent("destroy", request.as_json()), datastore, scene)


def is_destroyed(scene: FakeScene, datastore: DatastoreRecord) -> bool:
    return record_of(scene, datastore) is None and not any(
        str(GUEST) in repr(part) for part in (scene.store.state(), scene.files())
    )


def is_kept(scene: FakeScene, datastore: DatastoreRecord) -> bool:
    state = scene.store.state()
    exports = [state[kind] for kind in ("extents", "targets", "mappings", "credentials")]
    snapshots = [str(name) for name in state["snapshots"]]
    volumes = [datastore.volume_of(GUEST, DiskName(number)) for number in (0, 1)]
    return (
        record_of(scene, datastore) is None
        and str(GUEST) not in repr((exports, scene.files()))
        and all(scene.store.contents[path] == b"precious" for path in volumes)
        and any(name.endswith("@monday") for name in snapshots)
    )


def disk_removal(scene: FakeScene, datastore: DatastoreRecord, *, keep: bool) -> PlannedOperation:
    conf = ConfText((scene.directory / "web1" / "web1.conf").read_text())
    request = RemoveDiskRequest.of(
        guest_of(scene, datastore), conf, DiskName(1), datastore, keep=keep, snapshots=not keep
    )
    assert RemoveDiskRequest.from_json(request.as_json()) == request
    return planned(intent("remove-disk", request.as_json()), datastore, scene)


def is_without_disk1(scene: FakeScene, datastore: DatastoreRecord, *, kept: bool) -> bool:
    names = [disk.name.number for disk in guest_of(scene, datastore).disks]
    conf = ConfText((scene.directory / "web1" / "web1.conf").read_text()).pairs()
    state, path = scene.store.state(), datastore.volume_of(GUEST, DiskName(1))
    exports = repr([state[kind] for kind in ("extents", "targets", "mappings")])
    return (
        names == [0, 2]
        and conf["disk1_serial"].endswith("-02")
        and "disk2_type" not in conf
        and f"{GUEST}-disk1" not in exports
        and (scene.store.contents.get(path) == b"precious") == kept
    )


def network_change(scene: FakeScene, datastore: DatastoreRecord, *, adds: bool) -> PlannedOperation:
    conf, record = ConfText((scene.directory / "web1" / "web1.conf").read_text()), guest_of(scene, datastore)
    request = NetworkRequest.to_add(record, conf, "public") if adds else NetworkRequest.to_remove(record, conf, 0)
    assert NetworkRequest.from_json(request.as_json()) == request
    verb = "add-network" if adds else "remove-network"
    return planned(intent(verb, request.as_json()), datastore, scene)


def has_networks(scene: FakeScene, *, count: int) -> bool:
    conf = ConfText((scene.directory / "web1" / "web1.conf").read_text()).pairs()
    return sum(key.endswith("_switch") for key in conf) == count


VERBS = {
    "destroy": Verb(lambda scene, store: destruction(scene, store, keep_disks=False), is_destroyed),
    "destroy, disks kept": Verb(lambda scene, store: destruction(scene, store, keep_disks=True), is_kept),
    "remove disk": Verb(
        lambda scene, store: disk_removal(scene, store, keep=False),
        lambda scene, store: is_without_disk1(scene, store, kept=False),
    ),
    "remove disk, kept": Verb(
        lambda scene, store: disk_removal(scene, store, keep=True),
        lambda scene, store: is_without_disk1(scene, store, kept=True),
    ),
    "add network": Verb(
        lambda scene, store: network_change(scene, store, adds=True), lambda scene, _: has_networks(scene, count=2)
    ),
    "remove network": Verb(
        lambda scene, store: network_change(scene, store, adds=False), lambda scene, _: has_networks(scene, count=0)
    ),
}


def prepared(directory: Path, layout: str) -> tuple[FakeScene, DatastoreRecord]:
    """A neighbour, and a guest of three disks with snapshots: of all at once, and of one alone."""
    scene, datastore = prepare(addition, directory, layout)
    execute(addition(scene.another(), datastore))
    with (scene.directory / "web1" / "web1.conf").open("a") as conf:
        conf.write('network0_type="virtio-net"\nnetwork0_switch="public"\n')
    for number in (0, 1):
        scene.store.contents[datastore.volume_of(GUEST, DiskName(number))] = b"precious"
    scene.store.create_snapshot(datastore.anchor_of(GUEST), SnapshotName("monday"), recursive=True)
    scene.store.create_snapshot(datastore.volume_of(GUEST, DiskName(1)), SnapshotName("auto"))
    scene.store.calls.clear()
    return scene, datastore


def pending(scene: FakeScene, datastore: DatastoreRecord) -> list[Intent]:
    inventory = scene.store.inventory(datastore.parent)
    places = [(one.path, one.marks) for one in inventory.datasets] + [
        (one.path, one.marks) for one in inventory.volumes
    ]
    return [found for path, marks in places for found in read_intents(path, marks)]


@pytest.mark.parametrize("ending", ["resume", "rewind"])
@pytest.mark.parametrize(
    ("layout", "kind"),
    [("nested", "killed before"), ("nested", "killed after"), ("nested", "answer lost"), ("flat", "killed after")],
)
@pytest.mark.parametrize("verb", VERBS)
def test_is_finished_or_taken_back_and_touches_nobody_else(
    verb: str, layout: str, kind: str, ending: str, tmp_path: Path
) -> None:
    plan, is_done = VERBS[verb].plan, VERBS[verb].is_done
    scene, datastore = prepared(tmp_path / "rehearsal", layout)
    ready = plan(scene.another(), datastore)
    scene.store.calls.clear()
    execute(ready)
    cases = sum(call.when == "before" for call in scene.store.calls)
    assert is_done(scene, datastore)
    for number in range(cases):
        moment = f"{kind} call {number}"
        scene, datastore = prepared(tmp_path / str(number), layout)
        before, neighbour = everything(scene), neighbour_of(scene, datastore)
        ready = plan(scene.another(), datastore)
        crash(scene, ready, number, kind)
        for unfinished in pending(scene, datastore):
            finish(scene, datastore, unfinished, ending)
        assert not pending(scene, datastore), moment
        assert is_done(scene, datastore) or everything(scene) == before, moment
        assert neighbour_of(scene, datastore) == neighbour, moment


def crash(scene: FakeScene, ready: PlannedOperation, number: int, kind: str) -> None:
    scene.store.calls.clear()
    scene.store.watch = bad_luck(number, kind)
    try:
        execute(ready)
    except Killed:
        pass
    else:
        assert kind == "answer lost"
    scene.store.watch = lambda _call: None


def finish(scene: FakeScene, datastore: DatastoreRecord, unfinished: Intent, ending: str) -> None:
    """By a process that knows nothing else: back if there is a way back, else to the end."""
    again = planned(unfinished, datastore, scene.another())
    if ending == "rewind":
        try:
            return Engine().rewind(again.plan, again.journal, again.intent)
        except PastNoReturnError:
            again = planned(unfinished, datastore, scene.another())
    Engine().resume(again.plan, again.journal, again.intent)
    return None


def neighbour_of(scene: FakeScene, datastore: DatastoreRecord) -> GuestRecord:
    records = guest_records(datastore, scene.store.inventory(datastore.parent))
    return next(record for record in records if record.name == NEIGHBOUR)
