"""What an image is, by what it begins and ends with: all that is known of it before it is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from pyvmiscsi.errors import ImageError
from pyvmiscsi.images.formats import vhd
from pyvmiscsi.images.formats.headers import Header, head_of, header_of
from pyvmiscsi.images.formats.kinds import HEAD, PACKED, Foreign, Format, Kind, format_named, format_of
from pyvmiscsi.images.packed.xz import FOOTER, XzIndex
from pyvmiscsi.images.packed.zstd_frames import content_size
from pyvmiscsi.images.source.given import Given
from pyvmiscsi.units import SECTOR


@dataclass(frozen=True, slots=True)
class Found:
    """An image's format, and its disk's length in bytes, where that is told before all of it is read."""

    kind: Kind
    length: int | None
    header: Header | None = None
    """Of an image that QEMU reads."""
    has_footer: bool = False
    """A raw disk that ends as a fixed VHD does."""
    index: XzIndex | None = None
    """Of a local .xz file, which is unpacked in parts at once."""


def found(given: Given) -> Found:
    """What the image is; ImageError for what is none, is damaged, or needs another file."""
    head = given.head(HEAD)
    if not head:
        raise ImageError(f"image {given.name}: is empty")
    kind = format_of(head, given.name)
    if kind in PACKED:
        has_footer = format_named(PurePath(given.name).stem) is Foreign.VHD
        index = _xz_index(given) if kind is Format.XZ else None
        length = index.length if index else _zstd_length(given) if kind is Format.ZSTD else None
        if length is not None and has_footer:
            length = max(length - vhd.FOOTER, 0)
        return Found(kind, length, has_footer=has_footer, index=index)
    if kind is Format.RAW or (kind is Foreign.VHD and not head.startswith(vhd.MAGIC)):
        return _raw(given, kind)
    header = header_of(kind, given.head(head_of(kind)), given.name)
    return Found(kind, header.size, header)


def not_whole_sectors(name: str, length: int) -> ImageError:
    """The error for a disk of this length."""
    return ImageError(
        f"{name}: {length} bytes are not whole sectors of {SECTOR.bytes}", hint="it was cut short, or is no disk"
    )


def _xz_index(given: Given) -> XzIndex | None:
    """The index at the end of an .xz file; None where it cannot be had, or is not of the whole file."""
    footer = given.tail(FOOTER)
    size = XzIndex.size_in(footer) if footer else None
    end = given.tail(size + FOOTER) if size else None
    return XzIndex.parse(end[:-FOOTER], end[-FOOTER:], given.size or 0) if end else None


def _zstd_length(given: Given) -> int | None:
    """What is in a local .zst file, where its frames tell: whoever unpacks one holds it to what it told."""
    return content_size(given.at, given.size) if given.local is not None and given.size is not None else None


def _raw(given: Given, kind: Kind) -> Found:
    """A raw disk, or a fixed VHD, which ends like one: that can only be seen of a local file."""
    last = given.tail(vhd.FOOTER)
    has_footer = kind is Foreign.VHD if last is None else vhd.is_footer(last)
    if kind is Foreign.VHD and not has_footer:
        raise ImageError(f"image {given.name}: it is named {kind}, and is not", hint="the file is damaged, or another")
    length = given.size
    if has_footer and length is not None:
        length -= vhd.FOOTER
        if last is not None and vhd.VhdHeader.fixed(last, given.name).size != length:
            raise vhd.another_size(given.name, length)
    if length is not None and length % SECTOR.bytes:
        raise not_whole_sectors(f"image {given.name}", length)
    return Found(kind if not has_footer else Foreign.VHD, length, has_footer=has_footer)
