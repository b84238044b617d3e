"""Add a disk to a guest: volume, target, extent, LUN, and the lines of its configuration. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import UUID

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.configuration.config import LABEL, Disk
from pyvmiscsi.bhyve.configuration.config_text import parse_guest, write_guest
from pyvmiscsi.errors import ConflictError, RuleError
from pyvmiscsi.model import DatastoreRecord, Extent, Target
from pyvmiscsi.model import Mapping as LunMapping
from pyvmiscsi.names import DatasetPath, DiskName, GuestName, Serial
from pyvmiscsi.operations.create import DiskRequest
from pyvmiscsi.operations.guests import GuestRecord
from pyvmiscsi.operations.networks import said_of
from pyvmiscsi.operations.pairing import paired_disks, target_key
from pyvmiscsi.operations.scene import Scene, datastore_of
from pyvmiscsi.plan.step import Plan, Step
from pyvmiscsi.steps.configuration import ConfigurationSays
from pyvmiscsi.steps.elsewhere import DiskTold
from pyvmiscsi.steps.exports import CredentialExists, ExtentExists, MappingExists, TargetExists
from pyvmiscsi.steps.signature import Signature
from pyvmiscsi.steps.volumes import VolumeExists

VERB = "add-disk"
LUN_EMULATIONS = ("virtio-blk", "nvme", "ahci-hd")


@dataclass(frozen=True, slots=True)
class AddDiskRequest:
    """A disk to add: its number, what it is, whose CHAP account opens it, and the configuration lines that name it."""

    guest: GuestName
    anchor: DatasetPath
    uuid: UUID
    name: DiskName
    disk: DiskRequest
    chap_tag: int | None
    mutual: bool
    settings: Mapping[str, str]
    account: bool = False
    """Whether the guest may have no CHAP account yet on the nas that the disk is to be on."""
    before: Mapping[str, str] = field(default_factory=dict)
    """What the configuration says of the settings' keys: something may be left of an earlier disk."""

    @classmethod
    def of(
        cls,
        record: GuestRecord,
        conf: ConfText,
        disk: DiskRequest,
        home: DatastoreRecord,
        where: DatastoreRecord,
        *,
        emulation: str = "virtio-blk",
    ) -> Self:
        """The next disk of the guest. Slots of other devices are written down, so that none of them moves.

        It is put in datastore `where`, the guest's own or another. Its name is one that no disk of the guest has, nor
        had if its volume was kept.

        ConflictError when nas and configuration already disagree about the disks; RuleError for a hundred disks.
        """
        if emulation not in LUN_EMULATIONS:
            raise RuleError(f"disk type {emulation}: not one that a LUN can have", hint=", ".join(LUN_EMULATIONS))
        config = parse_guest(record.name, conf)
        place = len(config.disks)
        if len(paired_disks(record, config)) < len(record.disks):
            raise ConflictError(f"guest {record.name}: the nas has disks that the configuration does not name")
        taken = (*(disk.name.number for disk in record.disks), *(name.number for name in record.kept))
        number = max(place, *(one + 1 for one in taken))
        if number > 99:
            raise RuleError(f"guest {record.name}: it had a hundred disks, and there are names for no more")
        name = DiskName(number)
        serial = Serial.of_disk(record.uuid, name)
        added = Disk(place, emulation, f"{LABEL}{serial}", dev="custom", serial=serial)
        before = conf.pairs()
        after = write_guest(config.pinned().with_disk(added).pinned(), conf).pairs()
        if where.name != home.name:
            after[target_key(DiskName(place))] = str(where.target_of(record.name, name))
        settings = {key: value for key, value in after.items() if before.get(key) != value}
        target = next((found.target for found in record.disks if found.target), None)
        tag, mutual = (target.chap_tag, target.mutual) if target else (None, False)
        account = tag is not None and all(found.datastore(home).nas != where.nas for found in record.disks)
        said = said_of(settings, conf)
        return cls(record.name, record.anchor, record.uuid, name, disk, tag, mutual, settings, account, said)

    def as_json(self) -> dict[str, Any]:
        return {
            "guest": str(self.guest),
            "anchor": str(self.anchor),
            "uuid": str(self.uuid),
            "name": str(self.name),
            "disk": self.disk.as_json(),
            "chap_tag": self.chap_tag,
            "mutual": self.mutual,
            "settings": [list(pair) for pair in self.settings.items()],  # in this order they are written
            "account": self.account,
            "before": dict(self.before),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            guest=GuestName.parse(data["guest"]),
            anchor=DatasetPath.parse(data["anchor"]),
            uuid=UUID(data["uuid"]),
            name=DiskName.parse(data["name"]),
            disk=DiskRequest.from_json(data["disk"]),
            chap_tag=data["chap_tag"],
            mutual=bool(data["mutual"]),
            settings=dict(data["settings"]),
            account=bool(data.get("account")),
            before=dict(data.get("before", {})),
        )


def add_disk_plan(request: AddDiskRequest, datastore: DatastoreRecord, scene: Scene, operation: str) -> Plan:
    """The disk first, the configuration that names it last; every step can be undone."""
    where = datastore_of(request.disk.datastore, datastore, scene)
    nas, signature, name = scene.nas(where), Signature(request.uuid, operation), request.name
    is_visitor = where.name != datastore.name
    path = (
        where.volume_of_visitor(request.guest, request.uuid, name)
        if is_visitor
        else where.volume_of(where.place_of(request.anchor), name)
    )
    iqn, extent = where.target_of(request.guest, name), name.of(request.guest)
    target = Target(iqn, where.portal_group, where.initiator_group, request.chap_tag, request.mutual)
    host = scene.host(scene.host_names(datastore)[0])
    conf = f"{datastore.config_path}/{request.guest}/{request.guest}.conf"
    steps: list[Step] = []
    if is_visitor:
        steps.append(DiskTold(scene.nas(datastore), request.anchor, name, where.name))
    steps.append(VolumeExists(nas, request.disk.volume(path, {}), signature))
    if request.account and request.chap_tag is not None:
        on = None if where.nas == datastore.nas else where.nas
        steps.append(CredentialExists(nas, request.chap_tag, str(request.guest), request.mutual, on))
    steps += [
        TargetExists(nas, target, extent),
        ExtentExists(nas, Extent(extent, path, Serial.of_disk(request.uuid, name)), signature),
        MappingExists(nas, LunMapping(iqn, extent, where.lun), request.uuid),
        ConfigurationSays(host, conf, request.settings, request.before),
    ]
    return Plan(VERB, str(request.guest), tuple(steps))
