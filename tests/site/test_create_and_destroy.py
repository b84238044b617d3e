"""Create and destroy through the SDK: what an administrator counts on."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from pyvmiscsi.errors import (
    BusyError,
    ConflictError,
    NasRefusedError,
    NasSpaceError,
    NasUnreachableError,
    NotFoundError,
    RuleError,
)
from pyvmiscsi.model import Extent, NasSession, Target, Volume
from pyvmiscsi.names import DatasetPath, DiskName, GuestName, Serial
from pyvmiscsi.operations.create import CreateRequest, DiskRequest
from pyvmiscsi.plan.intent import Intent, intent_marks
from pyvmiscsi.steps import exports
from pyvmiscsi.units import Size
from tests.fakes.nas import BASENAME, Call, FakeNas, lose_answer, nothing
from tests.site.worlds import World, web1

GIB = DiskRequest(Size.parse("1G"))


@pytest.fixture(params=["nested", "flat"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World(tmp_path, request.param)


@pytest.fixture
def nested(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_guest_created_is_whole_and_has_no_unfinished_operation(world: World) -> None:
    guest = world.site().datastore().create(web1("1G", "2G"))
    view = guest.info()
    assert [(disk.name, disk.size_text, disk.lun, disk.sector) for disk in view.disks] == [
        ("disk0", "1G", 1, 512),
        ("disk1", "2G", 1, 512),
    ]
    assert view.state == "Stopped"
    assert view.operations == ()
    assert world.site().operations() == ()


def test_the_configuration_names_each_disk_by_its_serial_and_pins_its_slot(world: World) -> None:
    view = world.site().datastore().create(web1("1G", "2G")).info()
    conf = (world.directory / "web1" / "web1.conf").read_text()
    for disk in view.disks:
        assert f'{disk.name}_serial="{disk.serial}"' in conf
        assert f'{disk.name}_name="/dev/diskid/DISK-{disk.serial}"' in conf
        assert f'{disk.name}_dev="custom"' in conf
    assert 'disk1_slot="0:5:0"' in conf


def test_creating_a_one_disk_guest_takes_at_most_seven_writes_and_three_reads(nested: World) -> None:
    nested.site().datastore().create(web1())
    assert nested.nas.count(writes=True) == 7
    assert nested.nas.count(writes=False) <= 3


def test_without_chap_it_takes_six_writes(nested: World) -> None:
    nested.site().datastore().create(web1(chap=False))
    assert nested.nas.count(writes=True) == 6


def test_destroying_it_takes_at_most_six_writes_and_leaves_the_nas_as_it_was(world: World) -> None:
    before = world.nas.state()
    guest = world.site().datastore().create(web1())
    world.nas.calls.clear()
    guest.destroy()
    assert world.nas.count(writes=True) <= 6
    assert world.nas.state() == before
    assert list(world.directory.iterdir()) == []


def test_the_same_request_again_finds_the_guest_and_changes_nothing(world: World) -> None:
    world.site().datastore().create(web1())
    before = world.nas.state()
    world.site().datastore().create(web1())
    assert world.nas.state() == before


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (web1("2G"), "size is 1G, not 2G"),
        (web1("1G", "1G"), "disk1"),
        (web1(settings={"memory": "4G"}), "memory is 512M, not 4G"),
        (web1(chap=False), "CHAP tag"),
    ],
    ids=["size", "disks", "memory", "chap"],
)
def test_another_request_of_the_same_name_is_a_conflict_naming_the_first_difference(
    world: World, other: CreateRequest, difference: str
) -> None:
    world.site().datastore().create(web1())
    before = world.nas.state()
    with pytest.raises(ConflictError, match=difference):
        world.site().datastore().create(other)
    assert world.nas.state() == before


def test_the_same_request_carries_on_with_a_create_that_was_cut_short(world: World) -> None:
    world.nas.watch = unreachable_from("create_mapping")
    with pytest.raises(NasUnreachableError) as caught:
        world.site().datastore().create(web1())
    assert "ops resume" in caught.value.hint
    world.nas.watch = lambda _call: None
    guest = world.site().datastore().create(web1())
    assert guest.info().disks[0].lun == 1
    assert world.site().operations() == ()


def test_another_request_does_not_carry_on_with_it(world: World) -> None:
    world.nas.watch = unreachable_from("create_mapping")
    with pytest.raises(NasUnreachableError):
        world.site().datastore().create(web1())
    world.nas.watch = lambda _call: None
    with pytest.raises(BusyError, match="unfinished"):
        world.site().datastore().create(web1("2G"))


def test_a_create_that_another_process_is_at_is_not_joined(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as other, pytest.raises(NasUnreachableError):
        other.setattr("os.getpid", os.getppid)  # a process that lives, and is not this one
        world.nas.watch = unreachable_from("create_mapping")
        world.site().datastore().create(web1())
    world.nas.watch = lambda _call: None
    with pytest.raises(BusyError, match="at work"):
        world.site().datastore().create(web1())
    (operation,) = world.site().operations()
    operation.resume()
    assert world.site().operations() == ()


def test_a_create_that_another_thread_of_the_script_is_at_is_not_joined_either(world: World) -> None:
    """It would make what the other is about to make, and both would take it for somebody else's."""

    def another_thread(call: Call) -> None:
        if (call.method, call.when) == ("create_target", "before"):
            world.nas.watch = nothing
            with ThreadPoolExecutor(1) as pool, pytest.raises(BusyError, match="at work"):
                pool.submit(world.site().datastore().create, web1()).result()

    world.nas.watch = another_thread
    guest = world.site().datastore().create(web1())
    assert guest.info().disks[0].lun == 1
    assert world.site().operations() == ()


def test_any_control_host_sees_the_unfinished_create_and_can_take_it_back(world: World) -> None:
    before = world.nas.state()
    world.nas.watch = unreachable_from("create_extent")
    with pytest.raises(NasUnreachableError):
        world.site().datastore().create(web1())
    world.nas.watch = lambda _call: None
    (operation,) = world.site().operations()
    assert (operation.view().verb, operation.view().guest) == ("create", "web1")
    world.site().operation(operation.intent.id).rewind()
    assert world.nas.state() == before
    assert world.site().operations() == ()


def test_a_guest_with_an_unfinished_operation_is_not_destroyed_behind_its_back(world: World) -> None:
    world.nas.watch = unreachable_from("create_mapping")
    with pytest.raises(NasUnreachableError):
        world.site().datastore().create(web1())
    world.nas.watch = lambda _call: None
    with pytest.raises(BusyError, match="create begun"):
        world.site().guest("web1").destroy()
    assert len(world.site().operations()) == 1


def test_not_even_when_the_answer_to_its_own_mark_is_lost(nested: World) -> None:
    guest = nested.site().datastore().create(web1())
    anchor = guest.record().anchor
    other = Intent("0a1b", "rename", "web1", {}, "root@elsewhere[1]", "2026-11-22T10:00:00Z")
    nested.nas.change_marks(anchor, intent_marks(anchor, other))
    before = nested.nas.state()
    nested.nas.watch = lose_answer("change_marks")
    with pytest.raises(BusyError, match="rename begun"):
        guest.destroy()
    assert nested.nas.state() == before


def test_a_create_that_a_colleague_completed_is_not_taken_back_by_the_error_of_its_author(nested: World) -> None:
    def colleague_is_faster(call: Call) -> None:
        if call.method == "create_mapping" and call.when == "before":
            nested.nas.watch = nothing
            nested.site().operations()[0].resume()
            raise NasRefusedError("no")

    nested.nas.watch = colleague_is_faster
    with pytest.raises(NasRefusedError):
        nested.site().datastore().create(web1())
    assert [disk.size_text for disk in nested.site().guest("web1").info().disks] == ["1G"]


def test_an_unfinished_destroy_once_completed_does_not_touch_the_next_guest_of_that_name(nested: World) -> None:
    def away(call: Call) -> None:
        if call.method == "delete_volume" and call.when == "before":
            raise NasUnreachableError("nas1: no connection")

    nested.site().datastore().create(web1())
    nested.nas.watch = away
    with pytest.raises(NasUnreachableError):
        nested.site().guest("web1").destroy()
    nested.nas.watch = nothing
    held = nested.site().operations()[0]
    nested.site().operations()[0].resume()
    nested.site().datastore().create(web1())
    before = nested.nas.state()
    with pytest.raises(ConflictError, match="completed or taken back meanwhile"):
        held.resume()
    assert nested.nas.state() == before


def test_a_volume_of_such_a_name_that_was_not_made_for_the_guest_is_not_destroyed_with_it(world: World) -> None:
    guest = world.site().datastore().create(web1())
    stranger = guest.datastore.volume_of(guest.name, DiskName(1))
    world.nas.create_volume(Volume(stranger, Size.parse("1G")))
    before = world.nas.state()
    with pytest.raises(ConflictError, match=f"volume {stranger}: it was not made for guest web1"):
        guest.destroy()
    assert world.nas.state() == before


def test_a_pool_without_space_leaves_nothing_behind(tmp_path: Path) -> None:
    world = World(tmp_path, nas=FakeNas(pool_size=Size.parse("10G")))
    before = world.nas.state()
    with pytest.raises(NasSpaceError):
        world.site().datastore().create(replace(web1(), disks=(GIB, DiskRequest(Size.parse("100G"), thick=True))))
    assert world.nas.state() == before
    assert list(world.directory.iterdir()) == []


def test_a_4096_byte_extent_in_the_way_is_a_conflict_and_stays(nested: World) -> None:
    volume = DatasetPath.parse("tank/vm/other")
    nested.nas.create_volume(Volume(volume, Size.parse("1G")))
    nested.nas.create_extent(Extent("web1-disk0", volume, Serial("S1"), sector=Size(4096)))
    before = nested.nas.state()
    with pytest.raises(ConflictError, match="block size is 4K, not 512"):
        nested.site().datastore().create(web1())
    assert nested.nas.state() == before


def test_a_target_of_the_name_is_never_taken_for_the_guests_own_for_it_may_have_other_luns(nested: World) -> None:
    nested.nas.create_target(Target(BASENAME.child("web1-disk0"), portal_group=1))
    before = nested.nas.state()
    with pytest.raises(ConflictError, match="is there already"):
        nested.site().datastore().create(web1(chap=False))
    assert nested.nas.state() == before


def test_an_account_goes_with_the_guest_even_if_its_target_was_deleted_by_hand(world: World) -> None:
    before = world.nas.state()
    guest = world.site().datastore().create(web1())
    world.nas.delete_target(BASENAME.child("web1-disk0"))
    guest.destroy()
    assert world.nas.state() == before


def test_a_dataset_that_is_no_guest_is_a_conflict(nested: World) -> None:
    nested.nas.create_dataset(DatasetPath.parse("tank/vm/web1"), {})
    with pytest.raises(ConflictError, match="no guest's"):
        nested.site().datastore().create(web1())


@pytest.mark.parametrize("size", ["1000000", "513", "0", "17K"])
def test_a_size_that_is_no_whole_number_of_blocks_is_refused_with_the_next_that_is(size: str) -> None:
    with pytest.raises(RuleError, match="not a multiple") as caught:
        DiskRequest(Size.parse(size))
    assert "ask for" in caught.value.hint


def test_a_guest_somebody_is_logged_in_to_is_not_destroyed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "SEEN_GONE_WITHIN", 0.0)
    guest = world.site().datastore().create(web1())
    world.nas.sessions_now.append(NasSession(BASENAME.child("web1-disk0"), "iqn.1994-09.org.freebsd:hv9", "10.0.0.9"))
    before = world.nas.state()
    with pytest.raises(BusyError, match="hv9"):
        guest.destroy()
    assert world.nas.state() == before
    assert world.site().operations() == ()


def test_preview_changes_nothing(world: World) -> None:
    before = world.nas.state()
    preview = world.site().datastore().preview_create(web1())
    assert ("target iqn.2005-10.org.freenas.ctl:web1-disk0", False) in preview.steps
    assert preview.no_return is None
    assert world.nas.state() == before
    guest = world.site().datastore().create(web1())
    whole = world.nas.state()
    assert guest.preview_destroy().no_return == "no extent web1-disk0"
    assert world.nas.state() == whole


def test_a_guest_that_is_not_there_is_not_found(world: World) -> None:
    with pytest.raises(NotFoundError, match="web9"):
        world.site().guest("web9")


def test_a_hundred_guests_are_listed_with_a_handful_of_calls(nested: World) -> None:
    store = nested.site().datastore()
    for number in range(100):
        store.create(replace(web1(), guest=GuestName.parse(f"g{number}"), uuid=uuid4()))
    nested.nas.calls.clear()
    assert len(nested.site().guests()) == 100
    assert nested.nas.count(writes=False) == 1


def unreachable_from(method: str) -> Callable[[Call], None]:
    """From the first call of `method` on, the nas answers nobody."""
    gone = False

    def watch(call: Call) -> None:
        nonlocal gone
        gone = gone or call.method == method
        if gone:
            raise NasUnreachableError("nas1: no answer")

    return watch


def test_a_disk_added_moves_no_other_device_and_goes_with_the_guest(world: World) -> None:
    before = world.nas.state()
    guest = world.site().datastore().create(web1("1G", settings={"network0_type": "virtio-net"}))
    conf = world.directory / "web1" / "web1.conf"
    slots = {line for line in conf.read_text().splitlines() if "_slot=" in line}
    assert guest.add_disk(DiskRequest(Size.parse("2G")), emulation="nvme") == "disk1"
    view = guest.info()
    assert [(disk.name, disk.size_text, disk.chap_tag == view.disks[0].chap_tag) for disk in view.disks] == [
        ("disk0", "1G", True),
        ("disk1", "2G", True),
    ]
    text = conf.read_text()
    assert slots <= set(text.splitlines())
    assert f'disk1_serial="{view.disks[1].serial}"' in text
    assert 'disk1_type="nvme"' in text
    guest.destroy()
    assert world.nas.state() == before


def test_a_disk_type_that_no_lun_can_have_is_refused(world: World) -> None:
    guest = world.site().datastore().create(web1())
    with pytest.raises(RuleError, match="ahci-cd"):
        guest.add_disk(GIB, emulation="ahci-cd")
    assert world.site().operations() == ()
