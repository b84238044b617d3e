"""Installation media where they come from: a web server, or a file of this machine; unpacked on their way."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from pyvmiscsi.errors import ImageError, InputError, NotFoundError
from pyvmiscsi.images.formats.kinds import HEAD, PACKED, Format, format_named, format_of
from pyvmiscsi.images.packed.unpacking import unpacked
from pyvmiscsi.images.source.checksum import Checksum
from pyvmiscsi.images.source.given import Given, opened
from pyvmiscsi.images.source.web import downloaded

_DESCRIPTOR, _LABELS = 0x8001, (b"CD001", b"BEA01")
"""Where a CD says what it is, and how: ISO 9660 (ECMA-119 section 8.1), or UDF alone (ECMA-167 part 2, section 9.1)."""


class Medium(Protocol):
    """`size` is None where nobody knows it, `identity` where nothing tells it from another of its name."""

    @property
    def size(self) -> int | None: ...

    @property
    def identity(self) -> str | None: ...

    def skip(self, length: int) -> None:
        """Go on behind so many bytes."""

    def read(self, length: int, /) -> bytes:
        """At most so many bytes, none at the end."""


def is_packed(place: str) -> bool:
    """Whether its name says that it is a .gz, .xz or .zst."""
    return format_named(place.partition("?")[0] if "://" in place else place) in PACKED


@contextmanager
def opened_medium(place: str, checksum: Checksum | None) -> Iterator[Medium]:
    """What is at this URL or path; NotFoundError, InputError, DownloadError.

    One that is packed, by its name, has the checksum checked at its end, and begins anew whenever it is opened.
    """
    if is_packed(place):
        with opened(place, sha256=checksum.digest if checksum else None) as given:
            yield _Packed(given)
    elif "://" in place:
        with downloaded(place) as download:
            yield download
    else:
        with _local(place) as file:
            yield _LocalFile(place, file)


def refuse_no_medium(head: bytes, name: str) -> None:
    """ImageError for what is no CD although it is called one, for a web page, and for disks that only QEMU reads."""
    if not head:
        raise ImageError(f"ISO {name}: it is empty")
    found = format_of(head[:HEAD], name)
    if found is not Format.RAW:
        raise ImageError(f"ISO {name}: it is {found}", hint="pyvmiscsi image import makes an image of it")
    if name.lower().endswith(".iso") and not head[_DESCRIPTOR:].startswith(_LABELS):
        raise ImageError(f"ISO {name}: not a CD's image", hint="what is a disk's must not be called .iso")


class _LocalFile:
    """A file of this machine. Another one that takes its name has another identity."""

    def __init__(self, place: str, file: io.FileIO) -> None:
        found = os.fstat(file.fileno())
        self._place, self._file = place, file
        self.size: int | None = found.st_size
        self.identity: str | None = f"{found.st_dev}:{found.st_ino}:{found.st_mtime_ns}"

    def skip(self, length: int) -> None:
        self._file.seek(length, os.SEEK_CUR)

    def read(self, length: int, /) -> bytes:
        try:
            return self._file.read(length)
        except OSError as error:
            raise InputError(f"ISO {self._place}: {error.strerror}") from error


class _Packed:
    """What is in a .gz, .xz or .zst: how much, nobody knows before its end."""

    size: int | None = None
    identity: str | None = None

    def __init__(self, given: Given) -> None:
        kind = format_of(given.head(HEAD), given.name)
        self._chunks = unpacked(given.chunks(), kind, given.name)
        self._left = b""

    def skip(self, length: int) -> None:
        while length:
            length -= len(self.read(length))

    def read(self, length: int, /) -> bytes:
        self._left = self._left or next(self._chunks, b"")
        piece, self._left = self._left[:length], self._left[length:]
        return piece


@contextmanager
def _local(place: str) -> Iterator[io.FileIO]:
    try:
        file = io.FileIO(place)
    except FileNotFoundError:
        raise NotFoundError(f"ISO {place}: no such file here") from None
    except OSError as error:
        raise InputError(f"ISO {place}: {error.strerror}") from error
    with file:
        yield file
