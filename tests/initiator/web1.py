"""The disk that initiators on a host in memory attach."""

from __future__ import annotations

from pyvmiscsi.model import DiskProof
from pyvmiscsi.names import Iqn, Lun, LunAddress, Portal, Serial
from pyvmiscsi.units import Size

TARGET = "iqn.2005-10.org.freenas.ctl:web1-disk0"
PORTAL = "10.0.0.10:3260"
PROOF = DiskProof(
    LunAddress(Portal.parse(PORTAL), Iqn(TARGET), Lun(1)), Serial("5c4ae0d1b2f7-00"), Size(64 * 1024 * 1024)
)
