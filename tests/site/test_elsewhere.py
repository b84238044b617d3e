"""Disks in another datastore than their guest's, on a nas of its own, through the SDK."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.errors import BusyError, ConflictError, NasUnreachableError, NotFoundError, RuleError
from pyvmiscsi.model import DatastoreRecord, HostRecord, NasRecord, NasSession, Target
from pyvmiscsi.model import Site as SiteRecord
from pyvmiscsi.names import DatasetPath, DiskName, GuestName, SnapshotName
from pyvmiscsi.operations.create import CreateRequest, DiskRequest
from pyvmiscsi.operations.start import StartRequest, start_plan
from pyvmiscsi.site import Guest, Site
from pyvmiscsi.site.connections import Connections
from pyvmiscsi.site.guest.removal import Removal
from pyvmiscsi.steps.sessions import NobodyElseLoggedIn
from pyvmiscsi.units import Size
from tests.fakes.access import FakeAccess
from tests.fakes.nas import Call, FakeNas, nothing
from tests.fakes.quick_host import QuickHost
from tests.operations.scenes import RememberingInitiator, datastore_in, second_datastore_in
from tests.plan.worlds import Killed

WEB1 = GuestName.parse("web1")
HOME, AWAY = DiskRequest(Size.parse("1G")), DiskRequest(Size.parse("2G"), datastore="iscsi2")


@dataclass
class TwoNases:
    """Datastores iscsi1 and iscsi2, each on a nas of its own; their hosts share one config path."""

    directory: Path
    layout: str = "nested"
    other_layout: str = "nested"
    nases: dict[str, FakeNas] = field(default_factory=lambda: {"nas1": FakeNas(), "nas2": FakeNas()})
    initiator: RememberingInitiator = field(default_factory=RememberingInitiator)
    warnings: list[str] = field(default_factory=list)

    @property
    def datastores(self) -> dict[str, DatastoreRecord]:
        first = datastore_in(self.directory, layout=self.layout)
        return {"iscsi1": first, "iscsi2": second_datastore_in(self.directory, layout=self.other_layout)}

    def site(self, *datastores: str) -> Site:
        """A process of its own; of all datastores, unless some are named."""
        record = SiteRecord(
            source="site.toml",
            nases={name: NasRecord(name, f"https://{name}.example.net", "root") for name in self.nases},
            hosts={"hv1": HostRecord("hv1")},
            datastores={name: one for name, one in self.datastores.items() if name in datastores or not datastores},
        )
        return Site(
            Connections(
                record,
                warn=self.warnings.append,
                connect_nas=lambda nas, _warn: self.nases[nas.name],
                connect_host=QuickHost,
                initiator_of=lambda _record, _host, _warn: self.initiator,
                block_access=lambda: FakeAccess(self.nases["nas2"]),
            )
        )

    def guest(self) -> Guest:
        return self.site().datastore("iscsi1").guest("web1")

    def create(self, *disks: DiskRequest, name: GuestName = WEB1, datastore: str = "iscsi1") -> Guest:
        return self.site().datastore(datastore).create(CreateRequest(name, disks or (HOME, AWAY)))

    def state(self) -> object:
        return {name: nas.state() for name, nas in self.nases.items()}

    def conf(self) -> dict[str, str]:
        return ConfText((self.directory / "web1" / "web1.conf").read_text()).pairs()


@pytest.fixture(params=["nested", "flat"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> TwoNases:
    return TwoNases(tmp_path, request.param, request.param)


def lost(_call: Call) -> None:
    raise NasUnreachableError("nas2: no answer")


def test_each_disk_is_where_it_was_asked_for(world: TwoNases) -> None:
    guest = world.create()

    away = world.nases["nas2"].state()
    uuid = guest.record().uuid
    assert [str(volume.path) for volume in away["volumes"]] == [f"tank/vm/web1-{uuid.hex[:8]}-disk1"]  # type: ignore[attr-defined]
    first, second = guest.info().disks
    assert (first.name, first.datastore, first.portal, first.lun) == ("disk0", None, "10.0.0.10:3260", 1)
    assert (second.name, second.datastore, second.portal, second.lun) == ("disk1", "iscsi2", "10.0.0.20:3260", 2)
    assert second.target == world.conf()["disk1_target"]
    assert "disk0_target" not in world.conf()


def test_it_is_listed_once_with_all_its_disks(world: TwoNases) -> None:
    world.create()
    found = world.site().guests()
    assert [(one.name, one.datastore, [disk.size_text for disk in one.disks]) for one in found] == [
        ("web1", "iscsi1", ["1G", "2G"])
    ]
    assert world.site().datastore("iscsi2").guests() == ()


def test_the_same_create_again_is_no_error_and_another_is_refused(world: TwoNases) -> None:
    world.create()
    before = world.state()
    world.create()
    with pytest.raises(ConflictError):
        world.create(HOME, HOME)
    assert world.state() == before


def test_a_guest_may_have_no_disk_at_home(tmp_path: Path) -> None:
    world = TwoNases(tmp_path)
    before = world.state()
    guest = world.create(AWAY)
    assert world.nases["nas1"].state()["credentials"] == ()
    assert guest.add_disk(HOME) == "disk1"
    assert len(world.nases["nas1"].state()["credentials"]) == 1
    guest.rotate_chap()
    guest.destroy()
    assert world.state() == before


def test_the_marks_of_a_flat_datastore_need_disk0_at_home(tmp_path: Path) -> None:
    world = TwoNases(tmp_path, "flat")
    before = world.state()
    with pytest.raises(RuleError, match="needs a disk0"):
        world.create(AWAY)
    assert world.state() == before


def test_what_is_added_and_removed_leaves_nothing(world: TwoNases) -> None:
    guest = world.create(HOME)
    before = world.state()
    assert guest.add_disk(AWAY) == "disk1"
    assert guest.record().mark.elsewhere == {DiskName(1): "iscsi2"}
    guest.remove_disk("disk1")
    assert world.state() == before
    assert not [key for key in world.conf() if key.startswith("disk1")]


def test_a_disk_that_moves_up_in_the_configuration_keeps_its_target(world: TwoNases) -> None:
    guest = world.create(HOME, HOME, AWAY)
    target = world.conf()["disk2_target"]
    guest.remove_disk("disk1")
    assert world.conf()["disk1_target"] == target
    world.initiator.attach(guest.record().disks[1].proof(guest.datastore), None)
    guest.stop()
    assert world.initiator.disks == {}


def test_a_start_asks_each_nas_about_its_own_disks(world: TwoNases) -> None:
    guest = world.create()
    scene = guest._scene()
    request = StartRequest.of(guest.record(), guest._config("hv1", scene), guest.datastore, "hv1")
    plan = start_plan(request, guest.datastore, scene, "5e01")
    alone = [step for step in plan.steps if isinstance(step, NobodyElseLoggedIn)]
    assert [[target.text for target in step.targets] for step in alone] == [
        [str(disk.target)] for disk in guest.info().disks
    ]
    target = alone[1].targets[0]
    world.nases["nas2"].sessions_now.append(NasSession(target, "iqn.1994-09.org.freebsd:hv9", "10.0.0.19"))
    assert [step.holds() for step in alone] == [True, False]


def test_a_stop_asks_no_nas_and_logs_out_of_both(world: TwoNases) -> None:
    guest = world.create()
    for disk in guest.record().disks:
        world.initiator.attach(disk.proof(guest.datastore), None)
    for nas in world.nases.values():
        nas.watch = lost
    world.guest().stop()
    assert world.initiator.disks == {}


def test_it_grows_is_opened_and_gets_new_secrets_where_it_is(world: TwoNases) -> None:
    guest = world.create()
    guest.resize("disk1", Size.parse("3G"))
    tag = guest.record().chap_tag
    assert tag is not None
    before = [nas.find_credentials(tag=tag)[0].secret.reveal() for nas in world.nases.values()]
    assert guest.rotate_chap() == "web1"
    after = [nas.find_credentials(tag=tag)[0].secret.reveal() for nas in world.nases.values()]
    assert not set(before) & set(after)
    with guest.open_disk("disk1") as lun:
        assert lun.size == Size.parse("3G")


def test_a_destroy_takes_all_of_it_snapshots_included(world: TwoNases) -> None:
    before = world.state()
    guest = world.create()
    path = guest.record().disks[1].volume.path
    world.nases["nas2"].create_snapshot(path, SnapshotName("auto"))
    assert guest.all_snapshots() == ("auto",)
    guest.destroy()
    assert world.state() == before
    assert not (world.directory / "web1").exists()


def test_a_clone_of_the_snapshot_elsewhere_keeps_the_guest(world: TwoNases) -> None:
    guest = world.create()
    path, nas = guest.record().disks[1].volume.path, world.nases["nas2"]
    nas.create_snapshot(path, SnapshotName("auto"))
    nas.clone(path, SnapshotName("auto"), DatasetPath("tank/vm/copy"), {})
    before = world.state()
    with pytest.raises(BusyError, match="tank/vm/copy"):
        guest.destroy()
    with pytest.raises(BusyError, match="tank/vm/copy"):
        guest.remove_disk("disk1", snapshots=True)
    assert world.state() == before


@pytest.mark.parametrize(
    "verb",
    [
        lambda guest: guest.snapshot("monday"),
        lambda guest: guest.rollback("monday"),
        lambda guest: guest.clone("web2"),
        lambda guest: guest.clone("web2", snapshot="monday"),
        lambda guest: guest.rename("web2"),
        lambda guest: guest.park(7),
        lambda guest: guest.destroy(keep_disks=True),
        lambda guest: guest.remove_disk("disk1", keep=True),
        lambda guest: guest.make_image("golden", disk="disk1"),
    ],
)
def test_what_needs_all_disks_in_one_place_is_refused_and_names_the_disk(world: TwoNases, verb: object) -> None:
    guest = world.create()
    before = world.state()
    with pytest.raises(RuleError, match=r"guest web1: disk1 is in datastore iscsi2"):
        verb(guest)  # type: ignore[operator]
    assert world.state() == before
    assert world.site().operations() == ()


def test_old_snapshots_at_home_can_still_be_seen_and_forgotten(world: TwoNases) -> None:
    guest = world.create(HOME)
    guest.snapshot("monday")
    guest.add_disk(AWAY)
    assert [one.name for one in guest.snapshots()] == ["monday"]
    guest.forget_snapshot("monday")
    assert guest.snapshots() == ()


def test_a_disk_at_home_can_become_an_image(world: TwoNases) -> None:
    guest = world.create()
    guest.make_image("golden", disk="disk0")
    assert [image.name for image in world.site().datastore("iscsi1").images()] == ["golden"]


def test_while_the_other_nas_is_lost_the_guest_is_seen_and_nothing_is_done_to_it(world: TwoNases) -> None:
    guest = world.create()
    before = world.state()
    world.nases["nas2"].watch = lost
    (seen,) = world.site().datastore("iscsi1").guests()
    assert [disk.name for disk in seen.disks] == ["disk0"]
    assert any("disks in datastore iscsi2 are not seen" in warning for warning in world.warnings)
    for verb in (guest.destroy, guest.record, guest.preview_start):
        with pytest.raises(NasUnreachableError):
            verb()
    assert world.state() == before


def test_a_site_without_the_other_datastore_does_nothing_to_the_guest(world: TwoNases) -> None:
    world.create()
    before = world.state()
    guest = world.site("iscsi1").datastore("iscsi1").guest("web1")
    with pytest.raises(NotFoundError, match="datastore iscsi2: not in the site"):
        guest.destroy()
    assert world.state() == before


def test_an_unknown_datastore_is_refused_before_anything_is_made(world: TwoNases) -> None:
    before = world.state()
    with pytest.raises(NotFoundError, match="datastore flash: not in the site"):
        world.create(HOME, DiskRequest(Size.parse("1G"), datastore="flash"))
    guest = world.create(HOME)
    with pytest.raises(NotFoundError, match="datastore flash: not in the site"):
        guest.add_disk(DiskRequest(Size.parse("1G"), datastore="flash"))
    guest.destroy()
    assert world.state() == before


def test_a_target_that_is_somebody_elses_there_is_a_conflict_that_leaves_nothing(world: TwoNases) -> None:
    guest = world.create(HOME)
    world.nases["nas2"].create_target(Target(world.datastores["iscsi2"].target_of(WEB1, DiskName(1)), 1))
    before = world.state()
    with pytest.raises(ConflictError, match="web1-disk1"):
        guest.add_disk(AWAY)
    assert world.state() == before


def test_it_is_no_disk_of_the_other_datastores_guests(world: TwoNases) -> None:
    guest = world.create()
    other = world.create(HOME, name=GuestName.parse("web1x"), datastore="iscsi2")
    assert [disk.name for disk in other.info().disks] == ["disk0"]
    other.destroy()
    assert [disk.name for disk in guest.info().disks] == ["disk0", "disk1"]
    content = world.site().datastore("iscsi2").details().content
    assert (content.guests, content.others) == ((), (guest.info().disks[1].volume,))


def test_its_own_datastore_may_be_named_too(world: TwoNases) -> None:
    guest = world.create(DiskRequest(Size.parse("1G"), datastore="iscsi1"))
    assert guest.record().mark.elsewhere == {}
    assert guest.add_disk(DiskRequest(Size.parse("1G"), datastore="iscsi1")) == "disk1"
    assert [disk.datastore for disk in guest.info().disks] == [None, None]


def test_a_disk_that_is_not_where_its_mark_says_is_never_left_behind(world: TwoNases) -> None:
    before = world.state()
    guest = world.create()
    lost_from, empty = world.nases["nas2"], FakeNas()
    world.nases["nas2"] = empty  # the site file means another appliance now
    guest = world.guest()
    with pytest.raises(ConflictError, match="disk1 is not in datastore iscsi2"):
        guest.destroy()
    assert lost_from.state()["volumes"]

    guest.remove_disk("disk1")
    assert "disk1_type" not in world.conf()
    guest.destroy()
    assert world.nases["nas1"].state() == before["nas1"]  # type: ignore[index]
    assert empty.calls  # asked, and nothing else
    assert empty.state() == FakeNas().state()


def test_a_disk_added_while_a_destroy_was_asked_for_is_not_left_behind(world: TwoNases) -> None:
    guest = world.create(HOME)
    late = Removal(guest.name, guest.datastore, guest._connections)._planned_destroy(keep_disks=False)
    guest.add_disk(AWAY)
    before = world.state()
    with pytest.raises(ConflictError):
        guest._execute(late, None)
    assert world.state() == before


@pytest.mark.parametrize("ending", ["resume", "rewind"])
def test_another_process_goes_on_from_the_guests_own_nas(world: TwoNases, ending: str) -> None:
    guest, far = world.create(HOME), world.nases["nas2"]
    before = world.state()

    def killed(call: Call) -> None:
        if call.method == "create_target":
            raise Killed

    far.watch = killed
    with pytest.raises(Killed):
        guest.add_disk(AWAY)
    far.watch = nothing
    (unfinished,) = world.site().operations()
    assert (unfinished.intent.verb, unfinished.datastore) == ("add-disk", "iscsi1")
    if ending == "resume":
        unfinished.resume()
        assert [disk.name for disk in world.guest().info().disks] == ["disk0", "disk1"]
    else:
        unfinished.rewind()
        assert world.state() == before
    assert world.site().operations() == ()
