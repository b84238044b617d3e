"""What a LUN is and can do, asked once when it is opened."""

from __future__ import annotations

from dataclasses import dataclass

from pyvmiscsi.errors import ProofError, ScsiError
from pyvmiscsi.initiator.libiscsi.session import Session
from pyvmiscsi.initiator.libiscsi.shapes import BlockLimits, Provisioning
from pyvmiscsi.names import LunAddress
from pyvmiscsi.units import Size

_NO_LIMIT = 2**63
_NARROW_SECTORS = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Facts:
    """A disk as it says it is; the longest ones in bytes."""

    size: Size
    sector: Size
    serial: str
    longest_transfer: int
    """What one READ or WRITE may carry."""
    longest_let_go: int
    """What one WRITE SAME with UNMAP may let go of; 0 when it cannot, or what it lets go of need not read as zeros."""
    reads_zeros: bool
    """What it has let go of reads as zeros (LBPRZ; SBC-3 5.16.2 and 6.6.4)."""
    is_narrow: bool
    """It knows no 16-byte commands."""


def look(session: Session, address: LunAddress) -> Facts:
    """The facts of a LUN that is ready; ProofError when it is no disk."""
    lun = address.lun.number
    inquiry = session.inquiry(lun)
    if not inquiry.is_disk:
        raise ProofError(f"{address}: no disk there, device type {inquiry.device_type}")
    capacity = session.capacity(lun)
    if capacity.is_narrow and capacity.sectors > _NARROW_SECTORS:
        raise ProofError(f"{address}: more than 2 TiB, and it knows no READ CAPACITY(16)")
    limits, provisioning = _limits(session, lun), _provisioning(session, lun)
    reads_zeros = capacity.reads_zeros or provisioning.reads_zeros
    lets_go = provisioning.write_same_unmap and reads_zeros
    return Facts(
        size=Size(capacity.size),
        sector=Size(capacity.sector),
        serial=session.serial(lun),
        longest_transfer=limits.max_transfer * capacity.sector or _NO_LIMIT,
        longest_let_go=(limits.max_write_same * capacity.sector or _NO_LIMIT) if lets_go else 0,
        reads_zeros=reads_zeros,
        is_narrow=capacity.is_narrow,
    )


def _limits(session: Session, lun: int) -> BlockLimits:
    try:
        return session.block_limits(lun)
    except ScsiError:  # the page is optional
        return BlockLimits(0, 0, 0, 0, 0, 0)


def _provisioning(session: Session, lun: int) -> Provisioning:
    try:
        return session.provisioning(lun)
    except ScsiError:  # the page is optional
        return Provisioning(unmap=False, write_same_unmap=False, reads_zeros=False, thin=False)
