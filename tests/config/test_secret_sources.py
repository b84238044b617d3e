"""Where a secret may be kept, and when it is fetched."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pyvmiscsi.config.secret_sources import secret_at
from pyvmiscsi.errors import ConfigError, InputError
from pyvmiscsi.secrets import Secret

WHERE = "site.toml:4: [nas.nas1] api_key"


def reveal(source: str, directory: Path = Path("/")) -> str:
    return secret_at(source, WHERE, directory).reveal()


def refusal(source: str, directory: Path = Path("/")) -> str:
    secret = secret_at(source, WHERE, directory)
    with pytest.raises(ConfigError) as refused:
        secret.reveal()
    assert str(refused.value).startswith(f"{WHERE}: ")
    return str(refused.value)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "nas1.key"
    path.write_text("1-hunter2\n")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("text", ["1-hunter2", "1-hunter2\n", "1-hunter2\r\n", "1-hunter2\nmade in May\n"])
def test_reads_the_first_line_of_a_file(key: Path, text: str) -> None:
    key.write_text(text)

    assert reveal(f"file:{key}") == "1-hunter2"


def test_a_relative_file_starts_where_the_site_file_is(key: Path) -> None:
    assert reveal("file:nas1.key", key.parent) == "1-hunter2"


def test_a_file_below_home(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(key.parent))

    assert reveal("file:~/nas1.key") == "1-hunter2"


def test_reads_a_file_that_nobody_can_write(key: Path) -> None:
    key.chmod(0o400)

    assert reveal(f"file:{key}") == "1-hunter2"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o700, 0o644])
def test_refuses_a_file_that_others_may_read(key: Path, mode: int) -> None:
    key.chmod(mode)

    refused = refusal(f"file:{key}")

    assert f"{key} has mode {mode:04o}" in refused
    assert f"chmod 600 {key}" in refused
    assert "hunter2" not in refused


def test_refuses_a_file_of_somebody_else(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = key.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    if owner == 0:  # root's files are good for everybody: make it another's
        os.chown(key, 12345, -1)

    assert "neither to us nor to root" in refusal(f"file:{key}")


def test_says_when_there_is_no_file(tmp_path: Path) -> None:
    assert refusal(f"file:{tmp_path}/none") == f"{WHERE}: {tmp_path}/none: No such file or directory"


def test_refuses_an_empty_file(key: Path) -> None:
    key.write_text("\n")

    assert "is empty" in refusal(f"file:{key}")


def test_refuses_a_file_that_is_no_text(key: Path) -> None:
    key.write_bytes(b"\xff\xfe")

    assert "not a text file" in refusal(f"file:{key}")


def test_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS1_KEY", "1-hunter2")

    assert reveal("env:NAS1_KEY") == "1-hunter2"


def test_says_when_a_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NAS1_KEY", raising=False)

    assert "NAS1_KEY is not set" in refusal("env:NAS1_KEY")


def test_runs_a_command_without_a_shell() -> None:
    assert reveal("cmd:printf '%s\\n' '1-hunter2 $HOME' 'a note'") == "1-hunter2 $HOME"


def test_says_when_a_command_fails_and_does_not_repeat_its_arguments() -> None:
    refused = refusal(f"cmd:{sys.executable} -c 'raise SystemExit(3)' hunter2")

    assert "exit status 3" in refused
    assert "hunter2" not in refused


def test_says_when_there_is_no_such_command() -> None:
    assert "no-such-command: No such file" in refusal("cmd:no-such-command show nas1")


@pytest.mark.parametrize("source", ["1-hunter2", "", "file:", "env: ", "FILE:/x", "pass:nas1"])
def test_refuses_what_is_not_a_place_and_does_not_repeat_it(source: str) -> None:
    with pytest.raises(InputError) as refused:
        secret_at(source, WHERE, Path("/"))

    assert str(refused.value) == "a secret is not written here (write file:PATH, env:NAME or cmd:COMMAND)"


def test_refuses_a_command_whose_quotes_do_not_close() -> None:
    with pytest.raises(InputError, match="cmd: No closing quotation"):
        secret_at("cmd:pass 'nas1", WHERE, Path("/"))


def test_fetches_when_first_used_and_only_once(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    secret = secret_at(f"cmd:sh -c 'echo x >>{ran}; echo hunter2'", WHERE, Path("/"))
    assert not ran.exists()

    assert [secret.reveal(), secret.reveal()] == ["hunter2", "hunter2"]

    assert ran.read_text() == "x\n"


def test_is_shown_as_asterisks_without_being_fetched() -> None:
    secret = secret_at("env:NO_SUCH_VARIABLE_HERE", WHERE, Path("/"))

    assert (str(secret), repr(secret)) == ("********", "Secret('********')")


def test_equals_the_secret_it_fetches(key: Path) -> None:
    assert secret_at(f"file:{key}", WHERE, Path("/")) == Secret("1-hunter2")
