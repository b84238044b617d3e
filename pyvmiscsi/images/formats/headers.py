"""What QEMU is asked to read: an image whose header was looked at here, and found to need no other file. Pure."""

from __future__ import annotations

from typing import Any, Protocol

from pyvmiscsi.images.formats import vhdx, vmdk
from pyvmiscsi.images.formats.kinds import HEAD, Foreign, Kind
from pyvmiscsi.images.formats.qcow2 import Qcow2Header
from pyvmiscsi.images.formats.vdi import VdiHeader
from pyvmiscsi.images.formats.vhd import VhdHeader


class Header(Protocol):
    """What an image says of itself."""

    @property
    def size(self) -> int:
        """Bytes of disk."""

    @property
    def node(self) -> dict[str, Any]:
        """The driver by which QEMU's block layer opens it, and how; without the file."""


def head_of(kind: Kind) -> int:
    """How many first bytes `header_of` wants to see."""
    if kind is Foreign.VMDK:
        return vmdk.HEAD
    return vhdx.HEAD if kind is Foreign.VHDX else HEAD


def header_of(kind: Kind, head: bytes, name: str) -> Header:
    """What is at the beginning of an image of this kind; ImageError when it is damaged, or needs another file."""
    match kind:
        case Foreign.VMDK:
            return vmdk.VmdkHeader.parse(head, name)
        case Foreign.VHD:
            return VhdHeader.dynamic(head, name)
        case Foreign.VHDX:
            return vhdx.VhdxHeader.parse(head, name)
        case Foreign.VDI:
            return VdiHeader.parse(head, name)
        case _:
            return Qcow2Header.parse(head, name)
