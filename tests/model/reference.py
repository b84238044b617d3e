"""What must be so: guests, their disks and what is on them, their snapshots, where they run. And what is so, read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pyvmiscsi.bhyve.conf_text import ConfText
from pyvmiscsi.names import DiskName
from pyvmiscsi.site import Guest as SiteGuest
from pyvmiscsi.site import GuestView, Site
from pyvmiscsi.units import SECTOR
from tests.model.worlds import Census, World

_OF_A_CLONE = re.compile(r"(?<=^clone-[a-z])-[0-9a-f]{8}$")

UNSEEN = -1
"""The tag of a disk that a running guest has."""


@dataclass(frozen=True)
class Disk:
    """Its size in bytes, and the number that was last written onto it (0 when none was)."""

    size: int
    tag: int = 0


@dataclass(frozen=True)
class Kept:
    """A snapshot and what the disks were when it was taken. One made for a clone has a name that ends in `-*`."""

    name: str
    disks: Mapping[str, Disk] = field(compare=False)


@dataclass(frozen=True)
class Guest:
    """`host` is where it runs, None when it does not."""

    disks: Mapping[str, Disk]
    snapshots: tuple[Kept, ...] = ()
    host: str | None = None
    chap: bool = True
    origin: tuple[str, str] | None = field(default=None, compare=False)
    """The guest and the snapshot that a linked clone depends on."""

    def snapshot(self, name: str) -> Kept:
        return next(kept for kept in self.snapshots if kept.name == name)

    def newer(self, name: str) -> tuple[Kept, ...]:
        return self.snapshots[self.snapshots.index(self.snapshot(name)) + 1 :]

    def with_disk(self, name: str, disk: Disk) -> Guest:
        return replace(self, disks={**self.disks, name: disk})

    @property
    def next_disk(self) -> str:
        return str(DiskName(1 + max(DiskName.parse(name).number for name in self.disks)))


@dataclass(frozen=True)
class Reference:
    """Everything, by name."""

    guests: Mapping[str, Guest] = field(default_factory=dict)

    def with_guest(self, name: str, guest: Guest) -> Reference:
        return replace(self, guests={**self.guests, name: guest})

    def without(self, name: str) -> Reference:
        """A snapshot that was made for it alone goes with it."""
        left = {other: guest for other, guest in self.guests.items() if other != name}
        origin = self.guests[name].origin
        if origin and origin[1].endswith("-*"):
            source = left[origin[0]]
            kept = tuple(one for one in source.snapshots if one.name != origin[1])
            left[origin[0]] = replace(source, snapshots=kept)
        return replace(self, guests=left)

    def renamed(self, old: str, new: str) -> Reference:
        """Whoever depends on it depends on the new name."""
        guests = {new if name == old else name: guest for name, guest in self.guests.items()}
        return replace(
            self,
            guests={
                name: replace(guest, origin=(new, guest.origin[1]))
                if guest.origin and guest.origin[0] == old
                else guest
                for name, guest in guests.items()
            },
        )

    def dependants(self, name: str, kept: str | None = None) -> list[str]:
        """Linked clones of a guest, or of one snapshot of it."""
        return [
            other
            for other, guest in self.guests.items()
            if guest.origin and guest.origin[0] == name and kept in (None, guest.origin[1])
        ]

    def as_seen(self) -> Reference:
        """The same without what cannot be seen from outside: what is on the disks of a guest that runs."""
        return replace(self, guests={name: _as_seen(guest) for name, guest in self.guests.items()})

    def census(self) -> Census:
        """What there must be of it: nothing more, nothing less."""
        disks = sum(len(guest.disks) for guest in self.guests.values())
        running = sum(len(guest.disks) for guest in self.guests.values() if guest.host)
        return Census(
            volumes=disks,
            extents=disks,
            targets=disks,
            mappings=disks,
            accounts=sum(guest.chap for guest in self.guests.values()),
            sessions=running,
            host_sessions=running,
            directories=tuple(sorted(self.guests)),
            intents=(),
        )


def observed(world: World) -> Reference:
    """What the nas, the hosts and the configurations say together; AssertionError where they do not agree."""
    with world.site() as site:
        assert site.operations() == ()
        return Reference({view.name: _observed_guest(world, site, view) for view in site.guests()})


def _observed_guest(world: World, site: Site, view: GuestView) -> Guest:
    guest = site.guest(view.name)
    assert view.state == ("Running" if view.host else "Stopped")
    assert view.operations == ()
    conf = _configuration(site, guest, view)
    for disk in view.disks:
        assert conf.get(f"{disk.name}_serial") == disk.serial, f"{view.name}: {disk.name} is not in the configuration"
        assert disk.sector == SECTOR.bytes
        assert bool(disk.sessions) == bool(view.host)
    named = {key.partition("_")[0] for key in conf.pairs() if key.startswith("disk") and key.endswith("_serial")}
    assert named == {disk.name for disk in view.disks}
    disks = {
        disk.name: Disk(disk.size, UNSEEN if view.host else int.from_bytes(world.sector_of(guest, disk), "big"))
        for disk in view.disks
    }
    names = (_OF_A_CLONE.sub("-*", one.name) for one in guest.snapshots())
    chap = any(disk.chap_tag is not None for disk in view.disks)
    return Guest(disks, tuple(Kept(name, {}) for name in names), view.host, chap)


def _configuration(site: Site, guest: SiteGuest, view: GuestView) -> ConfText:
    found = site.host("hv1").read_file(f"{guest.datastore.config_path}/{view.name}/{view.name}.conf")
    assert found is not None, f"{view.name}: no configuration"
    conf = ConfText(found.decode())
    assert conf.get("uuid") == view.uuid
    return conf


def write_tag(guest: SiteGuest, disk: str, tag: int) -> None:
    with guest.open_disk(disk) as lun:
        lun.pwrite(tag.to_bytes(SECTOR.bytes, "big"), 0)
        lun.flush()


def _as_seen(guest: Guest) -> Guest:
    tags = {name: replace(disk, tag=UNSEEN) if guest.host else disk for name, disk in guest.disks.items()}
    return replace(guest, disks=tags)
