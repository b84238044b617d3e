"""All guests' directories, as one call reads them."""

from __future__ import annotations

from pathlib import Path

from pyvmiscsi.bhyve.configuration import config_path
from pyvmiscsi.bhyve.configuration.config_path import guest_directories
from pyvmiscsi.hosts.local import LocalHost
from pyvmiscsi.model import HostRecord

HERE = LocalHost(HostRecord("here"))


def add(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_reads_every_guest_with_its_lock(tmp_path: Path) -> None:
    add(tmp_path / "web1/web1.conf", "# a server\ncpu=1\n  odd\n")
    add(tmp_path / "web1/run.lock", "hv1.example.net\n")
    add(tmp_path / "db1/db1.conf", 'cpu="2"')
    add(tmp_path / "empty/empty.conf", "")
    found = guest_directories(HERE, str(tmp_path))
    assert set(found) == {"web1", "db1", "empty"}
    assert found["web1"].conf.text == "# a server\ncpu=1\n  odd\n"
    assert found["web1"].locked_by == "hv1.example.net"
    assert found["db1"].conf.get("cpu") == "2"
    assert found["db1"].locked_by is None
    assert found["empty"].conf.text == ""


def test_a_lock_that_names_nobody_is_still_a_lock(tmp_path: Path) -> None:
    add(tmp_path / "web1/web1.conf", "cpu=1\n")
    add(tmp_path / "web1/run.lock", "")
    assert guest_directories(HERE, str(tmp_path))["web1"].locked_by == ""


def test_templates_and_other_files_are_no_guests(tmp_path: Path) -> None:
    add(tmp_path / ".templates/default.conf", "cpu=1\n")
    add(tmp_path / ".config/system.conf", "switch_list=public\n")
    add(tmp_path / "web1/other.conf", "cpu=1\n")
    add(tmp_path / "web1/deep/web1.conf", "cpu=1\n")
    assert guest_directories(HERE, str(tmp_path)) == {}


def test_without_the_directory_there_are_no_guests(tmp_path: Path) -> None:
    assert guest_directories(HERE, str(tmp_path / "none")) == {}


def test_a_line_that_looks_like_the_answers_own_is_no_file(tmp_path: Path) -> None:
    add(tmp_path / "web1/web1.conf", "file /vmconfig/x/x.conf\ncpu=1\n")
    assert guest_directories(HERE, str(tmp_path))["web1"].conf.pairs() == {"cpu": "1"}


def test_a_lock_that_goes_while_it_is_read_leaves_the_others(tmp_path: Path) -> None:
    for name in ("web1", "web2", "web3"):
        add(tmp_path / f"{name}/{name}.conf", "cpu=1\n")
    add(tmp_path / "web1/run.lock", "hv1\n")
    (tmp_path / "web2" / "run.lock").symlink_to(tmp_path / "gone")  # as find saw it, and nobody does any more
    add(tmp_path / "web3/run.lock", "hv3\n")
    question = config_path._QUESTION.replace("-name run.lock -type f", "-name run.lock")
    answer = HERE.script(question, str(tmp_path)).text
    found = config_path.parse_guest_directories(answer, str(tmp_path))
    assert {name: one.locked_by for name, one in found.items()} == {"web1": "hv1", "web2": None, "web3": "hv3"}
