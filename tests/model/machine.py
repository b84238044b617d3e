"""The rules of a sequence: any verb on any guest, allowed or not, with or without bad luck."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from pyvmiscsi.errors import (
    AlreadyExistsError,
    BusyError,
    ConflictError,
    InputError,
    NotFoundError,
    RuleError,
)
from pyvmiscsi.names import GuestName
from pyvmiscsi.operations.create import CreateRequest, DiskRequest
from pyvmiscsi.units import MIB, Size
from tests.model.living import GUESTS, IMAGES, SNAPSHOTS, Living, Refusal, Refusals
from tests.model.luck import Fate, Kind, Mishap
from tests.model.reference import TRASH, Disk, Guest, Image, Kept, Origin, write_tag
from tests.model.worlds import HOSTS

_CHAP = ("none", "one way", "mutual")


def _mishaps(latest: int) -> st.SearchStrategy[Mishap]:
    return st.builds(Mishap, st.integers(0, latest), st.sampled_from(Kind))


sizes = st.integers(1, 3).map(lambda count: count * MIB.bytes)
good = st.just(Fate())
bad = st.builds(
    Fate,
    st.one_of(st.tuples(_mishaps(40)), st.tuples(_mishaps(40), _mishaps(12))),
    st.sampled_from(("resume", "rewind")),
)
fates = st.one_of(good, bad, good)


class Sequence(Living):
    """Each rule is a verb with the state that it must bring about, or with the refusal that it must meet."""

    # guests come and go

    @precondition(lambda self: len(self.reference.guests) < len(GUESTS))
    @rule(data=st.data(), disks=st.lists(sizes, min_size=1, max_size=2), chap=st.sampled_from(_CHAP), fate=fates)
    def create(self, data: st.DataObject, disks: list[int], chap: str, fate: Fate) -> None:
        name = self.free_name(data)
        request = CreateRequest(GuestName.parse(name), _disks(disks), chap=chap != "none", mutual=chap == "mutual")
        made = Guest({f"disk{number}": Disk(size) for number, size in enumerate(disks)}, chap=chap != "none")
        self.live(lambda site: site.datastore().create(request), self.reference.with_guest(name, made), fate=fate)

    @precondition(lambda self: self.reference.guests)
    @rule(data=st.data(), fate=fates)
    def create_another_of_the_same_name(self, data: st.DataObject, fate: Fate) -> None:
        name, guest = self.any_guest(data)
        request = CreateRequest(GuestName.parse(name), _disks([MIB.bytes] * (1 + len(guest.disks))))
        self.live(lambda site: site.datastore().create(request), self.reference, refusal=ConflictError, fate=fate)

    @precondition(lambda self: self.reference.guests)
    @rule(data=st.data(), fate=fates)
    def destroy(self, data: st.DataObject, fate: Fate) -> None:
        """The snapshot that was taken for a clone's sake goes with it."""
        name, guest = self.any_guest(data)
        self.live(
            lambda site: site.guest(name).destroy(),
            self.reference.without(name),
            refusal=BusyError if guest.host or self.reference.dependants(name) else None,
            fate=fate,
        )

    @precondition(lambda self: self.reference.guests and len(self.reference.guests) < len(GUESTS))
    @rule(data=st.data(), full=st.booleans(), fate=fates)
    def clone(self, data: st.DataObject, full: bool, fate: Fate) -> None:
        """Of what the guest is now: a snapshot is taken for it, which a linked clone needs for as long as it lives."""
        name, guest = self.any_guest(data)
        new = self.free_name(data)
        kept = Kept.of(f"clone-{new}-*{next(self.numbers)}", guest)
        made = Guest(_renumbered(guest.disks), chap=guest.chap, origin=None if full else Origin(name, kept.name))
        source = guest if full else replace(guest, snapshots=(*guest.snapshots, kept))
        refusal: Refusal | None = BusyError if guest.host else None
        if self.layout == "flat" and len(guest.disks) > 1:
            refusal = refusal or RuleError
        self.live(
            lambda site: site.guest(name).clone(new, full=full),
            self.reference.with_guest(name, source).with_guest(new, made),
            refusal=refusal,
            fate=fate,
        )

    @precondition(lambda self: self.has_snapshots and len(self.reference.guests) < len(GUESTS))
    @rule(data=st.data(), full=st.booleans(), fate=fates)
    def clone_of_a_snapshot(self, data: st.DataObject, full: bool, fate: Fate) -> None:
        name, guest, kept = self.any_snapshot(data)
        new = self.free_name(data)
        refusal: Refusals | None = None
        if kept.disks.keys() != kept.named:  # a disk that it names was taken out since
            refusal = (ConflictError, NotFoundError)
        grown = {disk: replace(was, size=guest.disks[disk].size) for disk, was in kept.disks.items()}
        disks = _renumbered(grown if full else kept.disks)
        made = Guest(disks, chap=guest.chap, origin=None if full else Origin(name, kept.name))
        self.live(
            lambda site: site.guest(name).clone(new, snapshot=kept.name, full=full),
            self.reference.with_guest(new, made),
            refusal=refusal,
            fate=fate,
        )

    @precondition(lambda self: self.reference.guests)
    @rule(data=st.data(), new=st.sampled_from(GUESTS), fate=fates)
    def rename(self, data: st.DataObject, new: str, fate: Fate) -> None:
        name, guest = self.any_guest(data)
        refusal: Refusal | None = BusyError if guest.host else None
        if refusal is None and new == name:
            refusal = InputError
        elif refusal is None and new in self.reference.guests:
            refusal = AlreadyExistsError
        self.live(
            lambda site: site.guest(name).rename(new), self.reference.renamed(name, new), refusal=refusal, fate=fate
        )

    # images

    @precondition(lambda self: self.reference.guests and len(self.reference.images) < len(IMAGES))
    @rule(data=st.data(), full=st.booleans(), fate=fates)
    def make_image(self, data: st.DataObject, full: bool, fate: Fate) -> None:
        """The snapshot that is taken for it is one of a single disk."""
        name, guest, disk = self.any_disk(data)
        image = data.draw(st.sampled_from([image for image in IMAGES if image not in self.reference.images]))
        kept = Kept(f"image-{image}-*{next(self.numbers)}", {disk: guest.disks[disk]}, frozenset({disk}))
        made = Image(guest.disks[disk], None if full else Origin(name, kept.name))
        source = guest if full else replace(guest, snapshots=(*guest.snapshots, kept))
        self.live(
            lambda site: site.guest(name).make_image(image, disk=disk, full=full),
            self.reference.with_guest(name, source).with_image(image, made),
            refusal=BusyError if guest.host else None,
            fate=fate,
        )

    @precondition(lambda self: self.reference.images and len(self.reference.guests) < len(GUESTS))
    @rule(data=st.data(), full=st.booleans(), more=st.integers(0, 2), fate=fates)
    def provision(self, data: st.DataObject, full: bool, more: int, fate: Fate) -> None:
        name, image = self.any_image(data)
        new = self.free_name(data)
        disk = replace(image.disk, size=image.disk.size + more * MIB.bytes)
        made = Guest({"disk0": disk}, origin=None if full else Origin(f"image {name}", ""))
        self.live(
            lambda site: site.datastore().image(name).provision(new, size=Size(disk.size), full=full),
            self.reference.with_guest(new, made),
            fate=fate,
        )

    @precondition(lambda self: self.reference.images)
    @rule(data=st.data(), fate=fates)
    def destroy_image(self, data: st.DataObject, fate: Fate) -> None:
        name, _ = self.any_image(data)
        self.live(
            lambda site: site.datastore().image(name).destroy(),
            self.reference.without_image(name),
            refusal=BusyError if self.reference.dependants(f"image {name}") else None,
            fate=fate,
        )

    # the trash

    @precondition(lambda self: self.reference.guests.keys() - self.reference.parked.keys())
    @rule(data=st.data(), fate=fates)
    def park(self, data: st.DataObject, fate: Fate) -> None:
        name = data.draw(st.sampled_from(sorted(self.reference.guests.keys() - self.reference.parked.keys())))
        guest = self.reference.guests[name]
        self.live(
            lambda site: site.guest(name).park(7),
            self.reference.with_parked(name),
            refusal=BusyError if guest.host else None,
            fate=fate,
        )

    @precondition(lambda self: self.reference.parked)
    @rule(data=st.data(), new=st.sampled_from(GUESTS), fate=fates)
    def restore(self, data: st.DataObject, new: str, fate: Fate) -> None:
        name = data.draw(st.sampled_from(sorted(self.reference.parked)))
        self.live(
            lambda site: site.trash().find(name).restore(new),
            self.reference.restored(name, new),
            refusal=AlreadyExistsError if new in self.reference.guests else None,
            fate=fate,
        )

    @precondition(lambda self: self.reference.parked)
    @rule(data=st.data(), fate=fates)
    def empty_trash(self, data: st.DataObject, fate: Fate) -> None:
        name = data.draw(st.sampled_from(sorted(self.reference.parked)))
        self.live(
            lambda site: site.trash().find(name).empty(),
            self.reference.emptied(name),
            refusal=BusyError if self.reference.dependants(TRASH + name) else None,
            fate=fate,
        )

    # what a guest is and has

    @precondition(lambda self: self.reference.guests)
    @rule(data=st.data(), size=sizes, fate=fates)
    def add_disk(self, data: st.DataObject, size: int, fate: Fate) -> None:
        name, guest = self.any_guest(data)
        self.live(
            lambda site: site.guest(name).add_disk(DiskRequest(Size(size))),
            self.reference.with_guest(name, guest.with_disk(guest.next_disk, Disk(size))),
            refusal=BusyError if guest.host else None,
            fate=fate,
        )

    @precondition(lambda self: self.reference.guests)
    @rule(data=st.data(), snapshots=st.booleans(), fate=fates)
    def remove_disk(self, data: st.DataObject, snapshots: bool, fate: Fate) -> None:
        """Not of a linked clone, nor of what has any: those are told apart by disk, and looked at elsewhere."""
        name, guest, disk = self.any_disk(data)
        if guest.origin or self.reference.dependants(name):
            return
        refusal: Refusal | None = BusyError if guest.host else RuleError if len(guest.disks) == 1 else None
        if refusal is None and self.layout == "flat" and disk == "disk0":
            refusal = RuleError  # it carries the guest's marks
        elif refusal is None and not snapshots and any(disk in kept.disks for kept in guest.snapshots):
            refusal = BusyError
        self.live(
            lambda site: site.guest(name).remove_disk(disk, snapshots=snapshots),
            self.reference.with_guest(name, guest.without_disk(disk)),
            refusal=refusal,
            fate=fate,
        )

    @precondition(lambda self: self.reference.guests)
    @rule(data=st.data(), more=st.integers(-1, 2), fate=fates)
    def resize(self, data: st.DataObject, more: int, fate: Fate) -> None:
        """Also while it runs."""
        name, guest, disk = self.any_disk(data)
        size = max(guest.disks[disk].size + more * MIB.bytes, MIB.bytes)
        self.live(
            lambda site: site.guest(name).resize(disk, Size(size)),
            self.reference.with_guest(name, guest.with_disk(disk, replace(guest.disks[disk], size=size))),
            refusal=RuleError if size < guest.disks[disk].size else None,
            fate=fate,
        )

    @precondition(lambda self: self.reference.guests)
    @rule(data=st.data(), fate=fates)
    def rotate_chap(self, data: st.DataObject, fate: Fate) -> None:
        name, guest = self.any_guest(data)
        refusal: Refusal | None = BusyError if guest.host else None if guest.chap else RuleError
        self.live(lambda site: site.guest(name).rotate_chap(), self.reference, refusal=refusal, fate=fate)

    @precondition(lambda self: any(not guest.host for guest in self.reference.guests.values()))
    @rule(data=st.data())
    def write(self, data: st.DataObject) -> None:
        name, guest, disk = self.any_disk(data, stopped=True)
        self.tag += 1
        with self.world.site() as site:
            write_tag(site.guest(name), disk, self.tag)
        written = guest.with_disk(disk, replace(guest.disks[disk], tag=self.tag))
        self.reference = self.reference.with_guest(name, written)

    # life

    @precondition(lambda self: self.reference.guests)
    @rule(data=st.data(), host=st.sampled_from(HOSTS), fate=fates)
    def start(self, data: st.DataObject, host: str, fate: Fate) -> None:
        name, guest = self.any_guest(data)
        self.live(
            lambda site: site.guest(name).start(host),
            self.reference.with_guest(name, replace(guest, host=host)),
            refusal=BusyError if guest.host else None,
            fate=fate,
        )

    @precondition(lambda self: self.reference.guests)
    @rule(data=st.data(), fate=fates)
    def stop(self, data: st.DataObject, fate: Fate) -> None:
        name, guest = self.any_guest(data)
        self.live(
            lambda site: site.configured_guest(name).stop(force=True, deadline=0.0),
            self.reference.with_guest(name, replace(guest, host=None)),
            fate=fate,
        )

    @precondition(lambda self: self.reference.guests)
    @rule(data=st.data(), fate=fates)
    def reset(self, data: st.DataObject, fate: Fate) -> None:
        name, guest = self.any_guest(data)
        self.live(
            lambda site: site.configured_guest(name).reset(),
            self.reference,
            refusal=None if guest.host else NotFoundError,
            fate=fate,
        )

    @precondition(lambda self: self.reference.guests)
    @rule(data=st.data(), fate=fates)
    def poweroff(self, data: st.DataObject, fate: Fate) -> None:
        name, guest = self.any_guest(data)
        self.live(
            lambda site: site.configured_guest(name).poweroff(),
            self.reference.with_guest(name, replace(guest, host=None)),
            fate=fate,
        )

    # what it was

    @precondition(lambda self: self.reference.guests)
    @rule(data=st.data(), snapshot=st.sampled_from(SNAPSHOTS), force=st.booleans(), fate=fates)
    def snapshot(self, data: st.DataObject, snapshot: str, force: bool, fate: Fate) -> None:
        name, guest = self.any_guest(data)
        refusal: Refusal | None = BusyError if guest.host and not force else None
        if self.layout == "flat" and len(guest.disks) > 1:
            refusal = refusal or RuleError
        elif snapshot in {kept.name for kept in guest.snapshots}:
            refusal = refusal or AlreadyExistsError
        taken = replace(guest, snapshots=(*guest.snapshots, Kept.of(snapshot, guest)))
        self.live(
            lambda site: site.guest(name).snapshot(snapshot, force=force),
            self.reference.with_guest(name, taken),
            refusal=refusal,
            fate=fate,
        )

    @precondition(lambda self: self.has_snapshots)
    @rule(data=st.data(), fate=fates)
    def forget_snapshot(self, data: st.DataObject, fate: Fate) -> None:
        name, guest, kept = self.any_snapshot(data)
        left = tuple(one for one in guest.snapshots if one != kept)
        self.live(
            lambda site: site.guest(name).forget_snapshot(kept.name),
            self.reference.with_guest(name, replace(guest, snapshots=left)),
            refusal=BusyError if self.reference.dependants(name, kept.name) else None,
            fate=fate,
        )

    @precondition(lambda self: self.has_snapshots)
    @rule(data=st.data(), newer=st.booleans(), fate=fates)
    def rollback(self, data: st.DataObject, newer: bool, fate: Fate) -> None:
        """A disk that has grown since stays as large."""
        name, guest, kept = self.any_snapshot(data)
        lost = guest.newer(kept.name)
        refusal: Refusal | None = None
        if guest.host:
            refusal = BusyError
        elif guest.disks.keys() - kept.disks.keys():
            refusal = NotFoundError
        elif lost and not newer:
            refusal = ConflictError
        elif any(self.reference.dependants(name, one.name) for one in lost if not one.left):
            refusal = BusyError
        older = guest.snapshots[: guest.snapshots.index(kept) + 1]
        sizes_now = {disk: now.size for disk, now in guest.disks.items()}
        then = {disk: replace(was, size=sizes_now.get(disk, was.size)) for disk, was in kept.disks.items()}
        self.live(
            lambda site: site.guest(name).rollback(kept.name, newer=newer),
            self.reference.with_guest(name, replace(guest, disks=then, snapshots=older)),
            refusal=refusal,
            fate=fate,
        )


def _disks(sizes_: list[int]) -> tuple[DiskRequest, ...]:
    return tuple(DiskRequest(Size(size)) for size in sizes_)


def _renumbered(disks: Mapping[str, Disk]) -> dict[str, Disk]:
    """A copy's disks are numbered without gaps."""
    return {f"disk{number}": disks[name] for number, name in enumerate(sorted(disks))}
