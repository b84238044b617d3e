"""Which site file is read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyvmiscsi import config
from pyvmiscsi.errors import ConfigError


@pytest.fixture(autouse=True)
def nobody_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No site file of the machine that runs the tests is found."""
    monkeypatch.delenv(config.VARIABLE, raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_the_order_of_the_places(tmp_path: Path) -> None:
    assert [str(place) for place in config.usual_places()] == [
        "site.toml",
        f"{tmp_path}/home/.config/pyvmiscsi/site.toml",
        "/usr/local/etc/pyvmiscsi/site.toml",
        "/etc/pyvmiscsi/site.toml",
    ]


def test_the_first_that_exists_is_used(tmp_path: Path) -> None:
    own = put(tmp_path / "home/.config/pyvmiscsi/site.toml")
    assert config.find() == own

    put(tmp_path / "here/site.toml")
    assert config.find() == Path("site.toml")


def test_a_file_that_others_may_write_must_be_named(tmp_path: Path) -> None:
    put(tmp_path / "here/site.toml").chmod(0o666)

    with pytest.raises(ConfigError, match=r"site\.toml is for everybody to write .*--site site\.toml"):
        config.find()
    assert config.find("site.toml") == Path("site.toml")


def test_a_file_of_somebody_else_must_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path / "here/site.toml")
    owner = path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    if owner == 0:  # root's files are good for everybody: make it another's
        os.chown(path, 12345, -1)

    with pytest.raises(ConfigError, match="neither to us nor to root"):
        config.find()


def test_the_environment_comes_before_the_usual_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "here/site.toml")
    monkeypatch.setenv(config.VARIABLE, "/elsewhere/site.toml")

    assert config.find() == Path("/elsewhere/site.toml")


def test_a_named_file_comes_before_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(config.VARIABLE, "/elsewhere/site.toml")

    assert config.find("mine.toml") == Path("mine.toml")


def test_a_new_file_is_written_where_it_will_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.place_for_new() == tmp_path / "home/.config/pyvmiscsi/site.toml"
    assert config.place_for_new("mine.toml") == Path("mine.toml")

    monkeypatch.setenv(config.VARIABLE, "/elsewhere/site.toml")
    assert config.place_for_new() == Path("/elsewhere/site.toml")


def test_says_where_it_looked_when_there_is_none() -> None:
    with pytest.raises(ConfigError, match=r"no site file: not in site\.toml, .*pyvmiscsi init"):
        config.find()


def test_says_when_the_named_file_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: No such file"):
        config.load(tmp_path / "none.toml")


def test_says_when_the_file_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_bytes(b"\xff")

    with pytest.raises(ConfigError, match="not UTF-8"):
        config.load(path)
