"""Resize: a disk made larger, on the nas, as its LUN, and for the host that has it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from pyvmiscsi.errors import BusyError, NotFoundError, RuleError
from pyvmiscsi.model import DatastoreRecord, DiskProof
from pyvmiscsi.names import DatasetPath, DiskName, GuestName, Iqn, Lun, LunAddress, Serial
from pyvmiscsi.operations.guests import GuestRecord
from pyvmiscsi.operations.scene import Scene, datastore_of
from pyvmiscsi.plan.step import Plan, Step
from pyvmiscsi.steps.sessions import DiskAttached, DiskDetached
from pyvmiscsi.steps.sizes import LunSized, SizeSeen, VolumeGrown
from pyvmiscsi.units import SECTOR, Size

VERB = "resize"


@dataclass(frozen=True, slots=True)
class ResizeRequest:
    """A disk to make larger, and who proves that it is: the hosts that are logged in to it, `via` one that is not, or
    else this process."""

    guest: GuestName
    anchor: DatasetPath
    uuid: UUID
    disk: DiskName
    volume: DatasetPath
    size: Size
    target: Iqn
    lun: Lun
    serial: Serial
    chap_tag: int | None
    hosts: tuple[str, ...] = ()
    via: str | None = None
    datastore: str | None = None
    """The one that the disk is in, when that is not its guest's."""

    @classmethod
    def of(
        cls, record: GuestRecord, name: DiskName, size: Size, datastore: DatastoreRecord, hosts: Iterable[str]
    ) -> Self:
        """`hosts` are those that say they are logged in to the disk.

        NotFoundError without such a disk, RuleError for a size that is smaller, or no whole number of its blocks;
        BusyError when somebody is logged in and none of the hosts says so: nobody could prove what it sees.
        """
        disk = next((disk for disk in record.disks if disk.name == name), None)
        if disk is None:
            raise NotFoundError(f"guest {record.name}: has no {name}", hint=f"pyvmiscsi vm info {record.name}")
        there, proof = disk.volume, disk.proof(datastore)
        if size < there.size:
            raise RuleError(
                f"{name} of guest {record.name}: it has {there.size}, and is never made smaller",
                hint="what lies beyond the new end would be lost; add a smaller disk, and move the data to it",
            )
        block = there.block_size or SECTOR
        if not size.is_multiple_of(block):
            raise RuleError(
                f"disk size {size}: not a multiple of the block size {block}",
                hint=f"ask for {size.rounded_up_to(block)}",
            )
        seen_by = tuple(hosts)
        if disk.sessions and not seen_by:
            first = disk.sessions[0]
            raise BusyError(
                f"target {proof.address.target}: {first.initiator} at {first.address} is logged in, and is no host of "
                f"datastore {datastore.name} that answers",
                hint="log that initiator out",
            )
        return cls(
            guest=record.name,
            anchor=record.anchor,
            uuid=record.uuid,
            disk=name,
            volume=there.path,
            size=size,
            target=proof.address.target,
            lun=proof.address.lun,
            serial=proof.serial,
            chap_tag=disk.target.chap_tag if disk.target else None,
            hosts=seen_by,
            datastore=disk.elsewhere.name if disk.elsewhere else None,
        )

    def proof(self, datastore: DatastoreRecord) -> DiskProof:
        """What the disk must show once it has grown."""
        return DiskProof(LunAddress(datastore.portal, self.target, self.lun), self.serial, self.size)

    def as_json(self) -> dict[str, Any]:
        return {
            "guest": str(self.guest),
            "anchor": str(self.anchor),
            "uuid": str(self.uuid),
            "disk": str(self.disk),
            "volume": str(self.volume),
            "size": self.size.bytes,
            "target": str(self.target),
            "lun": self.lun.number,
            "serial": str(self.serial),
            "chap_tag": self.chap_tag,
            "hosts": list(self.hosts),
            "via": self.via,
            "datastore": self.datastore,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            guest=GuestName.parse(data["guest"]),
            anchor=DatasetPath.parse(data["anchor"]),
            uuid=UUID(data["uuid"]),
            disk=DiskName.parse(data["disk"]),
            volume=DatasetPath.parse(data["volume"]),
            size=Size(data["size"]),
            target=Iqn.parse(data["target"]),
            lun=Lun(data["lun"]),
            serial=Serial.parse(data["serial"]),
            chap_tag=data["chap_tag"],
            hosts=tuple(data["hosts"]),
            via=data["via"],
            datastore=data.get("datastore"),
        )


def resize_plan(request: ResizeRequest, datastore: DatastoreRecord, scene: Scene) -> Plan:
    """There is no way back from the first step on; then the new size is proven."""
    where = datastore_of(request.datastore, datastore, scene)
    grown = VolumeGrown(scene.nas(where), request.volume, request.size)
    return Plan(VERB, str(request.guest), (grown, *_proving_steps(request, where, scene)), no_return=0)


def _proving_steps(request: ResizeRequest, datastore: DatastoreRecord, scene: Scene) -> tuple[Step, ...]:
    nas, proof = scene.nas(datastore), request.proof(datastore)
    if request.hosts:
        return tuple(SizeSeen(scene.initiator(host), host, proof) for host in request.hosts)
    if request.via is None:
        return (LunSized(scene.block_access(), nas, proof, request.chap_tag),)
    initiator = scene.initiator(request.via)
    return (
        DiskAttached(nas, initiator, request.via, proof, request.chap_tag),
        DiskDetached(initiator, request.via, request.target),
    )


def is_seen_while_running(emulation: str, release: int) -> bool:
    """Whether bhyve tells a running guest that its disk has grown; `release` is the host's `__FreeBSD_version`.

    From 14.0 on, a virtio-blk disk by a configuration interrupt, an nvme one by an asynchronous event; an ahci one
    shows its new size from the guest's next start (freebsd.md 2.5 and 7.6).
    """
    return emulation in ("virtio-blk", "nvme") and release >= 1400000
