"""What must be so: guests, their disks and what is on them, their snapshots, where they run. And what is so, read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.names import DiskName
from pyvmiscsi.site import Guest as SiteGuest
from pyvmiscsi.site import GuestView, Site
from pyvmiscsi.site.trash import ParkedGuest
from pyvmiscsi.units import SECTOR
from tests.model.worlds import Census, World

_OF_A_COPY = re.compile(r"(?<=^(clone|image)-[a-z])-[0-9a-f]{8}$")

V = TypeVar("V")

TRASH = "trash "
"""How the holder of an origin begins when it is in the trash."""

UNSEEN = -1
"""The tag of a disk that a running guest has."""


@dataclass(frozen=True)
class Disk:
    """Its size in bytes, and the number that was last written onto it (0 when none was)."""

    size: int
    tag: int = 0


@dataclass(frozen=True)
class Origin:
    """What a linked copy depends on: a guest, `image NAME` or `trash NAME`, and one snapshot of it."""

    holder: str
    snapshot: str


@dataclass(frozen=True)
class Kept:
    """A snapshot and what the disks were when it was taken. One made for a copy's sake is named `clone-b-*3`."""

    name: str
    disks: Mapping[str, Disk] = field(compare=False)
    named: frozenset[str] = field(default=frozenset(), compare=False)
    """The disks that the configuration names which was kept with it."""
    left: bool = field(default=False, compare=False)
    """It was made for a clone that is gone (docs/limits.md: in a flat datastore it stays)."""

    @classmethod
    def of(cls, name: str, guest: Guest) -> Kept:
        return cls(name, guest.disks, frozenset(guest.disks))


@dataclass(frozen=True)
class Guest:
    """`host` is where it runs, None when it does not."""

    disks: Mapping[str, Disk]
    snapshots: tuple[Kept, ...] = ()
    host: str | None = None
    chap: bool = True
    origin: Origin | None = field(default=None, compare=False)

    def snapshot(self, name: str) -> Kept:
        return next(kept for kept in self.snapshots if kept.name == name)

    def newer(self, name: str) -> tuple[Kept, ...]:
        return self.snapshots[self.snapshots.index(self.snapshot(name)) + 1 :]

    def with_disk(self, name: str, disk: Disk) -> Guest:
        return replace(self, disks={**self.disks, name: disk})

    def without_snapshot(self, name: str, *, stays: bool) -> Guest:
        """Without the one that was made for a copy which is gone, unless it stays."""
        kept = [replace(one, left=True) if one.name == name else one for one in self.snapshots]
        return replace(self, snapshots=tuple(one for one in kept if stays or not one.left))

    def without_disk(self, name: str) -> Guest:
        """Its snapshots, too, have it no longer."""
        kept = tuple(replace(one, disks=_without(one.disks, name)) for one in self.snapshots)
        return replace(self, disks=_without(self.disks, name), snapshots=kept)

    @property
    def next_disk(self) -> str:
        return str(DiskName(1 + max(DiskName.parse(name).number for name in self.disks)))


@dataclass(frozen=True)
class Image:
    """What a guest that is provisioned of it begins with."""

    disk: Disk
    origin: Origin | None = field(default=None, compare=False)


T = TypeVar("T", Guest, Image)


@dataclass(frozen=True)
class Reference:
    """Everything, by name. Guests in the trash are known by the name they had, and no two of one name are parked."""

    guests: Mapping[str, Guest] = field(default_factory=dict)
    images: Mapping[str, Image] = field(default_factory=dict)
    parked: Mapping[str, Guest] = field(default_factory=dict)
    flat: bool = field(default=False, compare=False)

    def with_guest(self, name: str, guest: Guest) -> Reference:
        return replace(self, guests={**self.guests, name: guest})

    def with_image(self, name: str, image: Image) -> Reference:
        return replace(self, images={**self.images, name: image})

    def without(self, name: str) -> Reference:
        """Destroyed. A snapshot that was made for it alone goes with it."""
        gone = replace(self, guests=_without(self.guests, name))
        return gone._released(self.guests[name].origin)

    def without_image(self, name: str) -> Reference:
        gone = replace(self, images=_without(self.images, name))
        return gone._released(self.images[name].origin)

    def emptied(self, name: str) -> Reference:
        gone = replace(self, parked=_without(self.parked, name))
        return gone._released(self.parked[name].origin)

    def _released(self, origin: Origin | None) -> Reference:
        """The snapshot that was made for something which is gone, is gone too."""
        if origin is None or "-*" not in origin.snapshot:
            return self
        source = self.guests.get(origin.holder) or self.parked[origin.holder.removeprefix(TRASH)]
        left = source.without_snapshot(origin.snapshot, stays=self.flat and origin.snapshot.startswith("clone-"))
        if origin.holder in self.guests:
            return self.with_guest(origin.holder, left)
        return replace(self, parked={**self.parked, origin.holder.removeprefix(TRASH): left})

    def renamed(self, old: str, new: str) -> Reference:
        guests = {new if name == old else name: guest for name, guest in self.guests.items()}
        return replace(self, guests=guests)._followed(old, new)

    def with_parked(self, name: str) -> Reference:
        parked = {**self.parked, name: self.guests[name]}
        return replace(self, guests=_without(self.guests, name), parked=parked)._followed(name, TRASH + name)

    def restored(self, name: str, new: str) -> Reference:
        back = replace(self, parked=_without(self.parked, name)).with_guest(new, self.parked[name])
        return back._followed(TRASH + name, new)

    def _followed(self, old: str, new: str) -> Reference:
        """Whoever depended on the old holder depends on the new one."""

        def follow(thing: T) -> T:
            origin = thing.origin
            return replace(thing, origin=replace(origin, holder=new)) if origin and origin.holder == old else thing

        return Reference(
            {name: follow(guest) for name, guest in self.guests.items()},
            {name: follow(image) for name, image in self.images.items()},
            {name: follow(guest) for name, guest in self.parked.items()},
            self.flat,
        )

    def dependants(self, holder: str, kept: str | None = None) -> list[str]:
        """What is a linked copy of a guest or an image, or of one snapshot of it."""
        things: Mapping[str, Guest | Image] = {
            **self.guests,
            **{f"image {name}": image for name, image in self.images.items()},
            **{TRASH + name: guest for name, guest in self.parked.items()},
        }
        return [
            name
            for name, thing in things.items()
            if thing.origin and thing.origin.holder == holder and kept in (None, thing.origin.snapshot)
        ]

    def as_seen(self) -> Reference:
        """The same without what cannot be seen from outside: what is on disks that nobody is offered, or a guest has.

        A snapshot that was taken for an image's sake is one of a single disk, and not among its guest's.
        """
        return Reference(
            {name: _as_seen(guest) for name, guest in self.guests.items()},
            {name: Image(replace(image.disk, tag=UNSEEN)) for name, image in self.images.items()},
            {name: _as_parked(guest) for name, guest in self.parked.items()},
        )

    def census(self) -> Census:
        """What there must be of it: nothing more, nothing less."""
        disks = sum(len(guest.disks) for guest in self.guests.values())
        running = sum(len(guest.disks) for guest in self.guests.values() if guest.host)
        return Census(
            volumes=disks + len(self.images) + sum(len(guest.disks) for guest in self.parked.values()),
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
        return Reference(
            {view.name: _observed_guest(world, site, view) for view in site.guests()},
            {view.name: Image(Disk(view.size, UNSEEN)) for view in site.datastore().images()},
            {one.view().guest: _observed_parked(one) for one in site.trash().parked()},
        )


def _observed_guest(world: World, site: Site, view: GuestView) -> Guest:
    guest = site.guest(view.name)
    assert view.state == ("Running" if view.host else "Stopped")
    assert view.operations == ()
    conf = _configuration(site, guest, view)
    for disk in view.disks:
        assert disk.sector == SECTOR.bytes
        assert bool(disk.sessions) == bool(view.host)
    serials = {value for key, value in conf.pairs().items() if key.endswith("_serial")}
    assert serials == {disk.serial for disk in view.disks}
    disks = {
        disk.name: Disk(disk.size, UNSEEN if view.host else int.from_bytes(world.sector_of(guest, disk), "big"))
        for disk in view.disks
    }
    names = (_OF_A_COPY.sub("-*", one.name) for one in guest.snapshots())
    chap = any(disk.chap_tag is not None for disk in view.disks)
    return _as_seen(Guest(disks, tuple(Kept(name, {}) for name in names), view.host, chap))


def _observed_parked(parked: ParkedGuest) -> Guest:
    record = parked.record
    names = ",".join(str(disk.was.name) for disk in record.parked.disks)
    return Guest({names: Disk(record.size, UNSEEN)})


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
    asked = (one for one in guest.snapshots if not one.name.startswith("image-"))
    shown = tuple(replace(one, name=one.name.rstrip("0123456789")) for one in asked)
    return replace(guest, disks=tags, snapshots=shown)


def _as_parked(guest: Guest) -> Guest:
    """What the trash tells of a guest: which disks, and how large all of them are."""
    size = sum(disk.size for disk in guest.disks.values())
    return Guest({",".join(sorted(guest.disks)): Disk(size, UNSEEN)})


def _without(things: Mapping[str, V], name: str) -> dict[str, V]:
    return {other: thing for other, thing in things.items() if other != name}
