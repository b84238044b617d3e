"""A guest's life, from cassettes alone: no lab, no network."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest
from vcr.errors import CannotOverwriteExistingCassetteException

from tests.cassettes.flow import guest_life, nothing_by_chance
from tests.cassettes.frames import load_frames, save_frames
from tests.cassettes.record import CASSETTES, RECORDED
from tests.cassettes.redaction import PLACEHOLDER, secrets_in
from tests.cassettes.stage import FRAMES, header_of, replaying

DIRECTORIES = [CASSETTES / f"{dialect}-{profile}" for dialect, profile in RECORDED]


@pytest.fixture(params=DIRECTORIES, ids=lambda path: path.name)
def cassette(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    def no_network(*_: object, **__: object) -> None:
        raise AssertionError("a replay reaches for the network")

    monkeypatch.setattr(socket, "create_connection", no_network)
    monkeypatch.setattr(socket.socket, "connect", no_network)
    nothing_by_chance(monkeypatch)
    path: Path = request.param
    return path


def test_the_life_of_a_guest_is_as_it_was_recorded(cassette: Path) -> None:
    with replaying(cassette) as site:
        guest_life(site)


def test_it_says_where_it_was_recorded(cassette: Path) -> None:
    header = header_of(cassette)

    assert header["recorded"] == "lab"
    assert f"{header['dialect']}-{header['profile']}" == cassette.name
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", header["date"])


def test_it_holds_no_secret(cassette: Path) -> None:
    for path in cassette.iterdir():
        assert secrets_in(path.read_text()) == []


def test_what_is_left_over_is_an_error(cassette: Path) -> None:
    with pytest.raises(AssertionError, match="never asked"), replaying(cassette) as site:
        site.datastore("iscsi1").records()


def test_what_was_not_recorded_is_an_error(cassette: Path) -> None:
    with pytest.raises((AssertionError, CannotOverwriteExistingCassetteException)), replaying(cassette) as site:
        site.datastore("iscsi1").guest("another").exists()


@pytest.mark.parametrize(
    "text",
    [
        '{"secret": "twelve2chars"}',
        'body: \'{"peersecret": "twelve2chars"}\'',
        '"body": "{\\"secret\\": \\"twelve2chars\\"}"',
        "Authorization: Basic cm9vdDpyb290",
        "1-" + "x" * 64,
    ],
)
def test_a_secret_would_be_found(text: str) -> None:
    assert secrets_in(text)


def test_what_was_redacted_is_not_taken_for_a_secret() -> None:
    assert secrets_in(json.dumps({"secret": PLACEHOLDER, "peersecret": ""})) == []


def test_frames_are_kept_as_they_were(tmp_path: Path) -> None:
    header, tape = load_frames(CASSETTES / "jsonrpc-25.10" / FRAMES)

    save_frames(tmp_path / FRAMES, header, tape)

    assert (tmp_path / FRAMES).read_text() == (CASSETTES / "jsonrpc-25.10" / FRAMES).read_text()
