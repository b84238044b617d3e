"""What hosts say of their ISO stores, and which names files in there may have. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pyvmiscsi.errors import InputError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")


@dataclass(frozen=True, slots=True, order=True)
class IsoStore:
    """A directory of installation media on a host."""

    name: str
    """The datastore's, for `.iso` in its config path; vm-bhyve's name for every other."""
    path: str


@dataclass(frozen=True, slots=True, order=True)
class IsoFile:
    """An installation medium: `size` is in bytes."""

    store: str
    name: str
    path: str
    size: int


def iso_name(text: str) -> str:
    """The name of a file in a store; InputError for one that bhyve's options or a shell would have to quote."""
    if _NAME.fullmatch(text) is None:
        raise InputError(
            f"ISO name {text!r}: not a plain file name",
            hint="use letters, digits, '.', '_', '+' and '-', at most 128, and a letter or digit first",
        )
    return text


def parse_listing(text: str, stores: tuple[IsoStore, ...]) -> tuple[IsoFile, ...]:
    """The files of `ls -ln PATH…`, by store and name; those that are being fetched begin with a dot, and are left out.

    The fifth of nine columns is the size (ls(1), POSIX).
    """
    found = []
    by_path = {store.path: store.name for store in stores}
    for line in text.splitlines():
        columns = line.split(maxsplit=8)
        if len(columns) != 9 or not columns[4].isdecimal():
            continue
        directory, _, name = columns[8].rpartition("/")
        if directory in by_path and not name.startswith("."):
            found.append(IsoFile(by_path[directory], name, columns[8], int(columns[4])))
    return tuple(sorted(found))


def parse_free(text: str) -> int:
    """The bytes that are free, by `df -kP DIRECTORY`."""
    columns = text.strip().splitlines()[-1].split()
    return int(columns[3]) * 1024
