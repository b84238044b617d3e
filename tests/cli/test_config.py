"""`pyvmiscsi config`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.app import run

SITE = """\
[nas.nas1]
url = "https://nas1.example.net"
user = "root"
api_key = "file:nas1.key"
"""


@pytest.fixture
def site(tmp_path: Path) -> str:
    path = tmp_path / "site.toml"
    path.write_text(SITE)
    (tmp_path / "nas1.key").write_text("1-hunter2\n")
    return str(path)


def test_shows_settings_with_their_origin(site: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "show", "--origin", "--site", site]) == 0

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["nas.nas1.url", "https://nas1.example.net", f"{site}:2"] in lines
    assert ["nas.nas1.verify", "yes", "default"] in lines


def test_shows_of_a_secret_only_where_it_is_kept(site: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "show", "--site", site]) == 0

    out = capsys.readouterr().out
    assert "file:nas1.key" in out
    assert "hunter2" not in out


def test_shows_settings_in_json(site: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "show", "--json", "--site", site]) == 0

    settings = json.loads(capsys.readouterr().out)
    assert {"key": "nas.nas1.user", "value": "root", "origin": f"{site}:3"} in settings


def test_checks_a_file(site: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "check", "--site", site]) == 0
    assert capsys.readouterr().out == f"{site}: no mistakes\n"


def test_tells_every_mistake(site: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(site).write_text(SITE.replace("url", "uri").replace('"root"', "3"))

    assert run(["config", "check", "--site", site]) == 78

    assert capsys.readouterr().err.splitlines() == [
        f"pyvmiscsi: {site}: 3 mistakes",
        f"{site}:1: [nas.nas1]: url is missing",
        f"{site}:2: [nas.nas1] uri: no such key, did you mean 'url'?",
        f"{site}:3: [nas.nas1] user: must be a text",
    ]


def test_finds_the_file_by_the_environment(
    site: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYVMISCSI_SITE", site)

    assert run(["config", "check"]) == 0
    assert site in capsys.readouterr().out
