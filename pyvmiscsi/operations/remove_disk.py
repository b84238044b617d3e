"""Remove a disk from a guest that has others: target, then extent, lines of the configuration, volume. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.configuration.config_text import parse_guest
from pyvmiscsi.bhyve.configuration.removal import numbering_in, without_device
from pyvmiscsi.errors import ConflictError, NotFoundError, RuleError
from pyvmiscsi.model import DatastoreRecord, Volume
from pyvmiscsi.names import DatasetPath, DiskName, GuestName
from pyvmiscsi.operations.destroy import DoomedDisk, refuse_others
from pyvmiscsi.operations.guests import GuestDisk, GuestRecord
from pyvmiscsi.operations.networks import conf_path
from pyvmiscsi.operations.pairing import disk_name_of, paired_disks
from pyvmiscsi.operations.scene import Scene, datastore_of
from pyvmiscsi.plan.step import Plan, Step
from pyvmiscsi.steps.configuration import ConfigurationChanged
from pyvmiscsi.steps.elsewhere import DiskUntold
from pyvmiscsi.steps.exports import CredentialGone, ExtentGone, NobodyLoggedIn, TargetGone
from pyvmiscsi.steps.sessions import DiskDetached
from pyvmiscsi.steps.snapshots import NoSnapshotLeft, NothingKeepsSnapshots
from pyvmiscsi.steps.volumes import NoSnapshots, VolumeGone, VolumeKept
from pyvmiscsi.units import Size

VERB = "remove-disk"


@dataclass(frozen=True, slots=True)
class RemoveDiskRequest:
    """A disk to remove, whose it is, and what the configuration says without it; None takes a key out."""

    guest: GuestName
    anchor: DatasetPath
    uuid: UUID
    disk: DoomedDisk
    changes: Mapping[str, str | None]
    keep: bool = False
    """Whether its volume stays, with its snapshots and a mark that tells whose it was."""
    snapshots: bool = False
    """Whether snapshots of it go with it; else they are in the way."""
    account: tuple[int, str] | None = None
    """The CHAP account, by tag and user, that no other disk of the guest needs on that nas."""
    lost: bool = False
    """Whether it is not there at all: then nothing is taken but what tells of it."""
    numbering: str = ""
    """What the configuration says of the disks whose numbers change, by `numbering_in`."""

    @classmethod
    def of(
        cls,
        record: GuestRecord,
        conf: ConfText,
        name: DiskName,
        datastore: DatastoreRecord,
        *,
        keep: bool = False,
        snapshots: bool = False,
    ) -> Self:
        """The other disks keep names, serials and slots; in the configuration the numbers of later ones move up.

        NotFoundError without such a disk, RuleError for the only one and for one that carries the guest's marks,
        ConflictError when its volume is not the guest's, or offered by somebody else's extent too.
        """
        found = next((disk for disk in record.disks if disk.name == name), None)
        if found is None:
            raise NotFoundError(
                f"guest {record.name}: has no {name} on the nas", hint="pyvmiscsi vm info shows its disks"
            )
        if len(record.disks) == 1:
            raise RuleError(f"guest {record.name}: {name} is its only disk", hint="vm destroy takes the whole guest")
        if found.volume.path == record.anchor:
            raise RuleError(
                f"guest {record.name}: {name} carries the guest's marks, and goes with the guest only",
                hint="in a nested datastore the guest's dataset carries them",
            )
        if keep and found.elsewhere:
            raise RuleError(
                f"guest {record.name}: {name} is in datastore {found.elsewhere.name}, and nothing would tell there "
                "whose it was",
                hint="of disks in the guest's own datastore, volumes can be kept",
            )
        refuse_others(record, found)
        place = next(
            (n for n, disk in paired_disks(record, parse_guest(record.name, conf)).items() if disk == found), None
        )
        if place is None:
            raise ConflictError(f"guest {record.name}: its configuration does not name {name}")
        after = without_device(record.name, conf, "disk", place)
        disk = DoomedDisk.of(record.name, found, datastore)
        changes = conf.changes_to(after)
        account = _account_of_its_own(record, found, datastore)
        numbering = numbering_in(conf, changes)
        return cls(
            record.name, record.anchor, record.uuid, disk, changes, keep, snapshots, account, numbering=numbering
        )

    @classmethod
    def of_lost(cls, record: GuestRecord, conf: ConfText, name: DiskName, where: DatastoreRecord) -> Self:
        """For a disk that the guest's mark tells of, and that is not in that other datastore."""
        config, path = parse_guest(record.name, conf), where.volume_of_visitor(record.name, record.uuid, name)
        numbers = (disk.number for disk in config.disks if disk.is_lun and disk_name_of(disk, config) == name)
        place = next(numbers, None)
        after = conf if place is None else without_device(record.name, conf, "disk", place)
        disk = DoomedDisk.of(record.name, GuestDisk(name, Volume(path, Size(0)), elsewhere=where), where)
        changes = conf.changes_to(after)
        numbering = numbering_in(conf, changes)
        return cls(record.name, record.anchor, record.uuid, disk, changes, lost=True, numbering=numbering)

    def as_json(self) -> dict[str, Any]:
        return {
            "guest": str(self.guest),
            "anchor": str(self.anchor),
            "uuid": str(self.uuid),
            "disk": self.disk.as_json(),
            "changes": [list(change) for change in self.changes.items()],
            "keep": self.keep,
            "snapshots": self.snapshots,
            "account": list(self.account) if self.account else None,
            "lost": self.lost,
            "numbering": self.numbering,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            guest=GuestName.parse(data["guest"]),
            anchor=DatasetPath.parse(data["anchor"]),
            uuid=UUID(data["uuid"]),
            disk=DoomedDisk.from_json(data["disk"]),
            changes=dict(data["changes"]),
            keep=bool(data["keep"]),
            snapshots=bool(data["snapshots"]),
            account=(int(data["account"][0]), str(data["account"][1])) if data.get("account") else None,
            lost=bool(data.get("lost")),
            numbering=data.get("numbering", ""),
        )


def remove_disk_plan(request: RemoveDiskRequest, datastore: DatastoreRecord, scene: Scene) -> Plan:
    """Log out everywhere, withdraw the target; from there on there is no way back."""
    if request.lost:
        return _forgetting_plan(request, datastore, scene)
    disk = request.disk
    where = datastore_of(disk.datastore, datastore, scene)
    nas = scene.nas(where)
    reversible = (*_withdrawing_steps(request, datastore, scene),)
    host = scene.host(scene.host_names(datastore)[0])
    path = conf_path(request.guest, datastore)
    rest: list[Step] = [
        ExtentGone(nas, disk.extent, disk.volume),
        ConfigurationChanged(host, path, f"without {disk.name}", request.changes, request.numbering),
    ]
    if request.keep:
        whose = {"guest": str(request.guest), "uuid": str(request.uuid), "datastore": datastore.name}
        rest.append(VolumeKept(nas, disk.volume, {**whose, "disk": str(disk.name)}))
    else:
        rest += [NoSnapshotLeft(nas, (disk.volume,))] if request.snapshots else []
        rest.append(VolumeGone(nas, disk.volume))
    if request.account:
        rest.append(CredentialGone(nas, *request.account, where.nas))
    if disk.datastore:
        rest.append(DiskUntold(scene.nas(datastore), request.anchor, disk.name))
    return Plan(VERB, f"{request.guest} {disk.name}", (*reversible, *rest), no_return=len(reversible))


def _account_of_its_own(record: GuestRecord, disk: GuestDisk, home: DatastoreRecord) -> tuple[int, str] | None:
    """An account on another nas than the guest's goes with the last disk there."""
    nas, tag = disk.datastore(home).nas, disk.target.chap_tag if disk.target else None
    needed = any(other.datastore(home).nas == nas for other in record.disks if other != disk)
    return None if tag is None or needed or nas == home.nas else (tag, str(record.name))


def _forgetting_plan(request: RemoveDiskRequest, datastore: DatastoreRecord, scene: Scene) -> Plan:
    name = request.disk.name
    host = scene.host(scene.host_names(datastore)[0])
    path = conf_path(request.guest, datastore)
    steps = (
        ConfigurationChanged(host, path, f"without {name}", request.changes, request.numbering),
        DiskUntold(scene.nas(datastore), request.anchor, name),
    )
    return Plan(VERB, f"{request.guest} {name}", steps, no_return=0)


def _withdrawing_steps(request: RemoveDiskRequest, datastore: DatastoreRecord, scene: Scene) -> Iterator[Step]:
    disk = request.disk
    nas = scene.nas(datastore_of(disk.datastore, datastore, scene))
    if not request.keep:
        volumes = (disk.volume,)
        yield NothingKeepsSnapshots(nas, volumes) if request.snapshots else NoSnapshots(nas, volumes)
    for host in scene.host_names(datastore):
        yield DiskDetached(scene.initiator(host), host, disk.target.iqn)
    yield NobodyLoggedIn(nas, (disk.target.iqn,))
    yield TargetGone(nas, disk.target, (disk.mapping,) if disk.mapping else ())
