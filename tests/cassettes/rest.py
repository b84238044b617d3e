"""REST v2.0 traffic, recorded and replayed by vcrpy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import vcr
from vcr.persisters.filesystem import FilesystemPersister
from vcr.serializers import yamlserializer

from pyvmiscsi.nas.truenas import rest2
from tests.cassettes.redaction import KEPT_HEADERS, Redactor

NOWHERE = "https://nas1.example.net"
"""The address that stands in every cassette, whoever was asked."""


@contextmanager
def recording(path: Path, redactor: Redactor) -> Iterator[None]:
    """Everything said over HTTP in this block goes into the cassette too."""
    path.unlink(missing_ok=True)
    with _one_at_a_time(), _recorder(redactor).use_cassette(str(path), record_mode="all"):
        yield


@contextmanager
def replaying(path: Path) -> Iterator[None]:
    """HTTP is answered from the cassette, each answer once; what is not in it, and what is left over, is an error."""
    recorder = _recorder(Redactor())
    with (
        _one_at_a_time(),
        recorder.use_cassette(str(path), record_mode="none", allow_playback_repeats=False) as cassette,
    ):
        yield
    counts = [cassette.play_counts[number] for number in range(len(cassette.requests))]
    left = [request.path for request, count in zip(cassette.requests, counts, strict=True) if count == 0]
    assert not left, f"recorded, and never asked: {left}"


def asked_in(path: Path) -> set[str]:
    """Every different request of a cassette."""
    requests, _ = FilesystemPersister.load_cassette(path, yamlserializer)
    return {f"{request.method} {request.path} {request.body or b''!r}" for request in requests}


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """vcrpy takes its patches away for a moment whenever a connection is made: two threads would meet in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rest2, "AT_ONCE", 1)
        yield


def _recorder(redactor: Redactor) -> Any:
    def clean_request(request: Any) -> Any:
        request.uri = NOWHERE + urlsplit(request.uri).path
        request.headers = {name: value for name, value in request.headers.items() if name.lower() in KEPT_HEADERS}
        request.body = redactor.body(request.body).encode() or None
        return request

    def clean_answer(answer: Any) -> Any:
        headers = {name: value for name, value in answer["headers"].items() if name.lower() in KEPT_HEADERS}
        body = answer["body"]["string"]
        return {**answer, "headers": headers, "body": {"string": redactor.body(body).encode() if body else b""}}

    recorder = vcr.VCR(
        match_on=["method", "path", "canonical_body"],
        before_record_request=clean_request,
        before_record_response=clean_answer,
        decode_compressed_response=True,
    )
    recorder.register_matcher("canonical_body", _same_body)
    return recorder


def _same_body(asked: Any, recorded: Any) -> None:
    assert (asked.body or b"") == (recorded.body or b""), "another body"
