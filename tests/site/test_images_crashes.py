"""Images and copies of every byte, interrupted at every call, in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyvmiscsi.images.formats.kinds import Format
from pyvmiscsi.site import Site
from pyvmiscsi.units import MIB, Size
from tests.site.mishaps import ENDINGS, KINDS, Verb, assert_survives
from tests.site.worlds import World, web1

DATA = b"a system" * 64


def with_guest(directory: Path, layout: str = "nested", *, marks_clones: bool = True) -> World:
    """web1 with something on its disk, and a file beside the config path."""
    world = World(directory, layout)
    world.nas.marks_clones = marks_clones
    for disk in world.site().datastore().create(web1("1M")).record().disks:
        world.nas.contents[disk.volume.path] = DATA
    (directory / "debian.raw").write_bytes(DATA.ljust(MIB.bytes, b"\0"))
    return world


def with_image(directory: Path, layout: str = "nested", *, marks_clones: bool = True) -> World:
    """The image debian of web1's disk, too."""
    world = with_guest(directory, layout, marks_clones=marks_clones)
    world.site().guest("web1").make_image("debian")
    return world


def imported(site: Site) -> None:
    datastore = site.datastore()
    datastore.image("debian").import_from(f"{datastore.record.config_path}/debian.raw")


def exported(site: Site) -> None:
    """Beside the world: a whole file is not taken back."""
    site.guest("web1").export_disk(Path(f"{site.datastore().record.config_path}.raw"), Format.RAW, force=True)


def content(world: World, volume: str) -> bytes:
    return next(data for path, data in world.nas.contents.items() if str(path) == volume).rstrip(b"\0")


def has_image(world: World) -> bool:
    """Whole, and guests can be made of it."""
    (view,) = world.site().images()
    snapshots = [text for text in map(str, world.nas.state()["snapshots"]) if text.startswith(view.volume)]
    return snapshots == [f"{view.volume}@image"] and content(world, view.volume) == DATA


def has_independent_image(world: World) -> bool:
    """And nothing that was there for the copying is left."""
    (view,) = world.site().images()
    left = repr(world.nas.state())
    return has_image(world) and view.origin is None and "transfer" not in left and "@image-" not in left


def has_db1(world: World) -> bool:
    (disk,) = world.site().guest("db1").record().disks
    assert disk.extent
    assert disk.target
    assert disk.mapping
    assert disk.volume.size == Size.parse("2M")
    return content(world, str(disk.volume.path)) == DATA and (world.directory / "db1" / "db1.conf").exists()


def has_independent_web2(world: World) -> bool:
    (disk,) = world.site().guest("web2").record().disks
    assert disk.volume.origin is None
    left = repr(world.nas.state())
    assert "transfer" not in left
    assert "@clone-" not in left
    return content(world, str(disk.volume.path)) == DATA


def has_file(world: World) -> bool:
    left = repr(world.nas.state())
    assert "transfer" not in left
    assert "@export-" not in left
    file = Path(f"{world.directory}.raw")
    return file.exists() and file.read_bytes().rstrip(b"\0") == DATA


def is_without_image(world: World) -> bool:
    return world.site().images() == () and world.nas.state()["snapshots"] == ()


CLONED = {
    "image": Verb(with_guest, lambda site: site.guest("web1").make_image("debian", force=True), has_image),
    "image, marked later": Verb(
        lambda place: with_guest(place, "flat", marks_clones=False),
        lambda site: site.guest("web1").make_image("debian", force=True),
        has_image,
    ),
    "provision": Verb(with_image, lambda site: site.image("debian").provision("db1", size=Size.parse("2M")), has_db1),
    "provision, flat, marked later": Verb(
        lambda place: with_image(place, "flat", marks_clones=False),
        lambda site: site.image("debian").provision("db1", size=Size.parse("2M")),
        has_db1,
    ),
    "destroy": Verb(with_image, lambda site: site.image("debian").destroy(), is_without_image, has_no_return=True),
}
COPIED = {
    "image": Verb(
        with_guest,
        lambda site: site.guest("web1").make_image("debian", full=True, force=True),
        has_independent_image,
    ),
    "import": Verb(with_guest, imported, has_independent_image),
    "export": Verb(with_guest, exported, has_file),
    "clone": Verb(
        with_guest, lambda site: site.guest("web1").clone("web2", full=True, force=True), has_independent_web2
    ),
    "clone, flat": Verb(
        lambda place: with_guest(place, "flat"),
        lambda site: site.guest("web1").clone("web2", full=True, force=True),
        has_independent_web2,
    ),
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verb", CLONED.values(), ids=CLONED)
def test_what_copies_nothing_is_finished_or_taken_back(verb: Verb, kind: str, ending: str, tmp_path: Path) -> None:
    assert assert_survives(verb, kind, ending, tmp_path) >= 10


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verb", COPIED.values(), ids=COPIED)
def test_what_copies_every_byte_is_finished_or_taken_back(verb: Verb, kind: str, ending: str, tmp_path: Path) -> None:
    assert assert_survives(verb, kind, ending, tmp_path) >= 20
