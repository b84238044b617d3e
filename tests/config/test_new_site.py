"""A site file that did not exist."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from pyvmiscsi.config import new_site, parse_site
from pyvmiscsi.errors import AlreadyExistsError, ConfigError

TABLES: new_site.Tables = {
    "nas": {"nas1": {"url": "https://nas1", "user": "root", "api_key": "env:KEY", "fingerprint": None}},
    "hosts": {"hv1": {"address": "10.0.0.11", "port": 2222}, "here": {}},
    "datastores": {"iscsi1": {"spec": "iscsi:nas1:iqn.2005-10.x:/vm", "parent": "tank/vm", "portal": "10.0.0.10"}},
}


def test_what_was_rendered_is_read_back() -> None:
    site = parse_site(new_site.render(TABLES, default_datastore="iscsi1"), "site.toml").site

    assert (site.default_datastore, set(site.nases), set(site.hosts)) == ("iscsi1", {"nas1"}, {"hv1", "here"})
    assert site.hosts["hv1"].port == 2222
    assert site.nases["nas1"].fingerprint is None


def test_each_kind_of_table_is_introduced() -> None:
    lines = new_site.render(TABLES, default_datastore="iscsi1").splitlines()

    assert lines[0] == 'default_datastore = "iscsi1"'
    for table in ("[nas.nas1]", "[hosts.hv1]", "[datastores.iscsi1]"):
        assert lines[lines.index(table) - 2].startswith("# ")


def test_only_its_owner_reads_the_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "site.toml"

    new_site.write(path, new_site.render(TABLES, default_datastore="iscsi1"))

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_never_replaces_a_file_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text("# mine\n")
    text = new_site.render(TABLES, default_datastore="iscsi1")

    with pytest.raises(AlreadyExistsError, match="say --force"):
        new_site.write(path, text)
    assert path.read_text() == "# mine\n"

    new_site.write(path, text, force=True)
    assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


def test_never_writes_a_file_with_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"

    with pytest.raises(ConfigError, match="no datastore 'other'"):
        new_site.write(path, new_site.render(TABLES, default_datastore="other"))

    assert not path.exists()


def test_says_when_the_directory_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError, match=r"site\.toml: File exists|site\.toml: Not a directory"):
        new_site.write(tmp_path / "file" / "site.toml", "")
