"""What a web server sends: a download that breaks off goes on where it was, if it is still the same file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from pyvmiscsi import __version__
from pyvmiscsi.errors import DeadlineError, DownloadError, NotFoundError
from pyvmiscsi.waiting import backoff, wait_for

if TYPE_CHECKING:
    import requests

CONNECT_SECONDS, SILENCE_SECONDS = 15.0, 60.0
"""How long a web server may take to answer, and how long it may send nothing."""
GO_ON_SECONDS = 120.0
"""How long a server may be away in the middle of a download."""
_MOST_BREAKS = 50
"""How often one download may break off."""

_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@contextmanager
def downloaded(url: str) -> Iterator[Download]:
    """What is at this address; NotFoundError, or DownloadError, also for a way there that loses its TLS."""
    import requests

    session = requests.Session()
    session.headers.update({"User-Agent": f"pyvmiscsi/{__version__}", "Accept-Encoding": "identity"})
    with session:
        download = Download(url, session)
        try:
            yield download
        finally:
            download.close()


class Download:
    """The bytes that a server sends, as it sends them: a `Content-Encoding` that it adds is not taken off."""

    def __init__(self, url: str, session: requests.Session) -> None:
        self._url = url
        self._session = session
        self._answer = self._asked({})
        _refuse_status(url, self._answer, 200)
        length = self._answer.headers.get("Content-Length", "")
        self.size = int(length) if length.isdecimal() else None
        """How many bytes there are, where the server says it."""
        self.tells_its_end = self.size is not None or "chunked" in self._answer.headers.get("Transfer-Encoding", "")
        """Whether all of it can be told from a part of it: else it ends where the connection does."""
        self.identity = _validator(self._answer.headers)
        """What tells this file from another that may be at this address one day; None where the server does not."""
        self._at = self._breaks = 0

    def close(self) -> None:
        self._answer.close()

    def skip(self, length: int) -> None:
        """Go on behind so many bytes, without having them sent; DownloadError where the server cannot."""
        self._at += length
        self._go_on(None)

    def read(self, length: int, /) -> bytes:
        """At most so many bytes, none at the end; DownloadError when it broke off, and nothing more can be had."""
        import urllib3

        while True:
            try:
                data = bytes(self._answer.raw.read(length, decode_content=False))
            except (urllib3.exceptions.HTTPError, OSError) as error:
                self._go_on(error)
                continue
            if not data and length and self.size is not None and self._at < self.size:
                self._go_on(None)
                continue
            self._at += len(data)
            return data

    def _go_on(self, error: Exception | None) -> None:
        """Ask for the rest of the same file (RFC 9110 sections 13.1.5 and 14), until the server has it again."""
        broke = f"image {self._url}: the download broke off after {self._at} bytes"
        if error is not None:
            broke += f" ({reason(error)})"
        self._breaks += 1
        if self.identity is None:
            raise DownloadError(f"{broke}, and its server does not tell one file from the next") from error
        if self._breaks > _MOST_BREAKS:
            raise DownloadError(f"{broke}, not for the first time: {self._breaks} times") from error
        self._answer.close()
        headers = {"Range": f"bytes={self._at}-", "If-Range": self.identity}
        try:
            self._answer = wait_for(
                lambda: self._asked_again(headers), what=broke, deadline=GO_ON_SECONDS, pauses=backoff(0.5, 2.0, 8.0)
            )
        except DeadlineError:
            raise DownloadError(f"{broke}, and nothing more came for {GO_ON_SECONDS:g} s") from error
        if self._answer.status_code == 200:
            raise DownloadError(f"{broke}; its server does not go on there, or has another file now") from error
        _refuse_status(self._url, self._answer, 206)
        found = _RANGE.fullmatch(self._answer.headers.get("Content-Range", ""))
        if not found or int(found[1]) != self._at or (self.size and found[2] not in ("*", str(self.size))):
            raise DownloadError(f"{broke}; its server then sends something else") from error

    def _asked_again(self, headers: dict[str, str]) -> requests.Response | None:
        """The server's answer; None while it has none, or none but that it is out of order."""
        try:
            answer = self._asked(headers)
        except DownloadError:
            return None
        if answer.status_code >= 500:
            answer.close()
            return None
        return answer

    def _asked(self, headers: dict[str, str]) -> requests.Response:
        import requests

        url = self._url
        try:
            answer = self._session.get(url, headers=headers, stream=True, timeout=(CONNECT_SECONDS, SILENCE_SECONDS))
        except requests.RequestException as error:
            raise DownloadError(f"image {url}: {reason(error)}") from error
        hops = [hop.url for hop in (*answer.history, answer)]
        if url.startswith("https:") and not all(hop.startswith("https:") for hop in hops):
            answer.close()
            raise DownloadError(f"image {url}: the server sends us on to an address without TLS: {answer.url}")
        return answer


def reason(error: BaseException) -> str:
    """The innermost cause: what surrounds it only says where in the library it was met."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(error) or type(error).__name__


def _refuse_status(url: str, answer: requests.Response, wanted: int) -> None:
    status = answer.status_code
    if status == wanted:
        return
    answer.close()
    if status in (404, 410):
        raise NotFoundError(f"image {url}: the server has none ({status})")
    raise DownloadError(f"image {url}: the server answers {status} {answer.reason}")


def _validator(headers: Mapping[str, str]) -> str | None:
    """What tells this file from another at the same address: a strong entity tag, or when it was last changed.

    Within one second it may have been changed twice: such a time tells nothing (RFC 9110 section 8.8.2.2).
    """
    from email.utils import parsedate_to_datetime

    tag, changed = headers.get("ETag", ""), headers.get("Last-Modified")
    if tag.startswith('"') or changed is None:
        return tag if tag.startswith('"') else None
    try:
        age = parsedate_to_datetime(headers.get("Date", "")) - parsedate_to_datetime(changed)
    except (TypeError, ValueError):  # no date; one with a time zone and one without
        return None
    return changed if age >= timedelta(seconds=1) else None
