"""Facts about a host's sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pyvmiscsi.errors import ConflictError
from pyvmiscsi.model import Credential, DiskProof
from pyvmiscsi.names import Iqn
from pyvmiscsi.ports import Initiator, Nas


@dataclass(frozen=True, slots=True)
class DiskAttached:
    """The host is logged in to the target, and the disk that appeared is proven to be the one of the record."""

    nas: Nas
    initiator: Initiator
    host: str
    proof: DiskProof
    chap_tag: int | None
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"session {self.host} -> {self.proof.address.target}"

    def holds(self) -> bool:
        return self.initiator.find(self.proof) is not None

    def make(self) -> None:
        self.initiator.attach(self.proof, guest_credential(self.nas, self.chap_tag))

    def undo(self) -> None:
        self.initiator.detach(self.proof.address.target)


@dataclass(frozen=True, slots=True)
class DiskDetached:
    """The host has no session to the target."""

    initiator: Initiator
    host: str
    target: Iqn
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"no session {self.host} -> {self.target}"

    def holds(self) -> bool:
        return all(session.target != self.target for session in self.initiator.sessions())

    def make(self) -> None:
        self.initiator.detach(self.target)

    def undo(self) -> None:
        """Sessions are lazy: the next start logs in again."""


def guest_credential(nas: Nas, tag: int | None) -> Credential | None:
    """The one CHAP account under the guest's tag, from the only place that keeps it; None without CHAP."""
    if tag is None:
        return None
    accounts = nas.find_credentials(tag=tag)
    if len(accounts) != 1:
        raise ConflictError(
            f"CHAP tag {tag}: {len(accounts)} accounts, where the guest must have one",
            hint="pyvmiscsi vm info shows what the target expects",
        )
    return accounts[0]
