"""Texts for the shells of a host.

Two shells read what we send. The *login shell* of the account, which may be csh (FreeBSD's root before 14.0) or
anything else, reads one line: `/bin/sh -c '…'`. The sh that it starts reads the text between the quotes, which may be
any script. Between single quotes csh still expands `!` and refuses a newline (csh(1), "Lexical structure"), and fish
reads backslashes; so a text that holds one of these, or a single quote, travels with printf(1) octal escapes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pyvmiscsi.errors import InputError
from pyvmiscsi.quoting import quote

PREAMBLE = "PATH=/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin LC_ALL=C; export PATH LC_ALL; "
"""The system's programs first and their messages in English, whatever the account's profile says."""

BECOME: dict[str, tuple[str, ...]] = {
    "sudo": ("sudo", "-n"),
    "doas": ("doas", "-n"),
    "mdo": ("mdo",),
}
"""How an account that is not root runs a command as root, without ever asking for a password."""

_UNSAFE_BETWEEN_SINGLE_QUOTES = re.compile(r"[!'\\\n]")
_UNSAFE_BETWEEN_DOUBLE_QUOTES_TOO = re.compile(r"""[!'"`$\\\n]""")


def command_text(argv: Sequence[str]) -> str:
    """The sh text that runs one command.

    sh outlives the command, so that death by a signal always shows as 128 + its number, by SSH as well as here.
    """
    return f"{' '.join(quote(word) for word in argv)}; exit $?"


def script_text(text: str, args: Sequence[str]) -> str:
    """The sh text that runs a script with `$1` … set to `args`; its stdin stays free for data."""
    return f"set -- {' '.join(quote(word) for word in args)}\n{text}" if args else f"set --\n{text}"


def sh_argv(text: str, become: str | None = None) -> tuple[str, ...]:
    """The command that makes sh run this text, as root by way of `become` if the account is another."""
    return (*(BECOME[become] if become else ()), "/bin/sh", "-c", PREAMBLE + text)


def without_input(line: str) -> str:
    """The login line of a command that gets no input, whatever its shell is connected to. Every shell reads it."""
    return f"{line} </dev/null"


def reading_all_input(text: str) -> str:
    """The sh text that, whatever `text` leaves of its input, reads the rest, and ends as `text` does."""
    return f"(\n{text}\n)\nstatus=$?\ncat >/dev/null\nexit $status"


def login_line(text: str, become: str | None = None) -> str:
    """The line that makes any login shell start sh with this text.

    It has no newline and no `!`, and single quotes only around the text: sh, csh, tcsh and fish read it alike.
    """
    *words, whole = sh_argv(text, become)
    if "\0" in whole:
        raise InputError("a script for a shell cannot hold a NUL byte")
    if _UNSAFE_BETWEEN_SINGLE_QUOTES.search(text):
        escaped = _UNSAFE_BETWEEN_DOUBLE_QUOTES_TOO.sub(lambda match: f"\\0{ord(match[0]):03o}", text)
        # `%` and the like are safe: printf takes the text as the argument of %b, not as its format
        whole = f'{PREAMBLE}eval "$(printf %b "{escaped}")"'
    return f"{' '.join(words)} '{whole}'"
