"""How large the disk in an image is, and how it is laid out, before it is read."""

from __future__ import annotations

from pathlib import Path

from pyvmiscsi.images.formats.kinds import Foreign, Format
from pyvmiscsi.images.formats.layout import HEAD, layout_of
from pyvmiscsi.images.found import found
from pyvmiscsi.images.image import open_image
from pyvmiscsi.images.source.given import STDIN, opened
from pyvmiscsi.plan.step import Progress, silent

_PIECE = 1024 * 1024


def length_of(place: str) -> int | None:
    """Bytes of disk; None where that is known only once all of it was read: compressed, or from standard input.

    Raises what `images.image.open_image` raises for what is no image.
    """
    if place == STDIN:
        return None
    with opened(place) as given:
        return found(given).length


def layout_in(place: str) -> str | None:
    """What `images.layout.layout_of` tells of a raw disk; None for any other, and from standard input."""
    if place == STDIN:
        return None
    with opened(place) as given:
        return layout_of(given.head(HEAD)) if found(given).kind in (Format.RAW, Foreign.VHD) else None


def measured_length(place: str, progress: Progress = silent) -> int | None:
    """Bytes of disk in a compressed file, by unpacking all of it; None for what is no file, and may come only once.

    Neither gzip nor xz tells it at the beginning, and gzip counts in 32 bits only (RFC 1952 section 2.3.1).
    """
    if not Path(place).is_file():
        return None
    length = 0
    with open_image(place) as image:
        for piece in image.pieces(_PIECE):
            length += len(piece)
            progress(image.done, image.total)
    return length
