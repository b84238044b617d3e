"""What a file is, by its first bytes. Pure.

A disk without any magic is raw, so whatever is known to be something else is refused: written to a LUN it would be a
disk that does not boot.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from pyvmiscsi.errors import ImageError
from pyvmiscsi.images.formats import vdi, vhd

HEAD = 4096
"""How many bytes tell what a file is."""


class Format(StrEnum):
    """How an image is written, and can be read."""

    RAW = "raw"
    GZIP = "raw.gz"
    XZ = "raw.xz"
    ZSTD = "raw.zst"
    QCOW2 = "qcow2"


class Foreign(StrEnum):
    """How others write images, which can be read."""

    VMDK = "vmdk"
    VHD = "vhd"
    VHDX = "vhdx"
    VDI = "vdi"


Kind: TypeAlias = Format | Foreign

PACKED = (Format.GZIP, Format.XZ, Format.ZSTD)

_ZSTD_SKIPPABLE = tuple(bytes((low, 0x2A, 0x4D, 0x18)) for low in range(0x50, 0x60))  # RFC 8878 section 3.1.2

_READ: tuple[tuple[Kind, int, tuple[bytes, ...]], ...] = (
    (Format.GZIP, 0, (b"\x1f\x8b\x08",)),  # RFC 1952 section 2.3.1, with the one method there is
    (Format.XZ, 0, (b"\xfd7zXZ\x00",)),
    (Format.ZSTD, 0, (b"\x28\xb5\x2f\xfd", *_ZSTD_SKIPPABLE)),  # RFC 8878 section 3.1.1
    (Format.QCOW2, 0, (b"QFI\xfb",)),
    (Foreign.VMDK, 0, (b"KDMV",)),
    (Foreign.VHD, 0, (vhd.MAGIC,)),
    (Foreign.VHDX, 0, (b"vhdxfile",)),
    (Foreign.VDI, vdi.MAGIC_AT, (vdi.MAGIC,)),
)

_CONVERT = "qemu-img convert -O qcow2 makes an image of it that can be used"
_UNPACK = "unpack it first"
_OTHERS: tuple[tuple[str, int, bytes, str], ...] = (
    ("a VMware disk's description", 0, b"# Disk DescriptorFile", _CONVERT),
    ("a VMware disk of old", 0, b"COWD", _CONVERT),
    ("a Parallels disk", 0, b"WithoutFreeSpace", _CONVERT),
    ("a Parallels disk", 0, b"WithouFreSpacExt", _CONVERT),
    ("a QED disk", 0, b"QED\0", _CONVERT),
    ("a bzip2 file", 0, b"BZh", _UNPACK),
    ("an lz4 file", 0, b"\x04\x22\x4d\x18", _UNPACK),
    ("a zip archive", 0, b"PK\x03\x04", _UNPACK),
    ("a 7-Zip archive", 0, b"7z\xbc\xaf\x27\x1c", _UNPACK),
    ("a RAR archive", 0, b"Rar!\x1a\x07", _UNPACK),
    ("a tar archive", 257, b"ustar", _UNPACK),
    ("a vm-bhyve image (zfs send)", 8, b"\xac\xcb\xba\xf5\x02\0\0\0", "zfs receive it on the nas"),
)

_SUFFIXES: dict[str, Kind] = {
    ".gz": Format.GZIP,
    ".xz": Format.XZ,
    ".zst": Format.ZSTD,
    ".zstd": Format.ZSTD,
    ".qcow2": Format.QCOW2,
    ".vmdk": Foreign.VMDK,
    ".vhd": Foreign.VHD,
    ".vhdx": Foreign.VHDX,
    ".vdi": Foreign.VDI,
}


def format_of(head: bytes, name: str) -> Kind:
    """The format that a file's first `HEAD` bytes show; VHD for what its name promises to be one, as a fixed one begins
    like a raw disk.

    ImageError when they show something that is no disk image for us, or when the name promises another format.
    """
    found, promised = _shown(head), format_named(name)
    if found is Format.RAW:
        _refuse_other(head, name)
        if promised is Foreign.VHD:
            return promised
    if promised not in (Format.RAW, found):
        raise ImageError(f"image {name}: it is named {promised}, and is not", hint="the file is damaged, or another")
    return found


def refuse_packed(head: bytes, name: str) -> None:
    """ImageError when what came out of a compressed file is anything but a raw disk."""
    found = _shown(head)
    if found is not Format.RAW:
        raise ImageError(f"image {name}: inside it is {found}, not a raw disk", hint=_UNPACK)
    _refuse_other(head, name)


def format_named(name: str) -> Kind:
    """The format that a file's name promises: raw for a name that says nothing."""
    return next((kind for suffix, kind in _SUFFIXES.items() if name.lower().endswith(suffix)), Format.RAW)


def _shown(head: bytes) -> Kind:
    return next((kind for kind, at, magics in _READ if head[at:].startswith(magics)), Format.RAW)


def _refuse_other(head: bytes, name: str) -> None:
    if head.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
        raise ImageError(f"image {name}: it is a web page", hint="is the address that of the image itself?")
    for what, at, magic, hint in _OTHERS:
        if head[at : at + len(magic)] == magic:
            raise ImageError(f"image {name}: it is {what}, not a raw disk", hint=hint)
