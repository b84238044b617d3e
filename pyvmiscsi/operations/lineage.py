"""Which disk is a clone of which: what cannot be destroyed before what. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from pyvmiscsi.model import DatastoreRecord, Inventory, Volume
from pyvmiscsi.names import DatasetPath, SnapshotPath
from pyvmiscsi.operations.guests import guest_records
from pyvmiscsi.operations.image_marks import ImageMark


@dataclass(frozen=True, slots=True)
class Descendant:
    """A volume in the tree: whose it is, what it began as, and how many stand between it and one that is no clone."""

    volume: DatasetPath
    guest: str | None
    disk: str | None
    image: str | None
    origin: SnapshotPath | None
    depth: int


def lineage(datastore: DatastoreRecord, inventory: Inventory) -> tuple[Descendant, ...]:
    """Every volume that is a clone or has clones, each followed by its clones: trees in the order of their roots."""
    volumes = {volume.path: volume for volume in inventory.volumes}
    clones: defaultdict[DatasetPath, list[Volume]] = defaultdict(list)
    for volume in inventory.volumes:
        if volume.origin:
            clones[SnapshotPath.parse(volume.origin).dataset].append(volume)
    owners = owners_of(datastore, inventory)

    def tree(volume: Volume, depth: int) -> Iterator[Descendant]:
        guest, disk, image = owners.get(volume.path, (None, None, None))
        origin = SnapshotPath.parse(volume.origin) if volume.origin else None
        yield Descendant(volume.path, guest, disk, image, origin, depth)
        for clone in sorted(clones[volume.path], key=lambda one: one.path):
            yield from tree(clone, depth + 1)

    roots = [
        volume
        for volume in volumes.values()
        if (volume.origin and SnapshotPath.parse(volume.origin).dataset not in volumes)
        or (not volume.origin and clones[volume.path])
    ]
    return tuple(found for root in sorted(roots, key=lambda one: one.path) for found in tree(root, 0))


def trees_with(guest: str, descendants: tuple[Descendant, ...]) -> tuple[Descendant, ...]:
    """The trees in which the guest has a disk."""
    trees: list[list[Descendant]] = []
    for one in descendants:
        if one.depth == 0:
            trees.append([])
        trees[-1].append(one)
    return tuple(one for tree in trees if any(found.guest == guest for found in tree) for one in tree)


def owners_of(
    datastore: DatastoreRecord, inventory: Inventory
) -> dict[DatasetPath, tuple[str | None, str | None, str | None]]:
    """(guest, disk, image) by volume: whose it is."""
    owners: dict[DatasetPath, tuple[str | None, str | None, str | None]] = {}
    for record in guest_records(datastore, inventory):
        for disk in record.disks:
            owners[disk.volume.path] = (str(record.name), str(disk.name), None)
    for volume in inventory.volumes:
        image = ImageMark.in_marks(volume.path, volume.marks)
        if image is not None:
            owners[volume.path] = (None, None, str(image.name))
    return owners
