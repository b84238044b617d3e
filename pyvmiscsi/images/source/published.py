"""The checksum that whoever publishes an image publishes along with it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit, urlunsplit

from pyvmiscsi.errors import ImageError, InputError, NotFoundError
from pyvmiscsi.images.source.checksum import Checksum, listed
from pyvmiscsi.images.source.given import STDIN, opened, place_of

AUTO = "auto"
_LARGEST = 4 * 1024 * 1024
_BESIDE = (".sha512", ".sha256", ".SHA512", ".SHA256", ".CHECKSUM")
_IN_THE_FOLDER = ("SHA512SUMS", "SHA256SUMS", "CHECKSUM.SHA512", "CHECKSUM.SHA256", "CHECKSUM")
"""What Debian and Ubuntu, FreeBSD, and Fedora and its kin call their lists."""


def published_checksum(place: str, where: str) -> Checksum:
    """The checksum of the image at `place` in the list at `where`, a URL or a path; `auto` looks beside the image.

    ImageError when no list has it, InputError for an image from a pipe, which has no name to look for.
    """
    if place == STDIN:
        raise InputError("image -: has no name to look for in a list of checksums", hint="--sha256 takes one")
    name = PurePosixPath(urlsplit(place).path if "://" in place else place).name
    if where != AUTO:
        found = listed(_text(place_of(where)), name)
        if found is None:
            raise ImageError(f"image {name}: {where} has no checksum of it")
        return found
    for candidate in _candidates(place, name):
        try:
            found = listed(_text(candidate), name)
        except NotFoundError:
            continue
        if found is not None:
            return found
    raise ImageError(
        f"image {name}: no checksum of it is published beside it", hint="--checksums takes a list's address"
    )


def _candidates(place: str, name: str) -> list[str]:
    leaves = [*(f"{name}{suffix}" for suffix in _BESIDE), *_IN_THE_FOLDER]
    if "://" not in place:
        return [str(Path(place).parent / leaf) for leaf in leaves]
    scheme, host, path, _, _ = urlsplit(place)
    folder = path.rpartition("/")[0]
    return [urlunsplit((scheme, host, f"{folder}/{leaf}", "", "")) for leaf in leaves]


def _text(place: str) -> str:
    """A list, which is never large."""
    with opened(place) as given:
        data = given.head(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ImageError(f"{place}: too large to be a list of checksums")
    return data.decode(errors="replace")
