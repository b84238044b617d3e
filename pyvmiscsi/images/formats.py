"""What a file is, by its first bytes. Pure.

A disk without any magic is raw, so whatever is known to be something else is refused: written to a LUN it would be a
disk that does not boot.
"""

from __future__ import annotations

from enum import StrEnum

from pyvmiscsi.errors import ImageError

HEAD = 4096
"""How many bytes tell what a file is."""


class Format(StrEnum):
    """How an image is written; all but qcow2 can be read from a pipe."""

    RAW = "raw"
    GZIP = "raw.gz"
    XZ = "raw.xz"
    ZSTD = "raw.zst"
    QCOW2 = "qcow2"


_ZSTD_SKIPPABLE = tuple(bytes((low, 0x2A, 0x4D, 0x18)) for low in range(0x50, 0x60))  # RFC 8878 section 3.1.2

_OURS = (
    (Format.GZIP, (b"\x1f\x8b\x08",)),  # RFC 1952 section 2.3.1, with the one method there is
    (Format.XZ, (b"\xfd7zXZ\x00",)),
    (Format.ZSTD, (b"\x28\xb5\x2f\xfd", *_ZSTD_SKIPPABLE)),  # RFC 8878 section 3.1.1
    (Format.QCOW2, (b"QFI\xfb",)),
)

_CONVERT = "qemu-img convert -O qcow2 makes an image of it that can be used"
_UNPACK = "unpack it first"
_OTHERS: tuple[tuple[str, int, bytes, str], ...] = (
    ("a VMware disk (VMDK)", 0, b"KDMV", _CONVERT),
    ("a VMware disk's description", 0, b"# Disk DescriptorFile", _CONVERT),
    ("a Hyper-V disk (VHDX)", 0, b"vhdxfile", _CONVERT),
    ("a Virtual PC disk (VHD)", 0, b"conectix", _CONVERT),
    ("a VirtualBox disk (VDI)", 64, b"\x7f\x10\xda\xbe", _CONVERT),
    ("a QED disk", 0, b"QED\0", _CONVERT),
    ("a bzip2 file", 0, b"BZh", _UNPACK),
    ("an lz4 file", 0, b"\x04\x22\x4d\x18", _UNPACK),
    ("a zip archive", 0, b"PK\x03\x04", _UNPACK),
    ("a 7-Zip archive", 0, b"7z\xbc\xaf\x27\x1c", _UNPACK),
    ("a RAR archive", 0, b"Rar!\x1a\x07", _UNPACK),
    ("a tar archive", 257, b"ustar", _UNPACK),
    ("a vm-bhyve image (zfs send)", 8, b"\xac\xcb\xba\xf5\x02\0\0\0", "zfs receive it on the nas"),
)

_SUFFIXES = {
    ".gz": Format.GZIP,
    ".xz": Format.XZ,
    ".zst": Format.ZSTD,
    ".zstd": Format.ZSTD,
    ".qcow2": Format.QCOW2,
}


def format_of(head: bytes, name: str) -> Format:
    """The format that a file's first `HEAD` bytes show.

    ImageError when they show something that is no disk image for us, or when the name promises another format.
    """
    found = next((kind for kind, magics in _OURS if head.startswith(magics)), Format.RAW)
    if found is Format.RAW:
        _refuse_other(head, name)
    promised = format_named(name)
    if promised not in (Format.RAW, found):
        raise ImageError(f"image {name}: it is named {promised}, and is not", hint="the file is damaged, or another")
    return found


def refuse_packed(head: bytes, name: str) -> None:
    """ImageError when what came out of a compressed file is anything but a raw disk."""
    found = next((kind for kind, magics in _OURS if head.startswith(magics)), Format.RAW)
    if found is not Format.RAW:
        raise ImageError(f"image {name}: inside it is {found}, not a raw disk", hint=_UNPACK)
    _refuse_other(head, name)


def format_named(name: str) -> Format:
    """The format that a file's name promises: raw for a name that says nothing."""
    return next((kind for suffix, kind in _SUFFIXES.items() if name.lower().endswith(suffix)), Format.RAW)


def _refuse_other(head: bytes, name: str) -> None:
    if head.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
        raise ImageError(f"image {name}: it is a web page", hint="is the address that of the image itself?")
    for what, at, magic, hint in _OTHERS:
        if head[at : at + len(magic)] == magic:
            raise ImageError(f"image {name}: it is {what}, not a raw disk", hint=hint)
