"""The one place that quotes a word for a shell."""

from __future__ import annotations

import shlex

from pyvmiscsi.errors import InputError


def quote(word: str) -> str:
    """The word as POSIX sh reads it back: itself, whatever it holds; InputError for a NUL byte."""
    if "\0" in word:
        raise InputError("a word for a shell cannot hold a NUL byte")
    return shlex.quote(word)
