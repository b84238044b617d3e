"""The configuration as a step: written whole, never over somebody else's."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.errors import AlreadyExistsError, ConflictError
from pyvmiscsi.hosts.local import LocalHost
from pyvmiscsi.model import HostRecord
from pyvmiscsi.steps.configuration import ConfigurationGone, ConfigurationWritten

TEXT = ConfText.of({"uuid": "u-1", "cpu": "2"})


@pytest.fixture
def step(tmp_path: Path) -> ConfigurationWritten:
    return ConfigurationWritten(LocalHost(HostRecord("hv1")), f"{tmp_path}/web1", "web1", TEXT)


def test_made_it_holds_and_undone_nothing_is_left(step: ConfigurationWritten, tmp_path: Path) -> None:
    assert not step.holds()
    step.make()
    assert step.holds()
    step.undo()
    assert list(tmp_path.iterdir()) == []


def test_what_an_administrator_added_is_no_difference(step: ConfigurationWritten) -> None:
    step.make()
    with Path(step.path).open("a") as conf:
        conf.write('# by hand\ndebug="yes"\n')
    assert step.holds()


def test_another_guests_configuration_is_a_conflict_and_stays(step: ConfigurationWritten) -> None:
    Path(step.directory).mkdir()
    Path(step.path).write_text('uuid="u-2"\ncpu="2"\n')
    with pytest.raises(ConflictError, match="uuid is u-2, not u-1"):
        step.holds()
    step.undo()
    assert Path(step.path).exists()


def test_making_it_never_writes_over_a_file_that_is_there(step: ConfigurationWritten) -> None:
    Path(step.directory).mkdir()
    Path(step.path).write_text('uuid="u-2"\n')
    with pytest.raises(AlreadyExistsError):
        step.make()
    assert Path(step.path).read_text() == 'uuid="u-2"\n'


def test_gone_takes_the_whole_directory_and_only_it(step: ConfigurationWritten, tmp_path: Path) -> None:
    step.make()
    (tmp_path / "web1" / "uefi-vars.fd").write_bytes(b"x")
    (tmp_path / "web10").mkdir()
    gone = ConfigurationGone(step.host, step.directory, "web1", "u-1")
    assert not gone.holds()
    gone.make()
    assert gone.holds()
    assert [path.name for path in tmp_path.iterdir()] == ["web10"]


def test_gone_leaves_the_directory_of_another_guest_of_that_name(step: ConfigurationWritten) -> None:
    step.make()
    gone = ConfigurationGone(step.host, step.directory, "web1", "u-2")
    assert gone.holds()
    assert Path(step.path).exists()


def test_undone_it_leaves_what_else_was_in_the_directory(step: ConfigurationWritten) -> None:
    log = Path(step.directory) / "vm-bhyve.log"
    log.parent.mkdir()
    log.touch()
    step.make()
    step.undo()
    assert list(Path(step.directory).iterdir()) == [log]
