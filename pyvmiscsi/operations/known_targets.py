"""Which targets are ours, and whose: by the nas's inventory, or by the name alone when it does not answer. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pyvmiscsi.errors import InputError
from pyvmiscsi.model import DatastoreRecord, Inventory
from pyvmiscsi.names import DiskName, GuestName, Iqn
from pyvmiscsi.operations.guests import GuestDisk, guest_records, with_visitors
from pyvmiscsi.operations.lineage import owners_of


@dataclass(frozen=True, slots=True)
class KnownTarget:
    """A target of a datastore of the site; without a guest it is an image's, or only its volume is known."""

    iqn: Iqn
    nas: str
    """Where it is; the guest's own datastore may be on another."""
    datastore: str
    """The guest's, or that of the volume."""
    portal: str
    guest: str | None = None
    disk: str | None = None
    image: str | None = None
    volume: str | None = None
    size: int | None = None
    """In bytes."""
    serial: str | None = None
    lun: int | None = None
    chap_tag: int | None = None

    @property
    def is_guessed(self) -> bool:
        """Whether nothing but its name tells whose it is."""
        return self.volume is None

    @property
    def owner(self) -> str:
        """`web1:disk0`, `image debian`, or the volume's path when it is neither a guest's nor an image's."""
        if self.guest:
            return f"{self.guest}:{self.disk}"
        return f"image {self.image}" if self.image else self.volume or str(self.iqn)


def known_targets(
    datastores: Mapping[str, DatastoreRecord], inventories: Mapping[str, Inventory]
) -> dict[tuple[str, Iqn], KnownTarget]:
    """The targets of these datastores by nas and name; `inventories`, by datastore, are of the nases that answered."""
    seen = [(datastores[name], inventory) for name, inventory in inventories.items()]
    others = {(one.nas, one.iqn): one for home, inventory in seen for one in _mapped(home, inventory)}
    disks = {(one.nas, one.iqn): one for home, _ in seen for one in _of_guests(home, datastores, inventories)}
    return others | disks


def known_by_name(target: Iqn, datastores: Iterable[DatastoreRecord]) -> KnownTarget | None:
    """Whose a target is if it was named by us and not renamed since; None when it has no such name."""
    for datastore in datastores:
        below = target.name_below(datastore.basename)
        guest, _, disk = (below or "").rpartition("-")
        try:
            names = GuestName.parse(guest), DiskName.parse(disk)
        except InputError:
            continue
        return KnownTarget(
            target, datastore.nas, datastore.name, str(datastore.portal), guest=str(names[0]), disk=str(names[1])
        )
    return None


def _of_guests(
    home: DatastoreRecord, datastores: Mapping[str, DatastoreRecord], inventories: Mapping[str, Inventory]
) -> Iterator[KnownTarget]:
    """Those of the guests that live in this datastore, also of disks in others."""
    for found in guest_records(home, inventories[home.name]):
        record = found
        for name in sorted(set(record.mark.elsewhere.values()) & inventories.keys()):
            record = with_visitors(record, datastores[name], inventories[name])
        for disk in record.disks:
            if disk.target is not None:
                yield _of_disk(str(record.name), disk, disk.target.iqn, home)


def _of_disk(guest: str, disk: GuestDisk, target: Iqn, home: DatastoreRecord) -> KnownTarget:
    where = disk.datastore(home)
    return KnownTarget(
        iqn=target,
        nas=where.nas,
        datastore=home.name,
        portal=str(where.portal),
        guest=guest,
        disk=str(disk.name),
        volume=str(disk.volume.path),
        size=disk.volume.size.bytes,
        serial=str(disk.extent.serial) if disk.extent else None,
        lun=disk.mapping.lun.number if disk.mapping else None,
        chap_tag=disk.target.chap_tag if disk.target else None,
    )


def _mapped(home: DatastoreRecord, inventory: Inventory) -> Iterator[KnownTarget]:
    """Every target that offers a volume of this datastore, whosever it is."""
    extents = {extent.name: extent for extent in inventory.extents}
    sizes = {volume.path: volume.size.bytes for volume in inventory.volumes}
    tags = {target.iqn: target.chap_tag for target in inventory.targets}
    images = {path: image for path, (_, _, image) in owners_of(home, inventory).items()}
    for mapping in inventory.mappings:
        extent = extents.get(mapping.extent)
        if extent is not None:
            yield KnownTarget(
                iqn=mapping.target,
                nas=home.nas,
                datastore=home.name,
                portal=str(home.portal),
                image=images.get(extent.volume),
                volume=str(extent.volume),
                size=sizes.get(extent.volume),
                serial=str(extent.serial),
                lun=mapping.lun.number,
                chap_tag=tags.get(mapping.target),
            )
