"""The nouns that layers hand to each other: frozen, complete, and free of any row id."""

from __future__ import annotations

from collections.abc import Mapping as _Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from pyvmiscsi.names import DatasetPath, DiskName, GuestName, Iqn, Lun, LunAddress, Portal, Serial, SnapshotName
from pyvmiscsi.secrets import Secret
from pyvmiscsi.units import SECTOR, Size

Marks = _Mapping[str, str]
"""ZFS user properties of ours (`org.pyvmiscsi:*`), the object's own or inherited; at most 1,024 characters each."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A filesystem on the nas that holds volumes."""

    path: DatasetPath
    marks: Marks = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Volume:
    """A zvol. `thick` reserves its whole size; `block_size` and `compression` None leave the choice to the nas."""

    path: DatasetPath
    size: Size
    thick: bool = False
    block_size: Size | None = None
    marks: Marks = field(default_factory=dict)
    used: Size | None = None
    origin: str | None = None
    compression: str | None = None
    """As zfs(8) writes it: `lz4`, `zstd-3`, `off`; its own or inherited."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a dataset or volume was at a moment, kept by the nas until it is deleted."""

    path: DatasetPath
    name: SnapshotName
    created: datetime
    """In UTC, to the second."""
    marks: Marks = field(default_factory=dict)
    """Its own, and those that its dataset hands down to it: ZFS lets snapshots inherit."""

    def __str__(self) -> str:
        """As ZFS writes it, and a clone's `origin` names it: `tank/vm/web1/disk0@monday`."""
        return f"{self.path}@{self.name}"


@dataclass(frozen=True, slots=True)
class Credential:
    """A CHAP account on the nas: targets name it by its tag. With a peer, mutual CHAP."""

    tag: int
    user: str
    secret: Secret
    peer_user: str = ""
    peer_secret: Secret = field(default_factory=lambda: Secret(""))

    @property
    def is_mutual(self) -> bool:
        return bool(self.peer_user)


@dataclass(frozen=True, slots=True)
class Extent:
    """A volume offered as a SCSI disk."""

    name: str
    volume: DatasetPath
    serial: Serial
    sector: Size = SECTOR
    comment: str = ""
    naa: str | None = None
    enabled: bool = True
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """An iSCSI target: where it listens (the nas's portal group), who may come (initiator group), which CHAP tag."""

    iqn: Iqn
    portal_group: int
    initiator_group: int | None = None
    chap_tag: int | None = None
    mutual: bool = False


@dataclass(frozen=True, slots=True)
class Mapping:
    """An extent's place in a target: its LUN."""

    target: Iqn
    extent: str
    lun: Lun


@dataclass(frozen=True, slots=True)
class AccessGroups:
    """Through what a target can be reached, by the ids that the nas shows and a datastore names."""

    portals: _Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """Each portal group's addresses; `0.0.0.0` and `::` stand for all that the nas has."""
    initiators: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class NasSession:
    """An initiator logged in to a target, as the nas sees it."""

    target: Iqn
    initiator: str
    address: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything of one datastore on the nas, as one look found it."""

    datasets: tuple[Dataset, ...] = ()
    volumes: tuple[Volume, ...] = ()
    extents: tuple[Extent, ...] = ()
    targets: tuple[Target, ...] = ()
    mappings: tuple[Mapping, ...] = ()
    sessions: tuple[NasSession, ...] = ()


@dataclass(frozen=True, slots=True)
class NasCapabilities:
    """What this nas, with this release and dialect, can do."""

    release: str
    dialect: str
    marks: bool
    """User properties can be written (SCALE 22.02 and later)."""
    delete_target_with_extents: bool = False
    rename_dataset: bool = False


@dataclass(frozen=True, slots=True)
class SessionState:
    """An initiator's session as a host shows it. `luns` maps a LUN number to its device (`da0`, `probe0`)."""

    target: Iqn | None
    portal: str
    """As the host spells it: detach must repeat it exactly."""
    connected: bool
    reason: str
    luns: _Mapping[int, str] = field(default_factory=dict)
    number: int | None = None
    """The host's own id of it; None where it tells none."""
    initiator: str = ""
    """The name under which the host logs in, as the nas sees it; empty where the host does not tell."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something on a host that is not as it should be. `fatal` when no disk can be attached before it is changed."""

    text: str
    hint: str
    fatal: bool = False


@dataclass(frozen=True, slots=True)
class DiskProof:
    """What the record says of a disk, which the device that appears must show."""

    address: LunAddress
    serial: Serial
    size: Size
    sector: Size = SECTOR


@dataclass(frozen=True, slots=True)
class AttachedDisk:
    """A disk that was proven: one session, this device, this serial, this size, these sectors."""

    address: LunAddress
    device: str
    """`/dev/diskid/DISK-<serial>` or, where there is no label, `/dev/daN`."""
    serial: Serial
    size: Size
    sector: Size
    physical: Size | None = None
    """Its physical block (GEOM's stripe size), 0 when the disk does not tell; None when nobody looked."""


@dataclass(frozen=True, slots=True)
class HostRecord:
    """A hypervisor of the site and how to reach it; `address` None means this very machine."""

    name: str
    address: str | None = None
    port: int = 22
    user: str = "root"
    key_file: str | None = None
    known_hosts: str | None = None
    host_key: str | None = None
    """`SHA256:…`, as ssh-keygen(1) -l prints it: the only host key accepted."""
    become: str | None = None
    """`sudo`, `doas` or `mdo`, where `user` is not root."""
    initiator: str = "freebsd"
    """What logs it in to targets: `freebsd`, `linux`, or what another package offers."""


@dataclass(frozen=True, slots=True)
class NasRecord:
    """A nas of the site: its url, its account and how its certificate is verified."""

    name: str
    url: str
    user: str
    api: str = "auto"
    """`auto`, `jsonrpc` or `rest2`."""
    api_key: Secret | None = None
    password: Secret | None = None
    ca_file: str | None = None
    fingerprint: str | None = None
    """SHA-256 of the certificate in hexadecimal, the only one accepted."""
    verify: bool = True


@dataclass(frozen=True, slots=True)
class DatastoreRecord:
    """A datastore of the site and what is decided once for all guests in it."""

    name: str
    nas: str
    basename: Iqn
    parent: DatasetPath
    """Guests' volumes live below it."""
    portal: Portal
    """Where the hypervisors log in."""
    config_path: str
    """The directory on the hypervisors that holds `<guest>/<guest>.conf`, shared by all of them."""
    portal_group: int = 1
    initiator_group: int | None = None
    lun: Lun = field(default_factory=lambda: Lun(0))
    layout: str = "nested"
    """`nested` (`<parent>/<guest>/diskN`) or `flat` (`<parent>/<guest>-diskN`)."""
    hosts: tuple[str, ...] = ()
    """Which hosts share the config path; none named means all of the site."""

    def volume_of(self, place: GuestName | str, disk: DiskName) -> DatasetPath:
        """Where a disk is put. A guest's place is its name, unless another's volumes stand there."""
        if self.layout == "flat":
            return self.parent.child(f"{place}-{disk}")
        return self.parent.child(str(place)).child(str(disk))

    def anchor_of(self, place: GuestName | str) -> DatasetPath:
        """The object that carries a guest's marks and its intents: its dataset, or disk0's volume (flat layout)."""
        return self.volume_of(place, DiskName(0)) if self.layout == "flat" else self.parent.child(str(place))

    def place_of(self, anchor: DatasetPath) -> str:
        """What `anchor_of` was asked."""
        return anchor.leaf.removesuffix(f"-{DiskName(0)}") if self.layout == "flat" else anchor.leaf

    def volume_of_visitor(self, guest: GuestName, uuid: UUID, disk: DiskName) -> DatasetPath:
        """Where a disk is put whose guest lives in another datastore: beside the guests of this one.

        The same in every layout: it needs no dataset of its own, and the uuid keeps it from being another guest's.
        """
        return self.parent.child(f"{guest}-{uuid.hex[:8]}-{disk}")

    def target_of(self, guest: GuestName, disk: DiskName) -> Iqn:
        return self.basename.child(disk.of(guest))


@dataclass(frozen=True, slots=True)
class Site:
    """Everything that one configuration file describes; the first datastore is the default one unless one is named."""

    source: str
    nases: _Mapping[str, NasRecord]
    hosts: _Mapping[str, HostRecord]
    datastores: _Mapping[str, DatastoreRecord]
    default_datastore: str | None = None


def chap_tag_of(guest: UUID) -> int:
    """The CHAP tag of a guest: the low 31 bits of its uuid, never zero (DESIGN section 6)."""
    return (guest.int & 0x7FFF_FFFF) or 1
