"""Whether a disk that appeared is the one of the record, and by which name to use it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pyvmiscsi.errors import ProofError
from pyvmiscsi.initiator.freebsd.geom_text import label_of
from pyvmiscsi.initiator.freebsd.iscsictl import Identity
from pyvmiscsi.model import AttachedDisk, DiskProof
from pyvmiscsi.units import SECTOR, Size


def proven(proof: DiskProof, device: str, identity: Identity, what: str) -> AttachedDisk:
    """The disk, named by its label where that is on this very disk; ProofError when it is not that of the record."""
    wrong = list(_differences(proof, identity))
    if wrong:
        remedy = identity.info.sector != proof.sector.bytes and proof.sector == SECTOR
        raise ProofError(f"{what}: {device} is not this disk: {'; '.join(wrong)}", hint=_4K if remedy else "")
    label = label_of(proof.serial.text)
    return AttachedDisk(
        address=proof.address,
        device=label if label and _bearer(label, identity) == device else f"/dev/{device}",
        serial=proof.serial,
        size=Size(identity.info.size),
        sector=Size(identity.info.sector),
        physical=Size(identity.info.stripe),
    )


def lack_of_label(proof: DiskProof, device: str, identity: Identity, *, labels_are_off: bool) -> str:
    """Why a proven disk has no lasting name, and what to do about it; empty when it has one."""
    label = label_of(proof.serial.text)
    if label is None:
        return "its serial makes no label: it is empty, or longer than 51 characters as GEOM writes it"
    bearer = _bearer(label, identity)
    if bearer == device:
        return ""
    if bearer:
        return f"{label} is on {bearer}, another disk with the same serial: give one of the two another"
    if labels_are_off:
        return (
            "kern.geom.label.disk_ident.enable=0 on this host: take it out of /boot/loader.conf, "
            "and sysctl kern.geom.label.disk_ident.enable=1"
        )
    return f"there is no {label}: it goes while the disk is open for writing by another name"


def reserved(identity: Identity) -> str:
    """That somebody holds a SCSI reservation, in words."""
    return f"it is reserved ({identity.reservation}), and what is written to it comes back as an I/O error"


RESERVATION_CONFLICT = 0x18
"""The SCSI status that writes to it end with (SAM-5 5.3.1)."""

CLEARING = (
    "stop what reserved it, another host or one of its earlier sessions; if that is gone for good, log in by hand and "
    "camcontrol persist daN -o register_ignore -K 0x1; camcontrol persist daN -o clear -k 0x1 -E"
)


def _bearer(label: str, identity: Identity) -> str:
    return identity.disks_by_label.get(label.removeprefix("/dev/"), "")


_4K = (
    "guests need 512-byte blocks, and bhyve cannot show others as such: "
    "make the extent anew with logical block size 512 and write its data again"
)


def _differences(proof: DiskProof, identity: Identity) -> Iterator[str]:
    """What the disk says otherwise than the record, in words."""
    for teller, serial in (("SCSI", identity.scsi_serial), ("GEOM", identity.geom_serial)):
        if serial != proof.serial.text:
            yield f"its serial ({teller}) is {serial or 'empty'!r}, not {proof.serial.text!r}"
    if identity.info.size != proof.size.bytes:
        yield f"it has {identity.info.size} bytes, not {proof.size.bytes}"
    if identity.info.sector != proof.sector.bytes:
        yield f"its logical blocks have {identity.info.sector} bytes, not {proof.sector.bytes}"
