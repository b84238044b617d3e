"""How large the disk in an image is, as far as its first bytes tell."""

from __future__ import annotations

from pyvmiscsi.images.formats import HEAD, Format, format_of
from pyvmiscsi.images.given import STDIN, opened
from pyvmiscsi.images.qcow2 import Qcow2Header


def length_of(place: str) -> int | None:
    """Bytes of disk; None where that is known only once all of it was read: compressed, or from standard input.

    Raises what `images.image.open_image` raises for what is no image.
    """
    if place == STDIN:
        return None
    with opened(place) as given:
        head = given.head(HEAD)
        kind = format_of(head, given.name)
        if kind is Format.QCOW2:
            return Qcow2Header.parse(head, given.name).size
        return given.size if kind is Format.RAW else None
