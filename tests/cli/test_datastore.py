"""`pyvmiscsi datastore`: words that become a change of the site file, and one line for each that cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.app import run

SITE = """\
# Ours.
[nas.nas1]
url = "https://nas1.example.net"
user = "root"
api_key = "env:KEY"

[datastores.iscsi1]
spec = "iscsi:nas1:iqn.2005-10.org.freenas.ctl:/vmconfig"
parent = "tank/vm"
portal = "10.0.0.10"
"""
SPEC = "iscsi:nas1:iqn.2005-10.org.example.flash:/flash"
ADD = ("add", "flash", SPEC, "--parent", "tank/flash", "--no-check")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "site.toml"
    path.write_text(SITE)
    return path


def datastore(path: Path, *words: str) -> int:
    return run(["datastore", *words, "--site", str(path)])


def test_adds_one_and_says_where(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert datastore(path, *ADD, "--lun", "1", "--layout", "flat") == 0

    assert capsys.readouterr().out == f"{path}: [datastores.flash]\n"
    assert path.read_text() == SITE + (
        f'\n[datastores.flash]\nspec = "{SPEC}"\nparent = "tank/flash"\nportal = "10.0.0.10:3260"\n'
        'lun = 1\nlayout = "flat"\n'
    )
    assert datastore(path, *ADD, "--lun", "1", "--layout", "flat") == 0
    assert capsys.readouterr().out == "all was so already\n"


def test_answers_in_json(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert datastore(path, *ADD, "--json") == 0
    assert json.loads(capsys.readouterr().out) == [
        {"datastore": "flash", "file": str(path), "done": [f"{path}: [datastores.flash]"]}
    ]


def test_shows_what_it_would_write(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert datastore(path, *ADD, "--dry-run") == 0
    assert capsys.readouterr().out.startswith(f'[datastores.flash]\nspec = "{SPEC}"\n')
    assert path.read_text() == SITE


def test_another_default_and_back_to_what_it_was(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [datastore(path, *ADD), datastore(path, "default", "flash")] == [0, 0]
    assert datastore(path, "list") == 0
    assert capsys.readouterr().out.splitlines()[-2].startswith("flash (default)")

    assert datastore(path, "remove", "flash", "--force") == 73
    assert [datastore(path, "default", "iscsi1"), datastore(path, "remove", "flash", "--force")] == [0, 0]
    assert path.read_text() == f'default_datastore = "iscsi1"\n\n{SITE}'


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("add",), 64, "NAME and SPEC are needed (or --from-host, for those that a host's vm-bhyve has)"),
        (("add", "flash", SPEC), 64, "--parent is needed: the dataset below which volumes go, as in --parent tank/vm"),
        (("add", "flash", SPEC, "--from-host", "hv1"), 64, "SPEC and --from-host: one of them says where"),
        (("add", "flash", SPEC, "--parent", "tank/flash", "--lun", "99999"), 64, "LUN 99999: not between 0 and 16382"),
        (
            ("add", "flash", SPEC, "--parent", "tank/vm/x", "--no-check"),
            78,
            "tank/vm/x overlaps tank/vm on",
        ),
        (("add", "flash", SPEC.replace("nas1", "nas7"), "--parent", "tank/x"), 66, "nas nas7: not in"),
        (
            ("add", "iscsi1", SPEC, "--parent", "tank/x", "--no-check"),
            73,
            "basename is iqn.2005-10.org.freenas.ctl, not",
        ),
        (("remove", "none"), 66, "datastore none: not in"),
        (("default", "none"), 66, "datastore none: not in"),
        (("list", "--host", "hv9"), 66, "host hv9: not in the site (known: none)"),
    ],
)
def test_bad_input_gets_one_line_and_changes_nothing(
    path: Path, words: tuple[str, ...], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert datastore(path, *words) == status

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert said in lines[0]
    assert path.read_text() == SITE


def test_a_spec_that_is_none_is_refused_with_its_form(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert datastore(path, "add", "flash", "iscsi:nas1", "--parent", "tank/x") == 64
    assert "write iscsi:<nas>:<iqn basename>[:<config path>]" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["shelf"], ["shelf", "/shelf", "--remove"]])
def test_a_store_of_media_is_either_told_or_forgotten(
    path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert datastore(path, "iso", *words) == 64
    assert capsys.readouterr().err == "pyvmiscsi: PATH and --remove: one of them\n"
