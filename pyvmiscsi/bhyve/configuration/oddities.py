"""What is odd about a guest's configuration: lines that nobody reads, or not as they look. Pure.

vm-bhyve passes over all of them without a word (`lib/vm-config`; freebsd.md 5.2).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from pyvmiscsi.bhyve.configuration.conf_text import ConfText, settings_in
from pyvmiscsi.bhyve.configuration.keys import is_known
from pyvmiscsi.errors import Problem


def oddities(text: ConfText) -> tuple[Problem, ...]:
    """Everything odd, by line and key; a guest can start in spite of all of it."""
    return (*_unread(text), *_unknown(text), *_repeated(text))


def _unread(text: ConfText) -> Iterator[Problem]:
    for number, line in enumerate(text.text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if re.match("[a-z]", line) is None:
            yield Problem(f"line {number}", "is not read", "begin it with a lower-case letter, without blanks before")
        elif re.search(r'="[^"]*#', line):
            yield Problem(f"line {number}", "is read up to its '#', quotes or not", "a value cannot hold a '#'")
        elif "=" not in line:
            yield Problem(f"line {number}", "has no '='", "begin it with a '#' if it is a comment")


def _unknown(text: ConfText) -> Iterator[Problem]:
    for key, value in text.pairs().items():
        if key == value:
            continue  # a line without a '=', told as such
        if key.endswith((" ", "\t")):
            yield Problem(key.strip(), "is not read: a blank stands before its '='", "remove the blank")
        elif not is_known(key):
            yield Problem(key, "is read by nobody", "correct or remove it")


def _repeated(text: ConfText) -> Iterator[Problem]:
    counted = Counter(key for key, _ in settings_in(text))
    for key, times in counted.items():
        if times > 1:
            yield Problem(key, f"stands there {times} times, and the first one counts", "remove the others")
