"""The file an image is given as: a local file, standard input, or what a web server sends."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from pyvmiscsi import __version__
from pyvmiscsi.errors import DownloadError, ImageError, InputError, NotFoundError

if TYPE_CHECKING:
    import requests

STDIN = "-"
CHUNK = 512 * 1024
"""How much is read at a time: one piece of what is written."""
CONNECT_SECONDS, SILENCE_SECONDS = 15.0, 60.0
"""How long a web server may take to answer, and how long it may send nothing."""


class Readable(Protocol):
    """Something with bytes: at most `length` of them a call, none at its end."""

    def read(self, length: int, /) -> bytes: ...


class Given:
    """A file as it was given: counted, and hashed where a SHA-256 was given along with it."""

    def __init__(self, name: str, file: Readable, size: int | None, *, path: Path | None, sha256: str | None) -> None:
        self.name = name
        self.size = size
        """How many bytes it has; None for a pipe, and for a server that does not say."""
        self.path = path
        """Where it is, when it is a local file that can be read again and anywhere."""
        self.read_so_far = 0
        self._file = file
        self._promised = sha256
        self._digest = None if sha256 is None else hashlib.sha256()
        self._head = b""

    @property
    def is_hashed(self) -> bool:
        """Whether a SHA-256 was given along with it, which is checked once all of it was read."""
        return self._digest is not None

    def head(self, length: int) -> bytes:
        """The first bytes, which `chunks` gives again."""
        while len(self._head) < length and (more := self._take(length - len(self._head))):
            self._head += more
        return self._head

    def tail(self, length: int) -> bytes | None:
        """The last bytes, of a local file; None for what comes only once."""
        if self.path is None or self.size is None:
            return None
        with _local(self.path) as file:
            return os.pread(file.fileno(), length, max(self.size - length, 0))

    def chunks(self) -> Iterator[bytes]:
        """All of it; ImageError at its end when it is shorter than promised, or has another SHA-256."""
        if self._head:
            yield self._head + self._take(CHUNK - len(self._head))
        while chunk := self._take(CHUNK):
            yield chunk
        self.check()

    def check(self) -> None:
        """ImageError unless what was read is all of what was promised."""
        if self.size is not None and self.read_so_far != self.size:
            raise ImageError(f"image {self.name}: {self.read_so_far} bytes came, of {self.size}: it was cut short")
        if self._digest is not None and self._digest.hexdigest() != self._promised:
            raise ImageError(
                f"image {self.name}: its SHA-256 is {self._digest.hexdigest()}, not {self._promised}",
                hint="it is that of the file as given, not of what is packed in it; nothing of it was kept",
            )

    def _take(self, length: int) -> bytes:
        try:
            chunk = self._file.read(length)
        except OSError as error:
            raise ImageError(f"image {self.name}: cannot be read: {error.strerror or error}") from error
        if self._digest is not None:
            self._digest.update(chunk)
        self.read_so_far += len(chunk)
        return chunk


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


@contextmanager
def opened(place: str, *, sha256: str | None = None) -> Iterator[Given]:
    """The file at this place; NotFoundError, DownloadError, or InputError for a SHA-256 that is none."""
    promised = None if sha256 is None else _sha256_of(sha256)
    if place == STDIN:
        yield _standard_input(promised)
    elif "://" in place:
        with _asked(place) as answer:
            yield _download(place, answer, promised)
    else:
        path = Path(place)
        with _local(path) as file:
            found = os.fstat(file.fileno())
            regular = path if stat.S_ISREG(found.st_mode) else None
            yield Given(path.name, file, found.st_size or None, path=regular, sha256=promised)


def _sha256_of(text: str) -> str:
    word = text.strip().lower()
    if len(word) != 64 or not set(word) <= set("0123456789abcdef"):
        raise InputError(f"SHA-256 {text!r}: not 64 hexadecimal digits")
    return word


def _standard_input(sha256: str | None) -> Given:
    if sys.stdin is None or sys.stdin.isatty():
        raise InputError("image -: nothing is piped into standard input")
    # Unbuffered: a thread that waits in a buffered read would hold a lock that the interpreter wants at its end.
    return Given("from standard input", io.FileIO(sys.stdin.fileno(), closefd=False), None, path=None, sha256=sha256)


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


@contextmanager
def _asked(url: str) -> Iterator[requests.Response]:
    import requests

    session = requests.Session()
    session.headers.update({"User-Agent": f"pyvmiscsi/{__version__}", "Accept-Encoding": "identity"})
    with session:
        try:
            answer = session.get(url, stream=True, timeout=(CONNECT_SECONDS, SILENCE_SECONDS))
        except requests.RequestException as error:
            raise DownloadError(f"image {url}: {_reason(error)}") from error
        with answer:
            hops = [hop.url for hop in (*answer.history, answer)]
            if url.startswith("https:") and not all(hop.startswith("https:") for hop in hops):
                raise DownloadError(f"image {url}: the server sends us on to an address without TLS: {answer.url}")
            if answer.status_code in (404, 410):
                raise NotFoundError(f"image {url}: the server has none ({answer.status_code})")
            if answer.status_code != 200:
                raise DownloadError(f"image {url}: the server answers {answer.status_code} {answer.reason}")
            yield answer


def _download(url: str, answer: requests.Response, sha256: str | None) -> Given:
    length = answer.headers.get("Content-Length", "")
    size = int(length) if length.isdecimal() else None
    name = Path(urlsplit(url).path).name or url
    return Given(name, _Body(url, answer), size, path=None, sha256=sha256)


class _Body:
    """What a web server sends, as it is sent: a `Content-Encoding` that it adds is not taken off."""

    def __init__(self, url: str, answer: requests.Response) -> None:
        self._url = url
        self._answer = answer

    def read(self, length: int, /) -> bytes:
        import urllib3

        try:
            return bytes(self._answer.raw.read(length, decode_content=False))
        except urllib3.exceptions.HTTPError as error:
            raise DownloadError(f"image {self._url}: the download broke off: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """The innermost cause: what surrounds it only says where in the library it was met."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(error) or type(error).__name__
