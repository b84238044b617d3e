"""Create: a guest's volumes, CHAP account, targets, extents, mappings and configuration. Pure."""

from __future__ import annotations

import re
import uuid as _uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.configuration.config_text import parse_guest, write_guest
from pyvmiscsi.bhyve.machine.loader import vars_file
from pyvmiscsi.errors import RuleError
from pyvmiscsi.model import DatastoreRecord, Extent, Marks, Target, Volume, chap_tag_of
from pyvmiscsi.model import Mapping as LunMapping
from pyvmiscsi.names import DatasetPath, DiskName, GuestName, Iqn, Mac, Serial, SnapshotPath
from pyvmiscsi.operations.copied_disk import CopiedDisk
from pyvmiscsi.operations.first_boot import SeedToCopy, seed_disk, seed_steps
from pyvmiscsi.operations.guests import GuestMark
from pyvmiscsi.operations.pairing import target_key
from pyvmiscsi.operations.scene import Scene
from pyvmiscsi.plan.journal import Anchor, CreationJournal, DatasetAnchor, Journal, SharedJournal, VolumeAnchor
from pyvmiscsi.plan.step import Plan, Step
from pyvmiscsi.ports import Nas
from pyvmiscsi.steps.clones import SnapshotForCopy
from pyvmiscsi.steps.configuration import ConfigurationWritten, VariablesCopied
from pyvmiscsi.steps.exports import CredentialExists, ExtentExists, MappingExists, TargetExists
from pyvmiscsi.steps.first_boot import CloudInit
from pyvmiscsi.steps.signature import Signature
from pyvmiscsi.steps.snapshots import SnapshotGone
from pyvmiscsi.steps.volumes import VolumeExists
from pyvmiscsi.units import KIB, MIB, Size

VERB = "create"
USUAL_BLOCK = Size(16 * KIB.bytes)
"""What TrueNAS 23.10 and later give a zvol when nothing is asked (nas-wire.md 2.3)."""

_COMPRESSION = re.compile(
    r"on|off|lz4|lzjb|zle|gzip(-[19])?|zstd(-([1-9]|1[0-9]))?|zstd-fast(-([1-9]|[1-9]0|100|500|1000))?"
)
"""What `pool.dataset.create` takes on every release that is served (nas-wire.md 2.3)."""

_PLACE_OF_DISK = re.compile(r"disk\d+_(name|dev|size|serial|target)|uuid")


@dataclass(frozen=True, slots=True)
class DiskRequest:
    """A disk to make; RuleError when its size is not a whole number of its blocks, or for an unknown compression."""

    size: Size
    thick: bool = False
    block_size: Size | None = None
    compression: str | None = None
    datastore: str | None = None
    """The one to put it in, unless its guest's own."""

    def __post_init__(self) -> None:
        if self.compression is not None and _COMPRESSION.fullmatch(self.compression) is None:
            raise RuleError(
                f"compression {self.compression!r}: not one that the nas knows",
                hint="write off, lz4, zstd, zstd-1 to zstd-19, zstd-fast, gzip, gzip-1, gzip-9, zle, lzjb or on",
            )
        block = self.block_size or USUAL_BLOCK
        if self.size < MIB or not self.size.is_multiple_of(block):
            fitting = max(self.size.rounded_up_to(block), MIB)
            raise RuleError(
                f"disk size {self.size}: not a multiple of the block size {block}", hint=f"ask for {fitting}"
            )

    def volume(self, path: DatasetPath, marks: Marks) -> Volume:
        return Volume(path, self.size, self.thick, self.block_size, marks, compression=self.compression)

    def as_json(self) -> dict[str, Any]:
        block = self.block_size.bytes if self.block_size else None
        data = {"size": self.size.bytes, "thick": self.thick, "block_size": block, "compression": self.compression}
        return data | ({"datastore": self.datastore} if self.datastore else {})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        block = data.get("block_size")
        return cls(
            size=Size(data["size"]),
            thick=bool(data["thick"]),
            block_size=Size(block) if block else None,
            compression=data.get("compression"),
            datastore=data.get("datastore"),
        )


@dataclass(frozen=True, slots=True)
class SnapshotToTake:
    """A snapshot to take of another guest before its disks are copied; with `recursive` of all at one moment."""

    snapshot: SnapshotPath
    recursive: bool

    def as_json(self) -> dict[str, Any]:
        return {"snapshot": str(self.snapshot), "recursive": self.recursive}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(SnapshotPath.parse(data["snapshot"]), bool(data["recursive"]))


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """A guest to create, of empty disks or of copies of others.

    `settings` are vm-bhyve's keys, from a template or a source, and from what was asked.

    RuleError for a password among them: a request becomes an intent, and no intent holds a secret.
    """

    guest: GuestName
    disks: tuple[DiskRequest | CopiedDisk, ...]
    settings: Mapping[str, str] = field(default_factory=dict)
    chap: bool = True
    mutual: bool = False
    uuid: _uuid.UUID = field(default_factory=_uuid.uuid4)
    beside: bool = False
    """Whether another's volumes stand where its own would: then the uuid is part of their path."""
    first: SnapshotToTake | None = None
    """What the disks are copied of, when there is no snapshot of it yet."""
    password_of: str | None = None
    """The configuration whose `vnc_password` the guest gets, too: it goes from file to file, and into no intent."""
    variables_of: str | None = None
    """The file of UEFI variables that the guest's own begin as."""
    cloud_init: CloudInit | None = None
    seed_of: SeedToCopy | None = None

    def __post_init__(self) -> None:
        if "vnc_password" in self.settings:
            raise RuleError(
                f"guest {self.guest}: vnc_password would be written into the operation's record on the nas",
                hint="leave it out, and add it to the guest's configuration afterwards",
            )

    def as_json(self) -> dict[str, Any]:
        data = {
            "guest": str(self.guest),
            "disks": [disk.as_json() for disk in self.disks],
            "settings": [list(pair) for pair in self.settings.items()],  # in this order they are written
            "chap": self.chap,
            "mutual": self.mutual,
            "uuid": str(self.uuid),
            "beside": self.beside,
        }
        if self.first:
            data["first"] = self.first.as_json()
        if self.password_of:
            data["password_of"] = self.password_of
        if self.variables_of:
            data["variables_of"] = self.variables_of
        if self.cloud_init:
            data["cloud_init"] = self.cloud_init.as_json()
        if self.seed_of:
            data["seed_of"] = self.seed_of.as_json()
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            guest=GuestName.parse(data["guest"]),
            disks=tuple((CopiedDisk if "source" in disk else DiskRequest).from_json(disk) for disk in data["disks"]),
            settings=dict(data["settings"]),
            chap=bool(data["chap"]),
            mutual=bool(data["mutual"]),
            uuid=_uuid.UUID(data["uuid"]),
            beside=bool(data["beside"]),
            first=SnapshotToTake.from_json(data["first"]) if "first" in data else None,
            password_of=data.get("password_of"),
            variables_of=data.get("variables_of"),
            cloud_init=CloudInit.from_json(data["cloud_init"]) if "cloud_init" in data else None,
            seed_of=SeedToCopy.from_json(data["seed_of"]) if "seed_of" in data else None,
        )

    @property
    def place(self) -> str:
        """Where its volumes are put, below the datastore's parent."""
        return f"{self.guest}-{self.uuid.hex[:8]}" if self.beside else str(self.guest)

    @property
    def numbered_disks(self) -> tuple[tuple[DiskName, DiskRequest | CopiedDisk], ...]:
        """Copied disks keep their names; empty ones are counted."""
        return tuple(
            (disk.name if isinstance(disk, CopiedDisk) else DiskName(number), disk)
            for number, disk in enumerate(self.disks)
        )

    def elsewhere(self, home: DatastoreRecord) -> dict[DiskName, str]:
        """The datastores of those disks that are not to be in `home`."""
        return {
            name: disk.datastore
            for name, disk in self.numbered_disks
            if isinstance(disk, DiskRequest) and disk.datastore not in (None, home.name) and disk.datastore
        }

    def places(self, home: DatastoreRecord, scene: Scene) -> dict[DiskName, tuple[DatastoreRecord, DatasetPath]]:
        """The datastore that each disk is put in, and its volume there."""
        elsewhere = {name: scene.datastore(other) for name, other in self.elsewhere(home).items()}
        return {
            name: (elsewhere[name], elsewhere[name].volume_of_visitor(self.guest, self.uuid, name))
            if name in elsewhere
            else (home, home.volume_of(self.place, name))
            for name, _ in self.numbered_disks
        }

    @property
    def copies(self) -> tuple[CopiedDisk, ...]:
        return tuple(disk for disk in self.disks if isinstance(disk, CopiedDisk))

    @property
    def has_clones(self) -> bool:
        """Whether any disk is one that the nas cannot make together with an intent."""
        return any(not disk.full for disk in self.copies)


def settings_of(template: str, *, cpu: int | None, memory: Size | None, switches: tuple[str, ...]) -> dict[str, str]:
    """vm-bhyve's keys of a template, with what was asked for in their place.

    Of the template's disks only their emulation and options are kept: where the data is, the nas decides.
    """
    pairs = {key: value for key, value in ConfText(template).pairs().items() if not _PLACE_OF_DISK.fullmatch(key)}
    if cpu is not None:
        pairs["cpu"] = str(cpu)
    if memory is not None:
        pairs["memory"] = str(memory)
    for number, switch in enumerate(switches, _count_of_networks(pairs)):
        pairs |= {f"network{number}_type": "virtio-net", f"network{number}_switch": switch}
    return pairs


def create_plan(
    request: CreateRequest, datastore: DatastoreRecord, scene: Scene, operation: str, verb: str = VERB
) -> Plan:
    """The steps from nothing to a guest that can start; every one can be undone."""
    nas = scene.nas(datastore)
    steps = (
        *_snapshot_steps(request, nas),
        *_volume_steps(request, datastore, scene, operation),
        *_export_steps(request, datastore, scene, operation),
        *_configuration_steps(request, datastore, scene),
        *_tidying_steps(request, nas),
    )
    return Plan(verb, str(request.guest), steps)


def create_journal(request: CreateRequest, datastore: DatastoreRecord, scene: Scene) -> Journal:
    """The intent of a create travels in the call that makes the guest's anchor.

    Where that is a clone (flat layout), which TrueNAS 26 marks only once it is there, the intent stands on the
    datastore's parent dataset.
    """
    nas = scene.nas(datastore)
    if datastore.layout == "flat" and request.has_clones:
        return SharedJournal(DatasetAnchor(nas, datastore.parent), str(request.guest))
    anchor = _anchor(request, datastore, nas)
    return CreationJournal(anchor, _guest_marks(request, datastore))


def configuration_text(request: CreateRequest, visited: Mapping[DiskName, Iqn] | None = None) -> ConfText:
    """vm-bhyve's `<guest>.conf` for the request: slots, addresses and serials written down once.

    `visited` are the targets of disks in other datastores, which nothing else on a host would tell.
    """
    pairs = {"loader": "uefi", "cpu": "1", "memory": "512M", **request.settings, "uuid": str(request.uuid)}
    for name, _ in request.numbered_disks:
        serial = Serial.of_disk(request.uuid, name)
        pairs.setdefault(f"{name}_type", "virtio-blk")
        pairs |= {
            f"{name}_dev": "custom",
            f"{name}_name": f"/dev/diskid/DISK-{serial}",
            f"{name}_serial": str(serial),
        }
        if visited and name in visited:
            pairs[target_key(name)] = str(visited[name])
    if request.cloud_init:
        pairs |= seed_disk(len(request.disks))
    for number in range(_count_of_networks(pairs)):
        pairs.setdefault(f"network{number}_mac", str(Mac.of_network(request.uuid, number)))
    text = ConfText.of(pairs)
    return write_guest(parse_guest(request.guest, text).pinned(), text)


def _guest_marks(request: CreateRequest, datastore: DatastoreRecord) -> dict[str, str]:
    mark = GuestMark(request.guest, request.uuid, datastore.name, request.elsewhere(datastore))
    return mark.as_marks(datastore.anchor_of(request.place))


def _anchor(request: CreateRequest, datastore: DatastoreRecord, nas: Nas) -> Anchor:
    path = datastore.anchor_of(request.place)
    if datastore.layout != "flat":
        return DatasetAnchor(nas, path)
    disks = dict(request.numbered_disks)
    if DiskName(0) not in disks or DiskName(0) in request.elsewhere(datastore):
        raise RuleError(f"guest {request.guest}: a flat datastore needs a disk0, which carries the guest's marks")
    first = disks[DiskName(0)]
    return VolumeAnchor(nas, first.volume(path, {}))


def _snapshot_steps(request: CreateRequest, nas: Nas) -> Iterator[Step]:
    if request.first:
        yield SnapshotForCopy(nas, request.first.snapshot, request.first.recursive, request.uuid)


def _volume_steps(request: CreateRequest, datastore: DatastoreRecord, scene: Scene, operation: str) -> Iterator[Step]:
    signature = Signature(request.uuid, operation)
    anchor = datastore.anchor_of(request.place)
    places = request.places(datastore, scene)
    for name, disk in request.numbered_disks:
        where, path = places[name]
        is_anchor = path == anchor
        if isinstance(disk, CopiedDisk):
            marks = _guest_marks(request, datastore) if is_anchor else {}
            with_intent = is_anchor and not request.has_clones
            yield from disk.steps(path, marks, signature, datastore, scene, is_there=with_intent)
        elif not is_anchor:
            yield VolumeExists(scene.nas(where), disk.volume(path, {}), signature)


def _tidying_steps(request: CreateRequest, nas: Nas) -> Iterator[Step]:
    """A snapshot that was there to be copied in full is there for nothing afterwards."""
    if request.first and not request.has_clones:
        yield SnapshotGone(nas, request.first.snapshot.dataset, request.first.snapshot.name, request.first.recursive)


def _export_steps(request: CreateRequest, datastore: DatastoreRecord, scene: Scene, operation: str) -> Iterator[Step]:
    signature = Signature(request.uuid, operation)
    tag = chap_tag_of(request.uuid) if request.chap else None
    places = request.places(datastore, scene)
    if tag is not None:
        for where in {one.nas: one for one, _ in places.values()}.values():
            on = None if where.nas == datastore.nas else where.nas
            yield CredentialExists(scene.nas(where), tag, str(request.guest), request.mutual, on)
    for name, (where, volume) in places.items():
        nas, iqn, extent = scene.nas(where), where.target_of(request.guest, name), name.of(request.guest)
        target = Target(iqn, where.portal_group, where.initiator_group, tag, request.mutual)
        yield TargetExists(nas, target, extent)
        yield ExtentExists(nas, Extent(extent, volume, Serial.of_disk(request.uuid, name)), signature)
        yield MappingExists(nas, LunMapping(iqn, extent, where.lun), request.uuid)


def _configuration_steps(request: CreateRequest, datastore: DatastoreRecord, scene: Scene) -> Iterator[Step]:
    host = scene.host(scene.host_names(datastore)[0])
    directory = f"{datastore.config_path}/{request.guest}"
    visited = {name: scene.datastore(other) for name, other in request.elsewhere(datastore).items()}
    text = configuration_text(request, {name: one.target_of(request.guest, name) for name, one in visited.items()})
    yield ConfigurationWritten(host, directory, str(request.guest), text, request.password_of)
    variables = vars_file(parse_guest(request.guest, text), directory)
    if request.variables_of and variables:
        yield VariablesCopied(host, request.variables_of, variables)
    yield from seed_steps(request.cloud_init or request.seed_of, host, directory, request.uuid)


def _count_of_networks(pairs: Mapping[str, str]) -> int:
    number = 0
    while f"network{number}_type" in pairs:
        number += 1
    return number
