"""Clones through the SDK."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.errors import AlreadyExistsError, BusyError, ConflictError, NotFoundError, RuleError
from pyvmiscsi.model import NasSession
from pyvmiscsi.names import DatasetPath, SnapshotName
from pyvmiscsi.plan.intent import Intent, intent_marks
from pyvmiscsi.site import Guest
from pyvmiscsi.site.guest.access import GuestAccess
from tests.fakes.calls import Call, nothing
from tests.fakes.nas import BASENAME
from tests.plan.worlds import Killed
from tests.site.worlds import World, web1

OLD, NEW = b"as it was", b"written since"


@pytest.fixture(params=["nested", "flat"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World(tmp_path, request.param)


@pytest.fixture
def nested(tmp_path: Path) -> World:
    return World(tmp_path)


def made(world: World, *sizes: str, **changes: object) -> Guest:
    """web1, with something on each of its disks."""
    guest = world.site().datastore().create(web1(*sizes, **changes))
    fill(world, guest, OLD)
    return guest


def fill(world: World, guest: Guest, data: bytes) -> None:
    for disk in guest.record().disks:
        world.nas.contents[disk.volume.path] = data


def contents(world: World, name: str) -> list[bytes]:
    return [world.nas.contents[disk.volume.path] for disk in world.site().guest(name).record().disks]


def conf(world: World, name: str) -> ConfText:
    return ConfText((world.directory / name / f"{name}.conf").read_text())


def test_a_clone_is_a_guest_of_its_own_with_what_the_source_had(world: World) -> None:
    source = made(world, settings={"network0_type": "virtio-net", "network0_switch": "public"})
    assert source.clone("web2") == "web2"
    fill(world, source, NEW)
    one, two = source.record(), world.site().guest("web2").record()
    assert contents(world, "web2") == [OLD]
    assert one.uuid != two.uuid
    assert one.chap_tag != two.chap_tag
    (disk,) = two.disks
    assert disk.volume.origin
    assert disk.extent and disk.target and disk.mapping
    assert disk.extent.name == "web2-disk0"
    assert disk.target.iqn == BASENAME.child("web2-disk0")
    (account,) = world.nas.find_credentials(tag=two.chap_tag or 0)
    assert account.user == "web2"
    assert account.secret != world.nas.find_credentials(tag=one.chap_tag or 0)[0].secret
    before, after = conf(world, "web1").pairs(), conf(world, "web2").pairs()
    assert after["disk0_serial"] == str(disk.extent.serial) != before["disk0_serial"]
    assert after["disk0_name"] == f"/dev/diskid/DISK-{disk.extent.serial}"
    different = {key for key in before if before[key] != after[key]}
    assert different == {"uuid", "disk0_name", "disk0_serial", "network0_mac"}
    assert world.site().operations() == ()


def test_a_clone_costs_one_call_a_disk_beside_its_exports(nested: World) -> None:
    source = made(nested, "1G", "2G")
    nested.nas.calls.clear()
    source.clone("web2")
    writes = [call.method for call in nested.nas.calls if call.writes and call.when == "before"]
    exports = ["create_target", "create_extent", "create_mapping"]
    assert writes == [
        "create_dataset",
        "create_snapshot",
        "clone",
        "clone",
        "create_credential",
        *exports,
        *exports,
        "change_marks",
    ]


def test_a_clone_of_a_snapshot_is_the_guest_as_it_was_then(world: World) -> None:
    source = made(world)
    source.snapshot("monday")
    fill(world, source, NEW)
    text = world.directory / "web1" / "web1.conf"
    text.write_text(text.read_text().replace('cpu="1"', 'cpu="4"'))
    world.nas.sessions_now.append(NasSession(BASENAME.child("web1-disk0"), "iqn.1994-09.org.freebsd:hv1", "10.0.0.1"))
    source.clone("web2", snapshot="monday")
    assert contents(world, "web2") == [OLD]
    assert conf(world, "web2").get("cpu") == "1"


def test_a_disk_added_since_the_snapshot_is_no_part_of_the_clone(nested: World) -> None:
    source = made(nested)
    source.snapshot("monday")
    source.add_disk(web1().disks[0])  # type: ignore[arg-type]
    source.clone("web2", snapshot="monday")
    assert len(nested.site().guest("web2").record().disks) == 1


def test_a_snapshot_that_not_every_disk_has_is_refused_and_nothing_is_touched(nested: World) -> None:
    source = made(nested, "1G", "2G")
    nested.nas.create_snapshot(DatasetPath("tank/vm/web1/disk0"), SnapshotName("by-hand"))
    before = nested.nas.state()
    with pytest.raises(NotFoundError, match="disk1@by-hand"):
        source.clone("web2", snapshot="by-hand")
    assert nested.nas.state() == before


def test_a_name_that_is_taken_is_refused_and_nothing_is_touched(world: World) -> None:
    source = made(world)
    source.clone("web2")
    before = world.nas.state()
    for name in ("web1", "web2"):
        with pytest.raises(AlreadyExistsError, match=name):
            source.clone(name)
    assert world.nas.state() == before


def test_a_running_guest_is_cloned_only_by_force(nested: World, monkeypatch: pytest.MonkeyPatch) -> None:
    source = made(nested)

    def running(_self: GuestAccess) -> None:
        raise BusyError("guest web1: running on hv1")

    monkeypatch.setattr(GuestAccess, "_refuse_running", running)
    with pytest.raises(BusyError, match="running"):
        source.clone("web2")
    source.clone("web2", force=True)
    assert contents(nested, "web2") == [OLD]


def test_a_guest_with_an_unfinished_operation_is_not_cloned(nested: World) -> None:
    source = made(nested)
    intent = Intent("ab01", "rollback", "web1", {}, "root@control", "2026-11-22T10:00:00Z")
    nested.nas.change_marks(source.record().anchor, intent_marks(source.record().anchor, intent))
    with pytest.raises(BusyError, match="rollback"):
        source.clone("web2")


def test_several_disks_of_a_flat_datastore_need_a_snapshot_that_is_there(tmp_path: Path) -> None:
    world = World(tmp_path, "flat")
    source = made(world, "1G", "2G")
    with pytest.raises(RuleError, match="one moment"):
        source.clone("web2")
    for disk in source.record().disks:
        world.nas.create_snapshot(disk.volume.path, SnapshotName("by-hand"))
    source.clone("web2", snapshot="by-hand")
    assert contents(world, "web2") == [OLD, OLD]


def test_slots_stay_where_they_are_also_when_a_disk_between_was_removed(nested: World) -> None:
    source = made(nested, "1G", "2G")
    path = nested.directory / "web1" / "web1.conf"
    cd = 'disk2_type="ahci-cd"\ndisk2_dev="custom"\ndisk2_name="/iso/install.iso"\n'
    path.write_text(path.read_text() + cd)
    source.clone("web2")
    before, after = conf(nested, "web1").pairs(), conf(nested, "web2").pairs()
    assert after["disk2_name"] == "/iso/install.iso"
    assert {key: before[key] for key in before if key.endswith("_slot")}.items() <= after.items()


def test_a_disk_that_is_no_lun_is_not_shared_by_two_guests(nested: World) -> None:
    source = made(nested)
    path = nested.directory / "web1" / "web1.conf"
    path.write_text(path.read_text() + 'disk1_type="virtio-blk"\ndisk1_name="disk1.img"\n')
    with pytest.raises(RuleError, match=r"disk1 is disk1\.img"):
        source.clone("web2")


def test_a_vnc_password_goes_from_file_to_file_and_into_no_mark(nested: World) -> None:
    source = made(nested)
    path = nested.directory / "web1" / "web1.conf"
    path.write_text(path.read_text() + 'vnc_password="hunter22"\n')
    seen: list[object] = []
    nested.nas.watch = seen.append
    source.clone("web2")
    assert conf(nested, "web2").get("vnc_password") == "hunter22"
    assert "hunter22" not in repr(seen)


def test_what_the_firmware_boots_goes_along_where_the_guest_keeps_it(nested: World) -> None:
    source = made(nested, settings={"uefi_vars": "yes"})
    (nested.directory / "web1" / "uefi-vars.fd").write_bytes(b"boot this")
    source.clone("web2")
    assert (nested.directory / "web2" / "uefi-vars.fd").read_bytes() == b"boot this"
    (nested.directory / "web1" / "uefi-vars.fd").unlink()
    source.clone("web3")
    assert not (nested.directory / "web3" / "uefi-vars.fd").exists()


def test_a_clone_stands_beside_the_volumes_of_another_that_once_had_its_name(world: World) -> None:
    world.nas.renames_datasets = False
    source = made(world)
    source.rename("www")
    world.site().guest("www").clone("web1")
    clone = world.site().guest("web1").record()
    assert str(clone.uuid)[:8] in str(clone.anchor)
    assert contents(world, "web1") == [OLD]


def test_nothing_is_done_to_a_guest_whose_making_is_unfinished(world: World) -> None:
    source = made(world)

    def watch(call: Call) -> None:
        if call.method == "change_marks" and None in dict(call.arguments[1]).values():  # type: ignore[call-overload]
            raise Killed

    world.nas.watch = watch
    with pytest.raises(Killed):
        source.clone("web2")
    world.nas.watch = nothing
    (operation,) = world.site().operations()
    clone = world.site().guest("web2")
    for verb in (clone.destroy, clone.snapshot, lambda: clone.clone("web3"), lambda: source.clone("web2")):
        with pytest.raises(BusyError, match=f"ops resume {operation.intent.id}"):
            verb()
    operation.resume()
    clone.destroy()


def test_what_stands_in_the_way_is_left_alone(nested: World) -> None:
    source = made(nested)
    nested.nas.create_dataset(DatasetPath("tank/vm/web2"), {})
    before = nested.nas.state()
    with pytest.raises(ConflictError, match="no guest's"):
        source.clone("web2")
    assert nested.nas.state() == before


def test_somebody_elses_clone_is_not_taken_for_ours(tmp_path: Path) -> None:
    world = World(tmp_path, "flat")
    source = made(world)
    source.snapshot("monday")
    world.nas.clone(DatasetPath("tank/vm/web1-disk0"), SnapshotName("monday"), DatasetPath("tank/vm/web2-disk0"), {})
    before = world.nas.state()
    with pytest.raises(ConflictError, match="web2-disk0"):
        source.clone("web2", snapshot="monday")
    assert world.nas.state() == before


def test_the_preview_names_every_step_and_changes_nothing(world: World) -> None:
    source = made(world)
    before = world.nas.state()
    preview = source.preview_clone("web2")
    assert world.nas.state() == before
    assert preview.no_return is None
    assert any("cloned from" in title for title, _ in preview.steps)


def owners(views: object) -> list[tuple[int, str]]:
    return [(one.depth, one.owner) for one in views]  # type: ignore[attr-defined]


def test_the_tree_shows_each_clone_below_what_it_came_from(world: World) -> None:
    made(world).clone("web2")
    site = world.site()
    site.guest("web2").clone("web3")
    expected = [(0, "web1:disk0"), (1, "web2:disk0"), (2, "web3:disk0")]
    assert owners(site.datastore().tree()) == expected
    assert owners(site.guest("web3").tree()) == expected


def test_a_guest_without_clones_is_in_no_tree(world: World) -> None:
    assert made(world).tree() == ()
    assert world.site().datastore().tree() == ()


def test_a_promoted_guest_lives_on_when_its_source_is_destroyed(world: World) -> None:
    source = made(world)
    source.snapshot("monday")
    source.clone("web2", snapshot="monday")
    clone = world.site().guest("web2")
    preview = clone.preview_promote()
    assert preview.no_return
    assert "monday" in preview.no_return
    assert clone.promote() == ()
    assert owners(world.site().datastore().tree()) == [(0, "web2:disk0"), (1, "web1:disk0")]
    source.destroy()
    assert contents(world, "web2") == [OLD]
    assert world.site().operations() == ()


def test_a_promoted_clone_of_a_clone_is_one_of_what_that_came_from(nested: World) -> None:
    made(nested).clone("web2")
    site = nested.site()
    site.guest("web2").clone("web3")
    (origin,) = site.guest("web3").promote()
    assert origin.startswith("tank/vm/web1/disk0@clone-web2-")
    assert site.guest("web3").promote() == ()
    for name in ("web2", "web1"):
        site.guest(name).destroy()
    assert contents(nested, "web3") == [OLD]


def test_what_is_no_clone_is_not_promoted(world: World) -> None:
    guest = made(world)
    with pytest.raises(ConflictError, match="no disk of it is a clone"):
        guest.promote()


def test_a_snapshot_of_the_same_name_keeps_a_clone_from_being_promoted(world: World) -> None:
    source = made(world)
    source.snapshot("monday")
    source.clone("web2", snapshot="monday")
    clone = world.site().guest("web2")
    clone.snapshot("monday")
    before = world.nas.state()
    with pytest.raises(ConflictError, match="snapshot --destroy web2@monday"):
        clone.promote()
    assert world.nas.state() == before
