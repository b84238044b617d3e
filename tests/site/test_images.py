"""Images through the SDK."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.errors import (
    AlreadyExistsError,
    BusyError,
    ConflictError,
    ImageError,
    InputError,
    NotFoundError,
    RuleError,
)
from pyvmiscsi.images.formats.kinds import Format
from pyvmiscsi.names import DatasetPath, GuestName, SnapshotName
from pyvmiscsi.operations.create import CreateRequest
from pyvmiscsi.site import Guest
from pyvmiscsi.units import MIB, Size
from tests.fakes.calls import Call, nothing
from tests.images.digests import digest_of
from tests.images.web_server import Answer, serving
from tests.plan.worlds import Killed
from tests.site.worlds import World, web1

DATA = b"a system" * 64
IMAGE = DatasetPath("tank/vm/image_debian")


@pytest.fixture(params=["nested", "flat"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World(tmp_path, request.param)


@pytest.fixture
def nested(tmp_path: Path) -> World:
    return World(tmp_path)


def made(world: World, *sizes: str, **changes: object) -> Guest:
    """web1, with something on each of its disks."""
    guest = world.site().datastore().create(web1(*(sizes or ("1M",)), **changes))
    for disk in guest.record().disks:
        world.nas.contents[disk.volume.path] = DATA
    return guest


def contents(world: World, name: str) -> list[bytes]:
    disks = world.site().guest(name).record().disks
    return [world.nas.contents[disk.volume.path].rstrip(b"\0") for disk in disks]


def conf(world: World, name: str) -> ConfText:
    return ConfText((world.directory / name / f"{name}.conf").read_text())


def test_an_image_is_made_of_a_disk_and_guests_of_the_image(world: World) -> None:
    source = made(world, settings={"cpu": "4", "network0_type": "virtio-net", "network0_switch": "public"})
    image = source.make_image("debian", description="Debian 13, bare")
    view = image.info()
    assert (view.name, view.description, view.source) == ("debian", "Debian 13, bare", "web1:disk0")
    assert view.origin
    assert (view.volume, view.size, view.guests) == (str(IMAGE), MIB.bytes, ())
    assert image.provision("db1", size=Size.parse("2M"), settings={"memory": "1G"}) == "db1"
    assert contents(world, "db1") == [DATA]
    (disk,) = world.site().guest("db1").record().disks
    assert disk.volume.size == Size.parse("2M")
    assert disk.extent
    pairs = conf(world, "db1").pairs()
    assert (pairs["cpu"], pairs["memory"], pairs["network0_switch"]) == ("4", "1G", "public")
    assert pairs["disk0_serial"] == str(disk.extent.serial)
    assert pairs["network0_mac"] != conf(world, "web1").get("network0_mac")
    assert pairs["uuid"] != conf(world, "web1").get("uuid")
    assert [found.guests for found in world.site().images()] == [("db1",)]
    assert world.site().operations() == ()


def test_to_provision_copies_nothing_and_writes_as_often_for_a_large_image_as_for_a_small_one(nested: World) -> None:
    image = made(nested, "20G").make_image("debian")
    nested.nas.calls.clear()
    image.provision("db1", size=Size.parse("40G"))
    writes = [call.method for call in nested.nas.calls if call.writes and call.when == "before"]
    assert writes == [
        "create_dataset",
        "clone",
        "grow_volume",
        "create_credential",
        "create_target",
        "create_extent",
        "create_mapping",
        "change_marks",
    ]


def test_an_image_is_named_after_its_guest_and_of_the_snapshot_that_is_named(world: World) -> None:
    source = made(world)
    source.snapshot("monday")
    for disk in source.record().disks:
        world.nas.contents[disk.volume.path] = b"changed since"
    image = source.make_image(snapshot="monday")
    assert str(image.name) == "web1"
    assert image.info().source == "web1:disk0@monday"
    image.provision("db1")
    assert contents(world, "db1") == [DATA]


def test_which_disk_of_several_has_to_be_said(nested: World) -> None:
    source = made(nested, "1M", "2M")
    with pytest.raises(RuleError, match="disk0, disk1"):
        source.make_image("debian")
    with pytest.raises(NotFoundError, match="disk7"):
        source.make_image("debian", disk="disk7")
    path = nested.directory / "web1" / "web1.conf"
    path.write_text(path.read_text().replace('disk1_type="virtio-blk"', 'disk1_type="nvme"'))
    image = source.make_image("debian", disk="disk1")
    assert image.info().size == 2 * MIB.bytes
    image.provision("db1")
    assert conf(nested, "db1").get("disk0_type") == "nvme"


def test_an_image_of_a_name_that_is_taken_is_refused_and_nothing_is_touched(world: World) -> None:
    source = made(world)
    source.make_image("debian")
    before = world.nas.state()
    with pytest.raises(AlreadyExistsError, match="debian"):
        source.make_image("debian")
    assert world.nas.state() == before


def test_a_volume_that_is_no_image_is_not_made_one(world: World) -> None:
    source = made(world)
    world.nas.create_volume(world.volume(IMAGE))
    before = world.nas.state()
    with pytest.raises(ConflictError, match="no image"):
        source.make_image("debian")
    assert world.nas.state() == before


def test_an_image_cannot_be_destroyed_under_its_guests_nor_its_source_under_it(world: World) -> None:
    source = made(world)
    image = source.make_image("debian")
    image.provision("db1")
    before = world.nas.state()
    with pytest.raises(BusyError, match="db1 depends on it"):
        image.destroy()
    with pytest.raises(BusyError, match="image_debian"):
        source.destroy()
    assert world.nas.state() == before


def test_everything_goes_in_the_right_order_and_the_nas_is_as_it_was(world: World) -> None:
    before = world.nas.state()
    source = made(world)
    image = source.make_image("debian")
    image.provision("db1")
    world.site().guest("db1").destroy()
    image.destroy()
    source.destroy()
    assert world.nas.state() == before


def test_a_promoted_guest_frees_its_image_which_others_can_still_be_provisioned_from(world: World) -> None:
    source = made(world)
    image = source.make_image("debian")
    image.provision("db1")
    world.site().guest("db1").promote()
    image.provision("db2")
    assert contents(world, "db2") == [DATA]
    image.destroy()
    assert contents(world, "db1") == contents(world, "db2") == [DATA]


def test_a_disk_smaller_than_its_image_is_refused(nested: World) -> None:
    image = made(nested, "2M").make_image("debian")
    before = nested.nas.state()
    with pytest.raises(RuleError, match="has 2M"):
        image.provision("db1", size=Size.parse("1M"))
    assert nested.nas.state() == before


def test_a_guest_of_that_name_is_left_alone(world: World) -> None:
    image = made(world).make_image("debian")
    with pytest.raises(AlreadyExistsError, match="web1"):
        image.provision("web1")


def test_a_full_copy_depends_on_nothing_and_leaves_nothing_behind(world: World) -> None:
    source = made(world)
    image = source.make_image("debian", full=True)
    assert image.info().origin is None
    assert image.info().digest == digest_of(DATA.ljust(MIB.bytes, b"\0"))
    assert source.all_snapshots() == ()
    source.destroy()
    image.provision("db1", full=True)
    image.destroy()
    assert contents(world, "db1") == [DATA]
    assert world.site().datastore().tree() == ()


def test_a_full_clone_depends_on_nothing(world: World) -> None:
    source = made(world)
    source.clone("web2", full=True)
    assert source.all_snapshots() == ()
    source.destroy()
    assert contents(world, "web2") == [DATA]
    assert world.site().operations() == ()


def test_a_file_becomes_an_image_and_an_image_a_file(world: World, tmp_path: Path) -> None:
    disk = DATA.ljust(MIB.bytes + 512, b"\0")
    (tmp_path / "debian.raw").write_bytes(disk)
    image = world.site().datastore().image("debian")
    image.import_from(str(tmp_path / "debian.raw"), description="from a file")
    view = image.info()
    assert view.digest == digest_of(disk)
    assert view.size == MIB.bytes + 16 * 1024, "whole blocks"
    assert view.source == "debian.raw"
    image.provision("db1", size=Size.parse("2M"))
    assert contents(world, "db1") == [DATA]
    world.site().guest("db1").export_disk(tmp_path / "db1.raw", Format.RAW)
    assert (tmp_path / "db1.raw").read_bytes().rstrip(b"\0") == DATA
    image.export(tmp_path / "again.raw", Format.RAW)
    assert (tmp_path / "again.raw").read_bytes().rstrip(b"\0") == DATA
    with pytest.raises(AlreadyExistsError, match=r"again\.raw"):
        image.export(tmp_path / "again.raw", Format.RAW)
    image.export(tmp_path / "again.raw", Format.RAW, replace=True)
    assert world.site().guest("db1").all_snapshots() == ()
    assert world.site().operations() == ()


def test_what_cannot_be_imported_leaves_nothing(world: World, tmp_path: Path) -> None:
    before = world.nas.state()
    image = world.site().datastore().image("debian")
    (tmp_path / "page.raw").write_bytes(b"<!DOCTYPE html>" + bytes(512))
    (tmp_path / "disk.raw").write_bytes(DATA.ljust(MIB.bytes, b"\0"))
    (tmp_path / "disk.raw.gz").write_bytes(b"\x1f\x8b\x08" + bytes(512))
    for name, options, error in (
        ("none.raw", {}, NotFoundError),
        ("page.raw", {}, ImageError),
        ("disk.raw", {"size": Size.parse("512K")}, RuleError),
        ("disk.raw", {"sha256": "ab" * 32}, ImageError),
        ("disk.raw", {"sha256": "ab" * 64}, ImageError),
        ("disk.raw", {"sha256": "ab" * 32, "checksums": "auto"}, InputError),
        ("disk.raw", {"checksums": "auto"}, ImageError),
        ("disk.raw", {"checksums": str(tmp_path / "none")}, NotFoundError),
        ("disk.raw", {"checksums": "https://me:hunter2@example.org/SHA256SUMS"}, InputError),
        ("disk.raw.gz", {}, ImageError),
        ("-", {}, InputError),
        ("disk.raw.gz", {"size": Size.parse("1M")}, ImageError),
    ):
        with pytest.raises(error):
            image.import_from(name if name == "-" else str(tmp_path / name), **options)
        assert world.nas.state() == before, name
        assert world.site().operations() == ()


def test_a_published_checksum_is_checked(world: World, tmp_path: Path) -> None:
    place, image = tmp_path / "disk.raw", world.site().datastore().image("debian")
    place.write_bytes(DATA.ljust(MIB.bytes, b"\0"))
    (tmp_path / "SHA512SUMS").write_text(f"{'ab' * 64}  disk.raw\n")
    with pytest.raises(ImageError, match="its SHA-512 is"):
        image.import_from(str(place), checksums="auto")
    (tmp_path / "CHECKSUM.SHA256").write_text(f"SHA256 (disk.raw) = {hashlib.sha256(place.read_bytes()).hexdigest()}\n")
    image.import_from(str(place), checksums=str(tmp_path / "CHECKSUM.SHA256"))
    assert image.info().digest == digest_of(place.read_bytes())


def test_an_image_that_is_not_whole_yet_is_told_from_one_that_is(world: World) -> None:
    source = made(world)

    def watch(call: Call) -> None:
        if call.method == "create_snapshot" and call.arguments[0] == IMAGE:
            raise Killed

    world.nas.watch = watch
    with pytest.raises(Killed):
        source.make_image("debian")
    world.nas.watch = nothing
    (operation,) = world.site().operations()
    (view,) = world.site().images()
    assert view.operations == (operation.intent.id,)
    with pytest.raises(BusyError, match=f"ops resume {operation.intent.id}"):
        world.site().image("debian").provision("db1")
    with pytest.raises(BusyError, match="image-create"):
        source.make_image("debian")
    operation.resume()
    assert world.site().image("debian").info().operations == ()
    world.site().image("debian").provision("db1")
    assert contents(world, "db1") == [DATA]


def test_an_import_whose_file_is_gone_is_not_resumed_but_can_be_taken_back(world: World, tmp_path: Path) -> None:
    before = world.nas.state()
    file = tmp_path / "debian.raw"
    file.write_bytes(DATA.ljust(MIB.bytes, b"\0"))

    def watch(call: Call) -> None:
        if call.method == "create_mapping":
            raise Killed

    world.nas.watch = watch
    with pytest.raises(Killed):
        world.site().datastore().image("debian").import_from(str(file))
    world.nas.watch = nothing
    file.unlink()
    (operation,) = world.site().operations()
    with pytest.raises(NotFoundError, match=r"debian\.raw: no such file"):
        operation.resume()
    operation.rewind()
    assert world.nas.state() == before
    assert world.site().operations() == ()


def test_what_an_image_was_made_of_is_told_without_a_secret_in_its_address(world: World) -> None:
    with serving({"/disk.raw": Answer(DATA.ljust(MIB.bytes, b"\0"))}) as address:
        world.site().datastore().image("debian").import_from(f"{address}/disk.raw?token=hunter22")
    assert world.site().image("debian").info().source == "disk.raw"
    assert "hunter22" not in repr(world.nas.state())


def test_a_guest_may_bear_an_images_name(world: World) -> None:
    made(world).make_image("debian")
    request = CreateRequest(GuestName("debian"), web1("1M").disks)
    world.site().datastore().create(request)
    assert {guest.name for guest in world.site().guests()} == {"web1", "debian"}


def test_an_image_without_its_snapshot_says_so(nested: World) -> None:
    image = made(nested).make_image("debian")
    nested.nas.delete_snapshot(IMAGE, SnapshotName("image"))
    with pytest.raises(NotFoundError, match="image_debian@image is gone"):
        image.provision("db1")
