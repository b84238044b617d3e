"""Facts about what makes a volume a LUN: credential, target, extent, mapping."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar
from uuid import UUID

from pyvmiscsi.errors import BusyError, ConflictError
from pyvmiscsi.model import Credential, Extent, Mapping, Target
from pyvmiscsi.names import DatasetPath, Iqn
from pyvmiscsi.ports import Nas
from pyvmiscsi.secrets import generate_chap_secret
from pyvmiscsi.steps.difference import refuse_difference
from pyvmiscsi.steps.sessions import SEEN_GONE_WITHIN
from pyvmiscsi.steps.signature import Signature
from pyvmiscsi.waiting import wait_for


@dataclass(frozen=True, slots=True)
class CredentialExists:
    """The guest has a CHAP account under a tag that is its alone. The nas is the only keeper of the secret."""

    nas: Nas
    tag: int
    user: str
    mutual: bool = False
    on: str | None = None
    """The nas's name, where it is not that of the guest's own datastore."""
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"CHAP account {self.user} under tag {self.tag}" + (f" on nas {self.on}" if self.on else "")

    def holds(self) -> bool:
        accounts = self.nas.find_credentials(tag=self.tag)
        strangers = [account.user for account in accounts if account.user != self.user]
        if strangers:
            raise ConflictError(
                f"CHAP tag {self.tag}: also has the account {strangers[0]}, which would open the LUNs of {self.user}",
                hint="remove that account, or begin again: a new guest gets a new tag",
            )
        refuse_difference(self.title, [("mutual CHAP", account.is_mutual, self.mutual) for account in accounts])
        return bool(accounts)

    def make(self) -> None:
        peer = Credential(self.tag, self.user, generate_chap_secret())
        if self.mutual:
            peer = replace(peer, peer_user=f"{self.user}-nas", peer_secret=generate_chap_secret())
        self.nas.create_credential(peer)

    def undo(self) -> None:
        self.nas.delete_credential(tag=self.tag, user=self.user)


@dataclass(frozen=True, slots=True)
class CredentialGone:
    """No CHAP account of the guest is left; its secret cannot be brought back."""

    nas: Nas
    tag: int
    user: str
    on: str | None = None
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"no CHAP account {self.user} under tag {self.tag}" + (f" on nas {self.on}" if self.on else "")

    def holds(self) -> bool:
        return all(account.user != self.user for account in self.nas.find_credentials(tag=self.tag))

    def make(self) -> None:
        self.nas.delete_credential(tag=self.tag, user=self.user)

    def undo(self) -> None:
        """A secret that was deleted does not come back; plans put this step past the point of no return."""


@dataclass(frozen=True, slots=True)
class TargetExists:
    """A target with this name, portal group, initiator group and CHAP tag."""

    nas: Nas
    target: Target
    extent: str | None = None
    """What is to be its LUN. Where it is so still, after ours was taken away, both are somebody else's."""
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"target {self.target.iqn}"

    def holds(self) -> bool:
        found = self.nas.find_target(self.target.iqn)
        if found is None:
            return False
        wanted = self.target
        refuse_difference(
            self.title,
            [
                ("portal group", found.portal_group, wanted.portal_group),
                ("initiator group", found.initiator_group, wanted.initiator_group),
                ("CHAP tag", found.chap_tag, wanted.chap_tag),
                ("mutual CHAP", found.mutual, wanted.mutual),
            ],
        )
        return True

    def make(self) -> None:
        self.nas.create_target(self.target)

    def undo(self) -> None:
        found = self.nas.find_target(self.target.iqn)
        if found is None or found.chap_tag != self.target.chap_tag:
            return
        if self.extent is None or self.nas.find_mapping(self.target.iqn, self.extent) is None:
            self.nas.delete_target(self.target.iqn)


@dataclass(frozen=True, slots=True)
class TargetGone:
    """The target and its mappings are withdrawn; they can be put back as they were."""

    nas: Nas
    target: Target
    mappings: tuple[Mapping, ...]
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"no target {self.target.iqn}"

    def holds(self) -> bool:
        return self.nas.find_target(self.target.iqn) is None

    def make(self) -> None:
        self.nas.delete_target(self.target.iqn)

    def undo(self) -> None:
        if self.nas.find_target(self.target.iqn) is None:
            self.nas.create_target(self.target)
        for mapping in self.mappings:
            if self.nas.find_mapping(mapping.target, mapping.extent) is None:
                self.nas.create_mapping(mapping)


@dataclass(frozen=True, slots=True)
class ExtentExists:
    """The volume is offered as a disk with this serial and 512-byte blocks, signed."""

    nas: Nas
    extent: Extent
    signature: Signature
    signed: ClassVar[bool] = True

    @property
    def title(self) -> str:
        return f"extent {self.extent.name}"

    def holds(self) -> bool:
        found = self.nas.find_extent(self.extent.name)
        if found is None:
            return False
        wanted = self.extent
        signature = Signature.in_comment(found.comment)
        refuse_difference(
            self.title,
            [
                ("block size", found.sector, wanted.sector),
                ("volume", found.volume, wanted.volume),
                ("serial", found.serial, wanted.serial),
                ("its guest", signature and signature.guest, self.signature.guest),
                ("enabled", found.enabled, True),
                ("read-only", found.read_only, False),
            ],
        )
        return True

    def make(self) -> None:
        self.nas.create_extent(replace(self.extent, comment=self.signature.as_comment()))

    def undo(self) -> None:
        found = self.nas.find_extent(self.extent.name)
        if found is not None and Signature.in_comment(found.comment) == self.signature:
            self.nas.delete_extent(self.extent.name)


@dataclass(frozen=True, slots=True)
class ExtentGone:
    """The volume is no longer offered; a new extent would show initiators another disk (its NAA is new).

    An extent of that name that offers another volume is none of ours: it stays.
    """

    nas: Nas
    name: str
    volume: DatasetPath
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"no extent {self.name}"

    def holds(self) -> bool:
        found = self.nas.find_extent(self.name)
        return found is None or found.volume != self.volume

    def make(self) -> None:
        self.nas.delete_extent(self.name)

    def undo(self) -> None:
        """Its NAA does not come back; plans put this step past the point of no return."""


@dataclass(frozen=True, slots=True)
class MappingExists:
    """The extent is this LUN of the target."""

    nas: Nas
    mapping: Mapping
    guest: UUID | None = None
    """Whose extent it is: another guest's of the same name keeps its LUN."""
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"LUN {self.mapping.lun} of {self.mapping.target}"

    def holds(self) -> bool:
        found = self.nas.find_mapping(self.mapping.target, self.mapping.extent)
        if found is None:
            return False
        refuse_difference(self.title, [("LUN", found.lun, self.mapping.lun)])
        return True

    def make(self) -> None:
        self.nas.create_mapping(self.mapping)

    def undo(self) -> None:
        extent = self.nas.find_extent(self.mapping.extent)
        signature = Signature.in_comment(extent.comment) if extent else None
        if signature is None or self.guest in (None, signature.guest):
            self.nas.delete_mapping(self.mapping.target, self.mapping.extent)


@dataclass(frozen=True, slots=True)
class NobodyLoggedIn:
    """The nas sees no session on these targets. A session that stays is somebody's: it is never cut."""

    nas: Nas
    targets: tuple[Iqn, ...]
    signed: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return "no session on " + ", ".join(str(target) for target in self.targets)

    def holds(self) -> bool:
        return not self.nas.sessions(self.targets)

    def make(self) -> None:
        try:
            wait_for(self.holds, what=self.title, deadline=SEEN_GONE_WITHIN)
        except TimeoutError as late:
            session = self.nas.sessions(self.targets)[0]
            raise BusyError(
                f"target {session.target}: {session.initiator} at {session.address} is logged in",
                hint="stop the guest, or log that initiator out",
            ) from late

    def undo(self) -> None:
        """Nothing was done."""
