"""A lab's life: up, status, down, and up again with what was kept."""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import stat
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyvmiscsi.errors import ConflictError, InputError, NotFoundError
from pyvmiscsi.lab import Lab, LabError
from pyvmiscsi.lab.info import LabInfo
from pyvmiscsi.lab.process import Process


@pytest.fixture
def directory() -> Iterator[Path]:
    """Short, and taken away with whatever is up in it."""
    root = Path(tempfile.mkdtemp(prefix="pvt-"))
    yield root / "lab"
    if (root / "lab" / "lab.json").exists():
        Lab.at(root / "lab").down()
    shutil.rmtree(root)


def up(directory: Path, **options: object) -> Lab:
    return Lab.up(directory, **{"hypervisors": (), **options})  # type: ignore[arg-type]


def test_it_is_up_and_then_down_without_a_trace(directory: Path) -> None:
    lab = up(directory)
    assert lab.status().up
    pids = [lab.info.pids["appliance"], *_target_pids(lab)]
    lab.down()
    assert not directory.exists()
    assert not Path(lab.info.control_socket).exists()
    assert [pid for pid in pids if Process.of(pid)] == []


def _target_pids(lab: Lab) -> list[int]:
    (row,) = lab.control.call("service.query", [["service", "=", "iscsitarget"]])
    return list(row["pids"])


def test_the_site_file_says_where_everything_is(directory: Path) -> None:
    lab = up(directory)
    site = tomllib.loads(lab.site_file.read_text())
    nas, store = site["nas"]["nas1"], site["datastores"]["iscsi1"]
    assert nas["url"] == lab.info.https_url
    assert nas["api_key"] == f"file:{lab.info.api_key_file}"
    assert store["spec"] == "iscsi:nas1:iqn.2005-10.org.freenas.ctl:/vmconfig"
    assert (store["portal"], store["lun"], store["parent"]) == (lab.info.portal, 1, "tank/vm")
    assert "hosts" not in site


def test_secrets_are_in_files_that_only_their_owner_reads(directory: Path) -> None:
    lab = up(directory)
    for name in [*lab.info.api_key_files.values(), *lab.info.password_files.values()]:
        assert stat.S_IMODE(Path(name).stat().st_mode) == 0o600
        assert Path(name).read_text().strip() not in lab.info.to_json()


def test_its_certificate_is_signed_by_its_own_authority(directory: Path) -> None:
    lab = up(directory)
    ssl.create_default_context(cafile=lab.info.ca_file)
    host, _, port = lab.info.https_url.removeprefix("https://").partition(":")
    assert ssl.get_server_certificate((host, int(port)), ca_certs=lab.info.ca_file).startswith("-----BEGIN")


def test_its_information_is_json_and_back(directory: Path) -> None:
    lab = up(directory)
    assert json.loads(lab.info.to_json())["profile"] == "25.10"
    assert LabInfo.read(directory / "lab.json") == lab.info
    assert Lab.at(directory).info == lab.info


def test_a_second_lab_in_the_same_place_is_refused(directory: Path) -> None:
    up(directory)
    with pytest.raises(ConflictError):
        up(directory)


def test_where_there_is_none_it_says_so(directory: Path) -> None:
    with pytest.raises(NotFoundError):
        Lab.at(directory)


def test_an_unknown_release_is_refused_before_anything_starts(directory: Path) -> None:
    with pytest.raises(InputError, match="no such release"):
        up(directory, profile="9.3")
    assert not (directory / "lab.json").exists()


def test_what_was_kept_is_there_again(directory: Path) -> None:
    lab = up(directory)
    call = lab.control.call
    call("pool.dataset.create", {"name": "tank/vm/d1", "type": "VOLUME", "volsize": 1 << 20, "sparse": True})
    extent = call("iscsi.extent.create", {"name": "d1", "disk": "zvol/tank/vm/d1"})
    target = call("iscsi.target.create", {"name": "d1", "groups": [{"portal": 1, "initiator": 1}]})
    call("iscsi.targetextent.create", {"target": target["id"], "extent": extent["id"], "lunid": 1})
    lab.control.volume_file("tank/vm/d1").write_bytes(b"kept".ljust(1 << 20, b"\0"))
    before, key = lab.control.state(), Path(lab.info.api_key_file).read_text()
    lab.down(keep_state=True)

    again = up(directory)
    assert again.control.state() == before
    assert again.info.portal == lab.info.portal
    assert Path(again.info.api_key_file).read_text() == key
    assert again.control.volume_file("tank/vm/d1").read_bytes()[:4] == b"kept"
    uri = f"iscsi://{again.info.portal}/{again.info.basename}:d1/1"
    assert subprocess.run([str(shutil.which("iscsi-inq")), uri], capture_output=True, check=False).returncode == 0


def test_what_was_not_kept_is_new(directory: Path) -> None:
    lab = up(directory)
    lab.control.call("pool.dataset.create", {"name": "tank/vm/x", "comments": ""})
    lab.down()
    assert "tank/vm/x" not in up(directory).control.state()["facts"]["datasets"]


def test_a_lab_whose_appliance_was_killed_is_down_and_can_be_taken_away(directory: Path) -> None:
    lab = up(directory)
    targets = _target_pids(lab)
    os.kill(lab.info.pids["appliance"], signal.SIGKILL)
    os.waitpid(lab.info.pids["appliance"], 0)
    assert not lab.status().up
    lab.down()
    assert [pid for pid in targets if Process.of(pid)] == []
    assert up(directory).status().up


def test_up_clears_away_what_is_left_of_a_broken_lab(directory: Path) -> None:
    lab = up(directory)
    lab.control.call("pool.dataset.create", {"name": "tank/vm/x", "comments": ""})
    lab.control.save()
    os.kill(lab.info.pids["appliance"], signal.SIGKILL)
    os.waitpid(lab.info.pids["appliance"], 0)
    again = up(directory)
    assert "tank/vm/x" in again.control.state()["facts"]["datasets"]
    assert again.info.portal == lab.info.portal


def test_a_taken_portal_is_told_and_leaves_nothing_running(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = int(up(directory / "first").info.portal.partition(":")[2])
    monkeypatch.setattr("pyvmiscsi.lab.life.free_port", lambda: taken)
    with pytest.raises(LabError, match="cannot listen"):
        up(directory / "second")
    assert not (directory / "second" / "appliance" / "ready.json").exists()
    Lab.at(directory / "first").down()


def test_the_options_reach_the_appliance(directory: Path) -> None:
    lab = up(directory, profile="26.0", pool_size=1 << 30, plain_http=True, login_budget=3)
    assert lab.info.rest_url is None
    assert lab.info.http_url is not None
    assert lab.info.login_budget == 3
    assert lab.control.call("system.version") == "TrueNAS-26.0.0"
    assert lab.control.call("pool.query")[0]["size"] == 1 << 30


def test_hypervisors_answer_on_ssh(directory: Path) -> None:
    lab = up(directory, hypervisors=("hv1",))
    host = lab.info.hypervisors["hv1"]
    options = {
        "UserKnownHostsFile": host.known_hosts,
        "StrictHostKeyChecking": "yes",
        "IdentitiesOnly": "yes",
        "BatchMode": "yes",
    }
    argv = ["ssh", "-F", "none", "-i", host.key_file, "-p", str(host.port)]
    argv += [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    argv += [f"{host.user}@{host.address}", "uname", "-s"]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert ended.stdout == "FreeBSD\n", ended.stderr
    assert tomllib.loads(lab.site_file.read_text())["datastores"]["iscsi1"]["hosts"] == ["hv1"]


def test_the_command_brings_it_up_shows_it_and_takes_it_down(directory: Path) -> None:
    def pyvmiscsi(*words: str) -> str:
        argv = [sys.executable, "-m", "pyvmiscsi_cli", *words, "--directory", str(directory), "--json"]
        return subprocess.run(argv, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout

    info = json.loads(pyvmiscsi("lab", "up", "--hosts", "", "--profile", "24.10"))
    assert info["rest_url"].endswith("/api/v2.0")
    assert info["jsonrpc_url"] is None
    assert json.loads(pyvmiscsi("lab", "status"))["parts"] == {"appliance": True}
    pyvmiscsi("lab", "down", "--keep")
    assert (directory / "appliance" / "state.json").exists()
    pyvmiscsi("lab", "up", "--hosts", "")
    pyvmiscsi("lab", "down")
    assert not directory.exists()
