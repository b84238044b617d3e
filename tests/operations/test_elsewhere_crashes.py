"""A guest with a disk on a second nas: every call to either x (killed before, killed after, answer lost), both endings.

Whoever goes on knows the guest's own nas and the site, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.errors import PastNoReturnError
from pyvmiscsi.model import DatastoreRecord
from pyvmiscsi.names import DiskName, SnapshotName
from pyvmiscsi.operations.add_disk import AddDiskRequest
from pyvmiscsi.operations.create import CreateRequest, DiskRequest
from pyvmiscsi.operations.destroy import DestroyRequest
from pyvmiscsi.operations.guests import GuestRecord, guest_records, with_visitors
from pyvmiscsi.operations.pending import PlannedOperation, planned
from pyvmiscsi.operations.remove_disk import RemoveDiskRequest
from pyvmiscsi.operations.resize import ResizeRequest
from pyvmiscsi.operations.rotate_chap import RotateChapRequest, chap_tag_to_rotate
from pyvmiscsi.plan.engine import Engine
from pyvmiscsi.plan.intent import Intent, read_intents
from pyvmiscsi.secrets import Secret
from pyvmiscsi.steps.sessions import guest_account
from pyvmiscsi.units import Size
from tests.fakes.nas import Call, FakeNas
from tests.operations.scenes import FakeScene, datastore_in, second_datastore_in
from tests.operations.test_crash_matrix import GUEST, NEIGHBOUR, bad_luck
from tests.plan.worlds import Killed

HOME, AWAY = DiskRequest(Size.parse("1G")), DiskRequest(Size.parse("2G"), datastore="iscsi2")
DISK1 = DiskName(1)
KNOWN = Secret("everybodyKnows1")


@dataclass
class TwoNases:
    """Guests of datastore iscsi1 on one nas; a second has a neighbour of its own, and whatever they put there."""

    scene: FakeScene
    home: DatastoreRecord
    away: DatastoreRecord

    @property
    def stores(self) -> tuple[FakeNas, FakeNas]:
        assert self.scene.other is not None
        return self.scene.store, self.scene.other

    @property
    def guest(self) -> GuestRecord:
        record = next(one for one in guest_records(self.home, self.stores[0].inventory(self.home.parent)))
        return with_visitors(record, self.away, self.stores[1].inventory(self.away.parent))

    @property
    def conf(self) -> ConfText:
        return ConfText((self.scene.directory / "web1" / "web1.conf").read_text())

    def everything(self) -> object:
        return [(store.state(), dict(store.contents)) for store in self.stores], self.scene.files()

    def watch(self, watch: Callable[[Call], None]) -> None:
        for store in self.stores:
            store.calls.clear()
            store.watch = watch

    def pending(self) -> list[Intent]:
        found = self.stores[0].inventory(self.home.parent)
        return [
            *(intent for one in found.datasets for intent in read_intents(one.path, one.marks)),
            *(intent for one in found.volumes for intent in read_intents(one.path, one.marks)),
        ]


def intent(verb: str, request: object) -> Intent:
    return Intent("aa02", verb, str(GUEST), request.as_json(), "root@control", "2026-11-22T10:00:00Z")  # type: ignore[attr-defined]


def creation(world: TwoNases, *disks: DiskRequest) -> PlannedOperation:
    request = CreateRequest(GUEST, disks or (HOME, AWAY))
    assert CreateRequest.from_json(request.as_json()) == request
    return planned(intent("create", request), world.home, world.scene.another())


def addition(world: TwoNases) -> PlannedOperation:
    request = AddDiskRequest.of(world.guest, world.conf, AWAY, world.home, world.away)
    assert AddDiskRequest.from_json(request.as_json()) == request
    return planned(intent("add-disk", request), world.home, world.scene.another())


def removal(world: TwoNases) -> PlannedOperation:
    request = RemoveDiskRequest.of(world.guest, world.conf, DISK1, world.home)
    assert RemoveDiskRequest.from_json(request.as_json()) == request
    return planned(intent("remove-disk", request), world.home, world.scene.another())


def destruction(world: TwoNases) -> PlannedOperation:
    request = DestroyRequest.of(world.guest, world.home)
    assert DestroyRequest.from_json(request.as_json()) == request
    return planned(intent("destroy", request), world.home, world.scene.another())


def growth(world: TwoNases) -> PlannedOperation:
    request = ResizeRequest.of(world.guest, DISK1, Size.parse("3G"), world.home, ("hv1",))
    assert ResizeRequest.from_json(request.as_json()) == request
    return planned(intent("resize", request), world.home, world.scene.another())


def rotation(world: TwoNases) -> PlannedOperation:
    tag, names = chap_tag_to_rotate(world.guest), ("nas1", "nas2")
    accounts = {name: guest_account(store, tag) for name, store in zip(names, world.stores, strict=True)}
    targets = {
        name: store.inventory(world.home.parent).targets for name, store in zip(names, world.stores, strict=True)
    }
    request = RotateChapRequest.of(world.guest, world.home, accounts, targets)
    assert RotateChapRequest.from_json(request.as_json()) == request
    return planned(intent("rotate-chap", request), world.home, world.scene.another())


def execute(operation: PlannedOperation) -> None:
    Engine().execute(operation.plan, operation.journal, operation.intent)


def has_both(world: TwoNases) -> bool:
    disks = world.guest.disks
    return (
        [disk.elsewhere and disk.elsewhere.name for disk in disks] == [None, "iscsi2"]
        and all(disk.proof(world.home).address.portal == disk.datastore(world.home).portal for disk in disks)
        and [len(store.state()["credentials"]) for store in world.stores] == [1, 2]
        and world.conf.get("disk1_target") == str(world.away.target_of(GUEST, DISK1))
    )


def is_without(world: TwoNases) -> bool:
    return (
        [disk.name.number for disk in world.guest.disks] == [0]
        and world.guest.mark.elsewhere == {}
        and "web1" not in repr(world.stores[1].state())
        and "disk1" not in str(world.conf)
    )


def is_destroyed(world: TwoNases) -> bool:
    return "web1" not in repr(world.everything())


def has_grown(world: TwoNases) -> bool:
    return [disk.volume.size for disk in world.guest.disks] == [Size.parse("1G"), Size.parse("3G")]


def is_new(world: TwoNases) -> bool:
    tag = chap_tag_to_rotate(world.guest)
    return all(guest_account(store, tag).secret.reveal() != KNOWN.reveal() for store in world.stores)


@dataclass(frozen=True)
class Verb:
    plan: Callable[[TwoNases], PlannedOperation]
    is_done: Callable[[TwoNases], bool]
    begins_with: tuple[DiskRequest, ...] = (HOME, AWAY)


VERBS = {
    "create": Verb(creation, has_both, ()),
    "add": Verb(addition, has_both, (HOME,)),
    "remove": Verb(removal, is_without),
    "destroy": Verb(destruction, is_destroyed),
    "resize": Verb(growth, has_grown),
    "rotate-chap": Verb(rotation, is_new),
}


def prepared(directory: Path, layout: str, verb: Verb) -> TwoNases:
    directory.mkdir()
    scene = FakeScene(FakeNas(), directory, other=FakeNas())
    world = TwoNases(scene, datastore_in(directory, layout=layout), second_datastore_in(directory))
    neighbour = CreateRequest(NEIGHBOUR, (HOME,))
    execute(planned(intent("create", neighbour), world.away, scene.another()))
    if verb.begins_with:
        execute(creation(world, *verb.begins_with))
    if verb.plan is rotation:
        for store in world.stores:
            store.change_credential(chap_tag_to_rotate(world.guest), str(GUEST), secret=KNOWN)
    if verb.plan is growth:
        for disk in world.guest.disks:
            scene.initiators["hv1"].attach(disk.proof(world.home), None)
    return world


@pytest.mark.parametrize("ending", ["resume", "rewind"])
@pytest.mark.parametrize(
    ("layout", "kind"),
    [("nested", "killed before"), ("nested", "killed after"), ("nested", "answer lost"), ("flat", "killed after")],
)
@pytest.mark.parametrize("name", VERBS)
def test_is_finished_or_taken_back_on_both(name: str, layout: str, kind: str, ending: str, tmp_path: Path) -> None:
    verb = VERBS[name]
    rehearsal = prepared(tmp_path / "rehearsal", layout, verb)
    operation = verb.plan(rehearsal)
    rehearsal.watch(lambda _call: None)
    execute(operation)
    cases = sum(call.when == "before" for store in rehearsal.stores for call in store.calls)
    assert verb.is_done(rehearsal)
    for number in range(cases):
        moment, world = f"{kind} call {number}", prepared(tmp_path / str(number), layout, verb)
        before, operation = world.everything(), verb.plan(world)
        world.watch(bad_luck(number, kind))
        try:
            execute(operation)
        except Killed:
            pass
        else:
            assert kind == "answer lost", moment
        world.watch(lambda _call: None)
        for unfinished in world.pending():
            finish(world, unfinished, ending)
        assert not world.pending(), moment
        assert world.everything() == before or verb.is_done(world), moment


def finish(world: TwoNases, unfinished: Intent, ending: str) -> None:
    again = planned(unfinished, world.home, world.scene.another())
    if ending == "rewind":
        try:
            return Engine().rewind(again.plan, again.journal, again.intent)
        except PastNoReturnError:
            again = planned(unfinished, world.home, world.scene.another())
    Engine().resume(again.plan, again.journal, again.intent)
    return None


def test_snapshots_of_the_disk_elsewhere_go_with_its_guest(tmp_path: Path) -> None:
    world = prepared(tmp_path / "site", "nested", VERBS["destroy"])
    volume = world.guest.disks[1].volume.path
    world.stores[1].create_snapshot(volume, SnapshotName("auto"))
    execute(destruction(world))
    assert is_destroyed(world)
