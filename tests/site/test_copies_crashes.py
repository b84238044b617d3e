"""Copies interrupted at every call, in memory: on appliances that clone and mark in one call, and in two."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyvmiscsi.names import SnapshotName
from pyvmiscsi.site import Site
from tests.site.mishaps import ENDINGS, KINDS, Verb, assert_survives
from tests.site.worlds import World, web1

DATA = b"as it was"


def prepared(directory: Path, layout: str, *sizes: str, marks_clones: bool = True) -> World:
    """web1 with something on its disks and a snapshot of them."""
    world = World(directory, layout)
    world.nas.marks_clones = marks_clones
    record = world.site().datastore().create(web1(*sizes, settings={"uefi_vars": "yes"})).record()
    (directory / "web1" / "uefi-vars.fd").write_bytes(b"boot this")
    for disk in record.disks:
        world.nas.contents[disk.volume.path] = DATA
    world.nas.create_snapshot(record.anchor, SnapshotName("monday"), recursive=True)
    return world


def clone(site: Site) -> None:
    site.guest("web1").clone("web2", force=True)


def clone_of_monday(site: Site) -> None:
    site.guest("web1").clone("web2", snapshot="monday")


def has_both(world: World) -> bool:
    """web1 and web2 are whole, of the same data."""
    one, two = (world.site().guest(name).record() for name in ("web1", "web2"))
    assert len(one.disks) == len(two.disks)
    for disk in (*one.disks, *two.disks):
        assert disk.extent
        assert disk.target
        assert disk.mapping
        assert world.nas.contents[disk.volume.path] == DATA
    assert (*one.intents, *two.intents) == ()
    assert (world.directory / "web2" / "uefi-vars.fd").read_bytes() == b"boot this"
    return (world.directory / "web2" / "web2.conf").exists()


def is_cloned(world: World) -> bool:
    return has_both(world) and all(disk.volume.origin for disk in world.site().guest("web2").record().disks)


CLONES = {
    "two disks": Verb(lambda place: prepared(place, "nested", "1G", "2G"), clone, is_cloned),
    "marked later": Verb(lambda place: prepared(place, "nested", marks_clones=False), clone_of_monday, is_cloned),
    "flat, marked later": Verb(lambda place: prepared(place, "flat", marks_clones=False), clone, is_cloned),
}


def cloned(directory: Path, layout: str, *sizes: str) -> World:
    world = prepared(directory, layout, *sizes)
    clone_of_monday(world.site())
    return world


def promote(site: Site) -> None:
    site.guest("web2").promote()


def is_promoted(world: World) -> bool:
    assert has_both(world)
    one, two = (world.site().guest(name).record() for name in ("web1", "web2"))
    return all(disk.volume.origin for disk in one.disks) and not any(disk.volume.origin for disk in two.disks)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verb", CLONES.values(), ids=CLONES)
def test_a_clone_is_finished_or_taken_back(verb: Verb, kind: str, ending: str, tmp_path: Path) -> None:
    assert assert_survives(verb, kind, ending, tmp_path) >= 12


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", ["nested", "flat"])
def test_a_promotion_is_finished_from_its_first_step_on(kind: str, ending: str, layout: str, tmp_path: Path) -> None:
    sizes = ("1G", "2G") if layout == "nested" else ("1G",)
    verb = Verb(lambda place: cloned(place, layout, *sizes), promote, is_promoted, has_no_return=True)
    assert assert_survives(verb, kind, ending, tmp_path) >= 8
