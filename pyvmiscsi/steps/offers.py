"""A volume offered to this process for a while, under names that no guest can have.

    target and extent `transfer:<id>`, CHAP user `transfer:<id>`, serial `pvt<id>`

The id is made of the operation and the volume: whoever goes on with the operation finds what is left of the offer, and
takes it away before it begins again. The secret of its CHAP account lives as long as the offer does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from pyvmiscsi.errors import (
    BusyError,
    ConflictError,
    DeadlineError,
    LoginError,
    NotFoundError,
    ProofError,
    PyvmiscsiError,
    ScsiError,
)
from pyvmiscsi.model import Credential, DatastoreRecord, Extent, Mapping, Target
from pyvmiscsi.names import DatasetPath, Iqn, LunAddress, Serial
from pyvmiscsi.ports import BlockAccess, BlockDevice, Nas
from pyvmiscsi.secrets import generate_chap_secret
from pyvmiscsi.steps.exports import NobodyLoggedIn
from pyvmiscsi.steps.signature import Signature
from pyvmiscsi.units import SECTOR
from pyvmiscsi.waiting import wait_for

SHOWN_WITHIN = 15.0
"""Seconds: a nas shows a new target to initiators about one second after it made it (nas-wire.md 2.8)."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A volume of a datastore's nas, offered at its portal by one operation. Building one touches nothing."""

    nas: Nas
    datastore: DatastoreRecord
    volume: DatasetPath
    signature: Signature
    read_only: bool = False

    @property
    def id(self) -> str:
        """Twelve hexadecimal digits, the same whenever the same operation offers the same volume."""
        return hashlib.sha256(f"{self.signature.operation} {self.volume}".encode()).hexdigest()[:12]

    @property
    def name(self) -> str:
        """Of target, extent and account: a guest's name has no colon."""
        return f"transfer:{self.id}"

    @property
    def target(self) -> Iqn:
        return self.datastore.basename.child(self.name)

    @property
    def address(self) -> LunAddress:
        return LunAddress(self.datastore.portal, self.target, self.datastore.lun)

    @property
    def serial(self) -> Serial:
        return Serial.parse(f"pvt{self.id}")

    @property
    def tag(self) -> int:
        """Of its CHAP account: 31 bits of the id, never zero."""
        return int(self.id, 16) & 0x7FFF_FFFF or 1

    def make(self) -> Credential:
        """Offer the volume, of which nothing is offered yet; the account that opens it.

        BusyError when the volume is offered under another name; ConflictError when another account has the tag.
        """
        others = [extent.name for extent in self.nas.extents_of(self.volume)]
        if others:
            raise BusyError(
                f"volume {self.volume}: is offered as extent {others[0]}", hint="two writers would ruin what is on it"
            )
        strangers = self.nas.find_credentials(tag=self.tag)
        if strangers:
            raise ConflictError(
                f"CHAP tag {self.tag}: also has the account {strangers[0].user}, which would open {self.volume}"
            )
        datastore = self.datastore
        account = Credential(self.tag, self.name, generate_chap_secret())
        comment = self.signature.as_comment()
        self.nas.create_credential(account)
        self.nas.create_target(Target(self.target, datastore.portal_group, datastore.initiator_group, self.tag))
        self.nas.create_extent(Extent(self.name, self.volume, self.serial, comment=comment, read_only=self.read_only))
        self.nas.create_mapping(Mapping(self.target, self.name, datastore.lun))
        return account

    def withdraw(self) -> None:
        """Take all of it away, whatever there is of it; BusyError while somebody is logged in to it."""
        if self.nas.find_target(self.target) is not None:
            NobodyLoggedIn(self.nas, (self.target,)).make()
            self.nas.delete_target(self.target)
        if self.nas.find_extent(self.name) is not None:
            self.nas.delete_extent(self.name)
        if any(account.user == self.name for account in self.nas.find_credentials(tag=self.tag)):
            self.nas.delete_credential(tag=self.tag, user=self.name)


@contextmanager
def exported(offer: Offer, access: BlockAccess) -> Iterator[BlockDevice]:
    """The offered volume as a proven LUN of this process; afterwards nothing of the offer is left.

    What is left of an earlier one goes first: BusyError while somebody is logged in to that. When the block fails, the
    offer is taken away as far as the nas lets us, and the error is the block's: what is left goes when the operation is
    resumed or rewound.
    """
    offer.withdraw()
    try:
        with _opened(offer, offer.make(), access) as device:
            yield device
    except BaseException:
        with suppress(PyvmiscsiError):
            offer.withdraw()
        raise
    offer.withdraw()


@contextmanager
def _opened(offer: Offer, account: Credential, access: BlockAccess) -> Iterator[BlockDevice]:
    """The LUN, once the nas shows it: at first it may say that there is no such target, or no disk in it."""
    refusals: list[PyvmiscsiError] = []
    with ExitStack() as opened:

        def log_in() -> BlockDevice | None:
            try:
                return opened.enter_context(access.open(offer.address, account, deadline=SHOWN_WITHIN))
            except (LoginError, ProofError, ScsiError) as error:
                if isinstance(error, LoginError) and error.permanent and error.reason != "Not found":
                    raise
                refusals.append(error)
                return None

        try:
            device = wait_for(log_in, what=f"login to {offer.address}", deadline=SHOWN_WITHIN)
        except DeadlineError as late:
            raise refusals[-1] from late
        _prove(offer, device)
        yield device


def _prove(offer: Offer, device: BlockDevice) -> None:
    """ProofError unless the LUN is the volume that was offered."""
    volume = offer.nas.find_volume(offer.volume)
    if volume is None:
        raise NotFoundError(f"volume {offer.volume}: is not on the nas any more")
    for what, found, wanted in (
        ("serial", device.serial, offer.serial.text),
        ("size", device.size, volume.size),
        ("block size", device.sector, SECTOR),
    ):
        if found != wanted:
            raise ProofError(f"{offer.address}: its {what} is {found}, not {wanted}", hint="nothing was written to it")
