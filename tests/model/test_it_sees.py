"""What the model would miss, it would not prove: each kind of damage, done by hand, and seen."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pyvmiscsi.model import Credential, NasSession, Volume
from pyvmiscsi.names import DatasetPath, SnapshotName
from pyvmiscsi.secrets import Secret
from pyvmiscsi.units import Size
from tests.fakes.nas import BASENAME
from tests.model.luck import Fate
from tests.model.machine import Sequence
from tests.model.reference import Disk, Guest
from tests.model.worlds import CONFIG_PATH, MemoryWorld, World
from tests.site.worlds import web1

VOLUME = DatasetPath("tank/vm/web1/disk0")
CONF = f"{CONFIG_PATH}/web1/web1.conf"


class InMemory(Sequence):
    def make_world(self) -> World:
        return MemoryWorld()


def an_orphaned_volume(world: MemoryWorld) -> None:
    world.nas.create_volume(Volume(DatasetPath("tank/vm/web1/disk7"), Size.parse("1G")))


def an_orphaned_account(world: MemoryWorld) -> None:
    world.nas.create_credential(Credential(7, "nobody", Secret("0123456789abcdef")))


def a_lost_mapping(world: MemoryWorld) -> None:
    world.nas.delete_mapping(BASENAME.child("web1-disk0"), "web1-disk0")


def lost_data(world: MemoryWorld) -> None:
    world.nas.contents[VOLUME] = b"something else"


def a_snapshot_nobody_asked_for(world: MemoryWorld) -> None:
    world.nas.create_snapshot(VOLUME.parent or VOLUME, SnapshotName("tuesday"), recursive=True)


def a_session_left(world: MemoryWorld) -> None:
    world.nas.sessions_now.append(NasSession(BASENAME.child("web1-disk0"), "iqn.1994-09.org.freebsd:hv1", "10.0.0.11"))


def an_intent_left(world: MemoryWorld) -> None:
    world.nas.change_marks(VOLUME, {"org.pyvmiscsi:op.0a1b": "cut short"})


def a_directory_left(world: MemoryWorld) -> None:
    world.shared.make_directory(f"{CONFIG_PATH}/web9")


def a_configuration_without_the_disk(world: MemoryWorld) -> None:
    lines = world.shared.files[CONF].splitlines(keepends=True)
    world.shared.files[CONF] = b"".join(line for line in lines if b"_serial" not in line)


DAMAGES = (
    an_orphaned_volume,
    an_orphaned_account,
    a_lost_mapping,
    lost_data,
    a_snapshot_nobody_asked_for,
    a_session_left,
    an_intent_left,
    a_directory_left,
    a_configuration_without_the_disk,
)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_is_seen_at_the_next_look(damage: Callable[[MemoryWorld], None]) -> None:
    life = InMemory()
    world = life.world
    assert isinstance(world, MemoryWorld)
    made = life.reference.with_guest("web1", Guest({"disk0": Disk(1 << 30)}))
    life.live(lambda site: site.datastore().create(web1()), made, fate=Fate())
    damage(world)
    with pytest.raises(AssertionError):
        life.live(lambda site: site.guests(), made, fate=Fate())
