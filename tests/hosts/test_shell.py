"""How a word reaches the shell that shall read it."""

from __future__ import annotations

import re
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyvmiscsi.errors import InputError
from pyvmiscsi.hosts import shell
from tests.contracts.host_contract import ODD_WORDS

words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


def output_of(login_shell: str, text: str) -> str:
    argv = [login_shell, "-c", shell.login_line(text)]
    return subprocess.run(argv, check=True, capture_output=True).stdout.decode()


@given(st.lists(words, min_size=1))
def test_sh_reads_back_the_words_that_were_quoted(argv: list[str]) -> None:
    assert output_of("/bin/sh", shell.command_text(["printf", "%s|", *argv])) == "".join(f"{word}|" for word in argv)


@pytest.mark.parametrize("login_shell", ["dash", "bash"])
def test_a_login_shell_hands_every_word_on(login_shell: str) -> None:
    text = shell.script_text("for word; do printf '%s|' \"$word\"; done", ODD_WORDS)

    assert output_of(login_shell, text) == "".join(f"{word}|" for word in ODD_WORDS)


@pytest.mark.parametrize("login_shell", ["dash", "bash"])
def test_a_line_without_input_does_not_wait_for_any(login_shell: str) -> None:
    line = shell.without_input(shell.login_line("cat; echo end"))

    with subprocess.Popen([login_shell, "-c", line], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read() == b"end\n"  # while our side of its input is open


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("true", 0),
        ("exit 3", 3),
        ("read -r line; exit 4", 4),
        ("sh -c 'kill -KILL $$'; exit $?", 137),
        ("cat <<'END'\nx\nEND", 0),
    ],
)
def test_what_a_text_leaves_of_its_input_is_read_and_its_status_kept(text: str, status: int) -> None:
    argv = ["/bin/sh", "-c", shell.reading_all_input(text)]
    data = b"line\n" * 100_000  # more than a pipe holds: unread, writing it would fail

    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(data)
        process.stdin.close()

    assert process.returncode == status


@given(texts)
def test_a_login_line_has_nothing_that_csh_would_touch(text: str) -> None:
    """csh(1): between single quotes only `!` and a newline keep their meaning; fish(1): `\\'` and `\\\\`."""
    line = shell.login_line(text)

    assert re.fullmatch(r"/bin/sh -c '[^'!\n]*'", line)
    # a backslash is read by printf alone: always an octal escape
    assert not re.search(r"\\(?!0[0-7]{3})", line)


def test_a_plain_command_stays_readable() -> None:
    line = shell.login_line(shell.command_text(["iscsictl", "-L", "-v"]))

    assert line.endswith("iscsictl -L -v; exit $?'")


@pytest.mark.parametrize(
    ("become", "start"),
    [("sudo", "sudo -n /bin/sh -c '"), ("doas", "doas -n /bin/sh -c '"), ("mdo", "mdo /bin/sh -c '")],
)
def test_another_account_becomes_root_and_never_asks_for_a_password(become: str, start: str) -> None:
    assert shell.login_line("true", become).startswith(start)


def test_refuses_a_nul_byte() -> None:
    with pytest.raises(InputError, match="NUL"):
        shell.command_text(["echo", "a\0b"])
    with pytest.raises(InputError, match="NUL"):
        shell.login_line("echo a\0b")
