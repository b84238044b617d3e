"""The file an image is given as: a local file, standard input, or what a web server sends."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from pyvmiscsi.errors import ImageError, InputError, NotFoundError
from pyvmiscsi.images.source.checksum import Checksum
from pyvmiscsi.images.source.web import Download, downloaded

STDIN = "-"
CHUNK = 1024 * 1024
"""How much is read at a time: one piece of what is written."""
PACKED_CHUNK = 128 * 1024
"""The same of what is packed: it is unpacked while it is in the processor's cache."""


class Readable(Protocol):
    """Something with bytes: at most `length` of them a call, none at its end."""

    def read(self, length: int, /) -> bytes: ...


class Given:
    """A file as it was given: counted, and hashed where a checksum was given along with it."""

    def __init__(
        self, name: str, file: Readable, size: int | None, *, local: int | None, checksum: Checksum | None
    ) -> None:
        self.name = name
        self.size = size
        """How many bytes it has; None for a pipe, and for a server that does not say."""
        self.local = local
        """The descriptor of a local file: it can be read again and anywhere, and is this file whatever its path is."""
        self.read_so_far = 0
        self._file = file
        self._promised = checksum
        self._digest = None if checksum is None else checksum.begun()
        self._head = b""

    @property
    def is_hashed(self) -> bool:
        """Whether a checksum was given along with it, which is checked once all of it was read."""
        return self._digest is not None

    def head(self, length: int) -> bytes:
        """The first bytes, which `chunks` gives again."""
        while len(self._head) < length and (more := self._take(length - len(self._head))):
            self._head += more
        return self._head

    def refuse_unseen_end(self) -> None:
        """ImageError for what might be cut short, and nobody would see it: nothing tells its length, nor a checksum."""
        if isinstance(self._file, Download) and not self._file.tells_its_end and self._promised is None:
            raise ImageError(
                f"image {self.name}: its server does not tell how long it is, so that a part of it could pass for all",
                hint="--sha256 or --checksums tells one from the other",
            )

    def tail(self, length: int) -> bytes | None:
        """The last bytes, of a local file; None for what comes only once."""
        if self.local is None or self.size is None:
            return None
        return self.at(max(self.size - length, 0), length)

    def at(self, offset: int, length: int) -> bytes:
        """At most so many bytes of a local file, from `offset` on; none of what comes only once."""
        if self.local is None:
            return b""
        try:
            return os.pread(self.local, length, offset)
        except OSError as error:
            raise self._unreadable(error) from error

    def chunks(self, length: int = CHUNK) -> Iterator[bytes]:
        """All of it, `length` bytes at a time; ImageError at its end when it is cut short, or has another checksum."""
        if self._head:
            yield self._head + (self._take(length - len(self._head)) if len(self._head) < length else b"")
        while chunk := self._take(length):
            yield chunk
        self.check()

    def check(self) -> None:
        """ImageError unless what was read is all of what was promised."""
        if self.size is not None and self.read_so_far != self.size:
            raise ImageError(f"image {self.name}: {self.read_so_far} bytes came, of {self.size}: it was cut short")
        if self._promised is None or self._digest is None:
            return
        if (found := self._digest.hexdigest()) != self._promised.digest:
            raise ImageError(
                f"image {self.name}: its {self._promised.kind} is {found}, not {self._promised.digest}",
                hint="it is that of the file as given, not of what is packed in it; nothing of it was kept",
            )

    def _take(self, length: int) -> bytes:
        try:
            chunk = self._file.read(length)
        except OSError as error:
            raise self._unreadable(error) from error
        if self._digest is not None:
            self._digest.update(chunk)
        self.read_so_far += len(chunk)
        return chunk

    def _unreadable(self, error: OSError) -> ImageError:
        return ImageError(f"image {self.name}: cannot be read: {error.strerror or error}")


def place_of(text: str) -> str:
    """Where an image is, as an operation may remember it: `-`, a URL, or an absolute path.

    InputError for a URL that holds a user: it would be written into the operation's record on the nas.
    """
    if text == STDIN:
        return text
    if "://" in text:
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"image {text!r}: not a file, and not an http or https address")
        if "@" in parts.netloc:
            raise InputError(
                f"image at {parts.hostname}: its address holds a user",
                hint="put the user and password into ~/.netrc, or pipe the image in",
            )
        return text
    return str(Path(text).absolute())


def comes_once(place: str) -> bool:
    """Whether what is there cannot be had again by opening it once more: a pipe, a device."""
    return place == STDIN or ("://" not in place and not Path(place).is_file())


@contextmanager
def opened(place: str, *, sha256: str | None = None) -> Iterator[Given]:
    """The file at this place; NotFoundError, DownloadError, or InputError for a SHA-256 that is none.

    `sha256` may as well be a SHA-512, told by its length.
    """
    promised = None if sha256 is None else Checksum.parse(sha256)
    if place == STDIN:
        yield _standard_input(promised)
    elif "://" in place:
        with downloaded(place) as body:
            yield Given(Path(urlsplit(place).path).name or place, body, body.size, local=None, checksum=promised)
    else:
        path = Path(place)
        with _local(path) as file:
            found = os.fstat(file.fileno())
            regular = file.fileno() if stat.S_ISREG(found.st_mode) else None
            yield Given(path.name, file, found.st_size or None, local=regular, checksum=promised)


def _standard_input(promised: Checksum | None) -> Given:
    if sys.stdin is None or sys.stdin.isatty():
        raise InputError("image -: nothing is piped into standard input")
    # Unbuffered: a thread that waits in a buffered read would hold a lock that the interpreter wants at its end.
    return Given(
        "from standard input", io.FileIO(sys.stdin.fileno(), closefd=False), None, local=None, checksum=promised
    )


@contextmanager
def _local(path: Path) -> Iterator[io.FileIO]:
    try:
        file = io.FileIO(path)
    except FileNotFoundError:
        raise NotFoundError(f"image {path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"image {path}: a directory") from None
    except OSError as error:
        raise InputError(f"image {path}: {error.strerror}") from error
    with file:
        yield file
