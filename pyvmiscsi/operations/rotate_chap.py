"""Give a guest's CHAP account new secrets. Pure; no request, intent or mark ever holds one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from pyvmiscsi.errors import ConflictError, RuleError
from pyvmiscsi.model import Credential, DatastoreRecord, Target
from pyvmiscsi.names import DatasetPath, GuestName, Iqn
from pyvmiscsi.operations.guests import GuestRecord
from pyvmiscsi.operations.scene import Scene
from pyvmiscsi.plan.step import Plan, Step
from pyvmiscsi.steps.announced import Announced
from pyvmiscsi.steps.exports import NobodyLoggedIn
from pyvmiscsi.steps.secrets import SecretRotated
from pyvmiscsi.steps.sessions import DiskDetached

VERB = "rotate-chap"


@dataclass(frozen=True, slots=True)
class RotateChapRequest:
    """A guest whose account gets new secrets, and the targets that it opens."""

    guest: GuestName
    anchor: DatasetPath
    tag: int
    user: str
    mutual: bool
    targets: tuple[Iqn, ...]

    @classmethod
    def of(cls, record: GuestRecord, account: Credential, others: Iterable[Target]) -> Self:
        """ConflictError when the account opens a target that is not the guest's: who has that would be locked out."""
        targets = tuple(disk.target.iqn for disk in record.disks if disk.target)
        for other in others:
            if other.chap_tag == account.tag and other.iqn not in targets:
                raise ConflictError(
                    f"CHAP tag {account.tag}: also opens target {other.iqn}, which is not of guest {record.name}",
                    hint="give that target an account of its own on the nas",
                )
        return cls(record.name, record.anchor, account.tag, account.user, account.is_mutual, targets)

    def as_json(self) -> dict[str, Any]:
        return {
            "guest": str(self.guest),
            "anchor": str(self.anchor),
            "tag": self.tag,
            "user": self.user,
            "mutual": self.mutual,
            "targets": [str(target) for target in self.targets],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            guest=GuestName.parse(data["guest"]),
            anchor=DatasetPath.parse(data["anchor"]),
            tag=int(data["tag"]),
            user=str(data["user"]),
            mutual=bool(data["mutual"]),
            targets=tuple(Iqn.parse(target) for target in data["targets"]),
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
        for target in request.targets
    ]
    reversible.append(NobodyLoggedIn(nas, request.targets))
    announced = Announced(nas, request.anchor, f"rotation of CHAP account {request.user}", operation)
    rotated = SecretRotated(nas, request.anchor, request.tag, request.user, request.mutual, operation)
    return Plan(VERB, str(request.guest), (*reversible, announced, rotated), no_return=len(reversible))
