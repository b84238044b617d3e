"""Facts about the size of a disk: what the nas gives it, what its LUN shows, what a host sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pyvmiscsi.errors import ConflictError, DeadlineError, NotFoundError, ProofError
from pyvmiscsi.model import DiskProof
from pyvmiscsi.names import DatasetPath
from pyvmiscsi.ports import BlockAccess, Initiator, Nas
from pyvmiscsi.steps.sessions import guest_credential
from pyvmiscsi.units import Size
from pyvmiscsi.waiting import wait_for

_ANSWERS_WITHIN = 10.0
"""Seconds for a login from here: a storage network is often closed to the machine that administers it."""
_FOLLOWS_WITHIN = 15.0
"""Seconds in which a LUN shows the size of its volume: the nas tells its target by itself (nas-wire.md 2.13)."""


@dataclass(frozen=True, slots=True)
class VolumeGrown:
    """The volume has this size. It is never made smaller."""

    nas: Nas
    path: DatasetPath
    size: Size
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"volume {self.path} of {self.size}"

    def holds(self) -> bool:
        found = self.nas.find_volume(self.path)
        if found is None:
            raise NotFoundError(f"volume {self.path}: the nas has none of this name")
        if found.size.bytes > self.size.bytes:
            raise ConflictError(
                f"{self.title}: it has {found.size}", hint="somebody made it larger, and it is never made smaller"
            )
        return found.size == self.size

    def make(self) -> None:
        self.nas.grow_volume(self.path, self.size)

    def undo(self) -> None:
        """What a guest wrote beyond the old end would be lost; plans put this step past the point of no return."""


@dataclass(frozen=True, slots=True)
class LunSized:
    """Whoever logs in finds this disk, of this size: proven by logging in from this process, for a moment."""

    access: BlockAccess
    nas: Nas
    proof: DiskProof
    chap_tag: int | None
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"LUN {self.proof.address.lun} of {self.proof.address.target} of {self.proof.size}"

    def holds(self) -> bool:
        credential = guest_credential(self.nas, self.chap_tag)
        with self.access.open(self.proof.address, credential, deadline=_ANSWERS_WITHIN) as device:
            if (device.serial, device.sector) != (str(self.proof.serial), self.proof.sector):
                raise ProofError(f"{self.proof.address}: it is {device.serial} with blocks of {device.sector}")
            return device.size == self.proof.size

    def make(self) -> None:
        """The nas does it by itself, when the volume grows: to be seen is all that is left."""
        try:
            wait_for(self.holds, what=self.title, deadline=_FOLLOWS_WITHIN)
        except DeadlineError as late:
            raise ProofError(
                f"{self.title}: it still shows another size", hint="restart the iSCSI service of the nas, and resume"
            ) from late

    def undo(self) -> None:
        """Nothing was done."""


@dataclass(frozen=True, slots=True)
class SizeSeen:
    """A host that has the disk sees this size; a host that has it no longer will see it when it logs in."""

    initiator: Initiator
    host: str
    proof: DiskProof
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"{self.proof.size} of {self.proof.address.target} seen by {self.host}"

    def holds(self) -> bool:
        if all(session.target != self.proof.address.target for session in self.initiator.sessions()):
            return True
        try:
            return self.initiator.find(self.proof) is not None
        except ProofError:
            return False  # before the volume grows, it is the old size; `make` tells what else it may be

    def make(self) -> None:
        self.initiator.reprobe(self.proof)

    def undo(self) -> None:
        """Nothing was done."""
