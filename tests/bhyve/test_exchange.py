"""The script that puts a file in place of the one that was read, run by this machine's own sh."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyvmiscsi.bhyve.configuration.conf_file import change_conf, read_conf, replace_conf
from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.exchange import exchange_file
from pyvmiscsi.errors import BusyError, CommandError, ConflictError, NotFoundError
from pyvmiscsi.hosts.local import LocalHost
from pyvmiscsi.model import HostRecord
from pyvmiscsi.ports import Host
from tests.fakes.quick_host import QuickHost, exchange_without_lockf

CONF = ConfText('cpu="1"\n')


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    exchange_without_lockf(monkeypatch)
    return LocalHost(HostRecord("hv1"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "web1.conf"
    made.write_bytes(CONF.as_bytes())
    return made


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o7777


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o664, 0o440])
def test_a_file_keeps_its_mode(host: Host, path: Path, mode: int) -> None:
    path.chmod(mode)
    assert replace_conf(host, str(path), CONF, CONF.changed({"cpu": "2"}))
    assert mode_of(path) == mode
    assert path.read_text() == 'cpu="2"\n'
    assert [one.name for one in path.parent.iterdir()] == ["web1.conf"]


def test_a_file_keeps_its_owner_and_group(host: Host, path: Path) -> None:
    """Any, where these tests run as root, as on a hypervisor; else one of the user's own groups."""
    owner = (1234, 4321) if os.geteuid() == 0 else (os.getuid(), os.getgroups()[-1])
    os.chown(path, *owner)
    path.chmod(0o664)
    assert replace_conf(host, str(path), CONF, CONF.changed({"cpu": "2"}))
    found = path.stat()
    assert ((found.st_uid, found.st_gid), mode_of(path)) == (owner, 0o664)


@pytest.mark.parametrize(("mode", "then"), [(0o644, 0o640), (0o666, 0o660), (0o600, 0o600), (0o640, 0o640)])
def test_others_may_read_no_file_that_has_a_password_now(host: Host, path: Path, mode: int, then: int) -> None:
    path.chmod(mode)
    assert replace_conf(host, str(path), CONF, CONF.changed({"vnc_password": "sesame"}))
    assert mode_of(path) == then


def test_a_new_file_has_the_mode_that_it_is_to_have(host: Host, tmp_path: Path) -> None:
    path = tmp_path / ".config" / "system.conf"
    assert exchange_file(host, str(path), None, b"new\n", mode=0o644)
    assert (path.read_bytes(), mode_of(path)) == (b"new\n", 0o644)


def test_a_file_that_is_another_or_gone_by_now_is_left_alone(host: Host, path: Path) -> None:
    path.write_text("by hand\n")
    assert not exchange_file(host, str(path), CONF.as_bytes(), b"new\n", mode=0o644)
    assert not exchange_file(host, str(path), None, b"new\n", mode=0o644)
    assert path.read_text() == "by hand\n"
    path.unlink()
    assert not exchange_file(host, str(path), CONF.as_bytes(), b"new\n", mode=0o644)
    assert list(path.parent.iterdir()) == []


def test_where_not_even_its_directory_s_directory_is_nothing_is_made(host: Host, tmp_path: Path) -> None:
    with pytest.raises(CommandError):
        exchange_file(host, str(tmp_path / "not" / "mounted" / "web1.conf"), None, b"new\n", mode=0o644)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("quick", [True, False], ids=["the fake", "the script"])
def test_a_change_is_made_of_what_the_file_says_at_that_moment(host: Host, path: Path, quick: bool) -> None:
    at = QuickHost(HostRecord("hv1")) if quick else host
    path.chmod(0o644)
    moments = iter([CONF.changed({"memory": "1G"}), CONF.changed({"memory": "2G"})])

    def change(text: ConfText) -> ConfText:
        others = next(moments, None)
        if others is not None:
            path.write_bytes(others.as_bytes())
        return text.changed({"cpu": "2", "vnc_password": "sesame"})

    change_conf(at, str(path), change)
    assert read_conf(at, str(path)).pairs() == {"cpu": "2", "memory": "2G", "vnc_password": "sesame"}
    assert mode_of(path) == 0o640


def test_a_change_that_is_refused_writes_nothing(host: Host, path: Path) -> None:
    def refuse(_: ConfText) -> ConfText:
        raise ConflictError("no")

    before = path.stat()
    with pytest.raises(ConflictError):
        change_conf(host, str(path), refuse)
    change_conf(host, str(path), lambda text: text)
    assert path.stat() == before
    path.unlink()
    with pytest.raises(NotFoundError, match=r"web1\.conf: not on hv1"):
        change_conf(host, str(path), refuse)


def test_it_is_given_up_when_others_write_again_and_again(path: Path) -> None:
    rounds = iter(range(100))

    def change(text: ConfText) -> ConfText:
        path.write_text(f'cpu="{next(rounds)}"\n')
        return text.changed({"memory": "1G"})

    with pytest.raises(BusyError, match="again and again"):
        change_conf(QuickHost(HostRecord("hv1")), str(path), change)
    assert "memory" not in path.read_text()
    assert next(rounds) == 5
