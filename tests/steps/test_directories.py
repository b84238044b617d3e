"""A guest's directory moved, cut short, and taken back."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from pyvmiscsi.errors import AlreadyExistsError, BusyError, ConflictError, NotFoundError
from pyvmiscsi.hosts.local import LocalHost
from pyvmiscsi.model import HostRecord
from pyvmiscsi.steps.directories import DirectoryGone, DirectoryMoved, GuestDirectory

UUID1, UUID2 = UUID(int=1), UUID(int=2)


@pytest.fixture
def web1(tmp_path: Path) -> Path:
    directory = tmp_path / "web1"
    (directory / "snapshots").mkdir(parents=True)
    (directory / "web1.conf").write_text(f'uuid="{UUID1}"\n')
    (directory / "snapshots" / "monday.conf").write_text("then")
    return directory


def move(root: Path, new: str = "web2") -> DirectoryMoved:
    old, there = GuestDirectory(f"{root}/web1", "web1"), GuestDirectory(f"{root}/{new}", "web2")
    return DirectoryMoved(LocalHost(HostRecord("hv1")), old, there, UUID1)


def test_all_that_is_in_it_moves_and_comes_back(web1: Path, tmp_path: Path) -> None:
    step = move(tmp_path)
    assert not step.holds()
    step.make()
    assert step.holds()
    assert not web1.exists()
    assert (tmp_path / "web2" / "snapshots" / "monday.conf").read_text() == "then"
    step.make()
    step.undo()
    assert not step.holds()
    assert sorted(path.name for path in web1.iterdir()) == ["snapshots", "web1.conf"]
    step.undo()
    assert web1.exists()


def test_cut_short_between_directory_and_file_it_goes_on_or_back(web1: Path, tmp_path: Path) -> None:
    step = move(tmp_path)
    web1.rename(tmp_path / "web2")
    assert not step.holds()
    step.undo()
    assert (web1 / "web1.conf").exists()
    web1.rename(tmp_path / "web2")
    step.make()
    assert step.holds()


def test_a_directory_in_the_trash_leaves_no_trash_behind(web1: Path, tmp_path: Path) -> None:
    step = move(tmp_path, ".trash/web1-00000000")
    step.make()
    assert (tmp_path / ".trash" / "web1-00000000" / "web2.conf").exists()
    step.undo()
    assert (web1 / "web1.conf").exists()
    assert not (tmp_path / ".trash").exists()


def test_what_is_there_already_is_left_alone(web1: Path, tmp_path: Path) -> None:
    (tmp_path / "web2").mkdir()
    with pytest.raises(ConflictError, match="web2"):
        move(tmp_path).make()
    assert list((tmp_path / "web2").iterdir()) == []
    (tmp_path / "web2" / "web2.conf").write_text(f'uuid="{UUID2}"\n')
    with pytest.raises(AlreadyExistsError):
        move(tmp_path).holds()
    move(tmp_path).undo()
    assert (web1 / "web1.conf").exists()


def test_a_guest_that_was_started_meanwhile_stays_where_it_is(web1: Path, tmp_path: Path) -> None:
    (web1 / "run.lock").write_text("hv1\n")
    with pytest.raises(BusyError, match="started"):
        move(tmp_path).make()
    assert (web1 / "web1.conf").exists()


def test_a_directory_that_is_nowhere_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="web1"):
        move(tmp_path).make()


def test_another_guests_directory_is_not_removed(web1: Path) -> None:
    host, there = LocalHost(HostRecord("hv1")), GuestDirectory(str(web1), "web1")
    assert DirectoryGone(host, there, UUID2).holds()
    mine = DirectoryGone(host, there, UUID1)
    assert not mine.holds()
    mine.make()
    assert mine.holds()
    assert not web1.exists()
