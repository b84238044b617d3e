"""Give a guest's CHAP account new secrets. Pure; no request, intent or mark ever holds one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from pyvmiscsi.errors import ConflictError, RuleError
from pyvmiscsi.model import Credential, DatastoreRecord, Target
from pyvmiscsi.names import DatasetPath, GuestName, Iqn
from pyvmiscsi.operations.guests import GuestRecord
from pyvmiscsi.operations.scene import Scene
from pyvmiscsi.plan.step import Plan, Step
from pyvmiscsi.steps.announced import Announced
from pyvmiscsi.steps.exports import NobodyLoggedIn
from pyvmiscsi.steps.secrets import Elsewhere, SecretRotated
from pyvmiscsi.steps.sessions import DiskDetached

VERB = "rotate-chap"


@dataclass(frozen=True, slots=True)
class OtherAccount:
    """The guest's account on another nas than that of its datastore; `datastore` names one that is there."""

    datastore: str
    user: str
    mutual: bool
    targets: tuple[Iqn, ...]

    def as_json(self) -> dict[str, Any]:
        targets = [str(target) for target in self.targets]
        return {"datastore": self.datastore, "user": self.user, "mutual": self.mutual, "targets": targets}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        targets = tuple(Iqn.parse(target) for target in data["targets"])
        return cls(str(data["datastore"]), str(data["user"]), bool(data["mutual"]), targets)


@dataclass(frozen=True, slots=True)
class RotateChapRequest:
    """A guest whose account gets new secrets, and the targets that it opens."""

    guest: GuestName
    anchor: DatasetPath
    uuid: UUID
    tag: int
    user: str
    mutual: bool
    targets: tuple[Iqn, ...]
    others: tuple[OtherAccount, ...] = ()

    @classmethod
    def of(
        cls,
        record: GuestRecord,
        home: DatastoreRecord,
        accounts: Mapping[str, Credential],
        targets: Mapping[str, Iterable[Target]],
    ) -> Self:
        """`accounts` and `targets` are all that the nases of its disks have under its tag, by the nases' names.

        ConflictError when an account opens a target that is not the guest's: who has that would be locked out.
        """
        own: dict[str, tuple[Iqn, ...]] = {}
        datastores: dict[str, DatastoreRecord] = {}
        for disk in record.disks:
            where = disk.datastore(home)
            datastores.setdefault(where.nas, where)
            own[where.nas] = (*own.get(where.nas, ()), *((disk.target.iqn,) if disk.target else ()))
        for nas, account in accounts.items():
            _refuse_strangers(record, account, own.get(nas, ()), targets[nas])
        others = sorted(nas for nas in accounts if nas != home.nas)
        account = accounts.get(home.nas) or accounts[others[0]]
        return cls(
            guest=record.name,
            anchor=record.anchor,
            uuid=record.uuid,
            tag=account.tag,
            user=account.user,
            mutual=account.is_mutual,
            targets=own.get(home.nas, ()),
            others=tuple(
                OtherAccount(datastores[nas].name, accounts[nas].user, accounts[nas].is_mutual, own[nas])
                for nas in others
            ),
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "guest": str(self.guest),
            "anchor": str(self.anchor),
            "uuid": str(self.uuid),
            "tag": self.tag,
            "user": self.user,
            "mutual": self.mutual,
            "targets": [str(target) for target in self.targets],
            "others": [other.as_json() for other in self.others],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            guest=GuestName.parse(data["guest"]),
            anchor=DatasetPath.parse(data["anchor"]),
            uuid=UUID(data["uuid"]),
            tag=int(data["tag"]),
            user=str(data["user"]),
            mutual=bool(data["mutual"]),
            targets=tuple(Iqn.parse(target) for target in data["targets"]),
            others=tuple(OtherAccount.from_json(other) for other in data.get("others", ())),
        )


def _refuse_strangers(
    record: GuestRecord, account: Credential, own: tuple[Iqn, ...], targets: Iterable[Target]
) -> None:
    for other in targets:
        if other.chap_tag == account.tag and other.iqn not in own:
            raise ConflictError(
                f"CHAP tag {account.tag}: also opens target {other.iqn}, which is not of guest {record.name}",
                hint="give that target an account of its own on the nas",
            )


def chap_tag_to_rotate(record: GuestRecord) -> int:
    """The tag of the guest's one account; RuleError when it has none, or several."""
    tags = {disk.target.chap_tag for disk in record.disks if disk.target}
    if tags <= {None}:
        raise RuleError(f"guest {record.name}: its disks are open to everybody, without CHAP: there is no secret")
    tag, *more = sorted(tags, key=str)
    if tag is None or more:
        raise RuleError(
            f"guest {record.name}: its disks have different CHAP accounts: {', '.join(map(str, [tag, *more]))}",
            hint="pyvmiscsi vm info shows which; make them one on the nas",
        )
    return tag


def rotate_chap_plan(request: RotateChapRequest, datastore: DatastoreRecord, scene: Scene, operation: str) -> Plan:
    """Log out everywhere, for the next login needs what is new; then there is no way back."""
    nas = scene.nas(datastore)
    reversible: list[Step] = [
        DiskDetached(scene.initiator(host), host, target)
        for host in scene.host_names(datastore)
        for target in (*request.targets, *(target for other in request.others for target in other.targets))
    ]
    if request.targets:
        reversible.append(NobodyLoggedIn(nas, request.targets))
    others = [(scene.datastore(other.datastore), other) for other in request.others]
    reversible += [NobodyLoggedIn(scene.nas(where), other.targets) for where, other in others]
    announced = Announced(nas, request.anchor, f"rotation of CHAP account {request.user}", operation)
    rotated: list[Step] = []
    if request.targets:
        rotated.append(SecretRotated(nas, request.anchor, request.tag, request.user, request.mutual, operation))
    for number, (where, other) in enumerate(others, 1):
        elsewhere = Elsewhere(scene.nas(where), where.nas, number)
        rotated.append(SecretRotated(nas, request.anchor, request.tag, other.user, other.mutual, operation, elsewhere))
    return Plan(VERB, str(request.guest), (*reversible, announced, *rotated), no_return=len(reversible))
