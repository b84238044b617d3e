"""`pyvmiscsi init`, with a real TLS server and a real sshd to look at."""

from __future__ import annotations

import os
import pty
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.app import run
from pyvmiscsi import config
from tests.config import https
from tests.hosts import sshd as ssh_server
from tests.hosts.sshd import Sshd


@pytest.fixture(scope="module")
def nas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[https.Server]:
    with https.running(tmp_path_factory.mktemp("https")) as running:
        yield running


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with ssh_server.running(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture
def options(nas: https.Server, sshd: Sshd, tmp_path: Path) -> list[str]:
    """Everything that nothing can guess."""
    return [
        "init",
        *("--output", str(tmp_path / "site.toml")),
        *("--nas-url", nas.url),
        *("--api-key", "env:NAS1_KEY"),
        *("--host", f"hv1=admin@127.0.0.1:{sshd.port}", "--host", "here="),
        *("--parent", "tank/vm"),
    ]


def test_writes_a_file_from_options_alone(
    options: list[str], nas: https.Server, sshd: Sshd, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*options, "--pin"]) == 0

    path = tmp_path / "site.toml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    site = config.load(path).site
    assert site.nases["nas1"].fingerprint == nas.fingerprint
    assert site.hosts["hv1"].host_key == sshd.fingerprint()
    assert site.hosts["hv1"].user == "admin"
    assert site.hosts["here"].address is None
    assert str(site.datastores["iscsi1"].portal) == "localhost:3260"
    out, err = capsys.readouterr()
    assert out == f"wrote {path}\n"
    assert ":".join([nas.fingerprint[:2].upper(), nas.fingerprint[2:4].upper()]) in err
    assert sshd.fingerprint() in err


def test_does_not_trust_a_certificate_that_nobody_pinned(
    options: list[str], nas: https.Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(options) == 64

    assert f"--fingerprint {nas.fingerprint}" in capsys.readouterr().err
    assert not (tmp_path / "site.toml").exists()


def test_takes_the_pin_of_an_option(options: list[str], nas: https.Server, tmp_path: Path) -> None:
    assert run([*options, "--fingerprint", nas.fingerprint]) == 0

    site = config.load(tmp_path / "site.toml").site
    assert site.nases["nas1"].fingerprint == nas.fingerprint
    assert site.hosts["hv1"].host_key is None


def test_names_every_option_that_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "--output", str(tmp_path / "site.toml")]) == 64

    assert "--nas-url, --host, --parent, --portal: needed" in capsys.readouterr().err


def test_keeps_a_file_that_is_there(options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "site.toml").write_text("# mine\n")

    assert run([*options, "--pin"]) == 73
    assert "say --force" in capsys.readouterr().err
    assert (tmp_path / "site.toml").read_text() == "# mine\n"

    assert run([*options, "--pin", "--force"]) == 0
    assert "[nas.nas1]" in (tmp_path / "site.toml").read_text()


@pytest.mark.parametrize("host", ["hv1", "hv1=a b", "hv1=admin@", "hv1=[::1"])
def test_refuses_what_is_not_a_host(host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "--output", str(tmp_path / "site.toml"), "--host", host]) == 64
    assert f"host {host!r}: not a host" in capsys.readouterr().err


def test_refuses_two_hosts_of_one_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "--output", str(tmp_path / "site.toml"), "--host", "hv1=", "--host", "hv1=10.0.0.1"]) == 64
    assert "host 'hv1' is given twice" in capsys.readouterr().err


def test_paths_of_options_start_here(
    options: list[str], nas: https.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(nas.certificate.parent)

    assert run([*options, "--ca-file", nas.certificate.name, "--key-file", "id_ed25519"]) == 0

    site = config.load(tmp_path / "site.toml").site
    assert site.nases["nas1"].ca_file == str(nas.certificate)
    assert site.hosts["hv1"].key_file == str(nas.certificate.parent / "id_ed25519")


def test_goes_on_when_nas_and_host_do_not_answer(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options[options.index("--nas-url") + 1] = "https://127.0.0.1:1"
    options[options.index("--host") + 1] = "hv1=127.0.0.1:1"

    assert run(options) == 0

    assert capsys.readouterr().err.count("pyvmiscsi: warning: ") == 2
    assert config.load(tmp_path / "site.toml").site.nases["nas1"].fingerprint is None


def test_asks_at_a_terminal_for_what_it_is_not_told(nas: https.Server, sshd: Sshd, tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    answers = [
        ("address, https", nas.url),
        ("belong to [root]", ""),
        ("API key kept", ""),
        ("Hypervisor hv1", f"127.0.0.1:{sshd.port}"),
        ("Another hypervisor?", "n"),
        ("Target names begin with", ""),
        ("[/vmconfig]", "/shared"),
        ("tank/vm", "tank/vm"),
        ("log in at", ""),
        ("Does the nas itself show", "y"),
        ("Does the host itself show", "y"),
        ("The API key", "1-hunter2"),
    ]
    # setsid(1) makes this terminal the one that getpass(3) finds as /dev/tty
    argv = ["setsid", "--ctty", sys.executable, "-m", "pyvmiscsi_cli", "init", "--output", str(path)]
    terminal, theirs = pty.openpty()
    with subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        try:
            seen = "".join(_answer(terminal, prompt, answer) for prompt, answer in answers)
            seen += _read_until(terminal, f"wrote {path}")
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()
            os.close(terminal)

    file = config.load(path).site
    assert file.nases["nas1"].fingerprint == nas.fingerprint
    assert file.hosts["hv1"].host_key == sshd.fingerprint()
    assert file.datastores["iscsi1"].config_path == "/shared"
    key = tmp_path / "nas1.key"
    assert (key.read_text(), stat.S_IMODE(key.stat().st_mode)) == ("1-hunter2\n", 0o600)
    assert file.nases["nas1"].api_key is not None
    assert file.nases["nas1"].api_key.reveal() == "1-hunter2"
    assert "hunter2" not in seen


def _answer(terminal: int, prompt: str, answer: str) -> str:
    seen = _read_until(terminal, prompt)
    os.write(terminal, f"{answer}\n".encode())
    return seen


def _read_until(terminal: int, wanted: str) -> str:
    seen = b""
    while wanted.encode() not in seen:
        seen += os.read(terminal, 1024)
    return seen.decode()
