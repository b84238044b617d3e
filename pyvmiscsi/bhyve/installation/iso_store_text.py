"""What hosts say of their ISO stores, and which names files in there may have. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.vm_bhyve.datastores_text import DEFAULT
from pyvmiscsi.errors import ConflictError, InputError, NotFoundError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")
_STORE_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,30}[a-z0-9]")


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


def store_name(text: str) -> str:
    """A name by vm-bhyve's rule, and sysrc(8)'s for `path_<name>`; InputError."""
    if text == DEFAULT or _STORE_NAME.fullmatch(text) is None:
        raise InputError(
            f"ISO store {text!r}: not a name for one", hint="use lower-case letters, digits and '_', and at least two"
        )
    return text


def stores_in(system_conf: ConfText) -> dict[str, str]:
    """The directory of each store that a `system.conf` tells of, by its name."""
    listed = (system_conf.get("datastore_list") or "").split()
    specs = {name: system_conf.get(f"path_{name}") or "" for name in listed}
    return {name: spec.removeprefix("iso:").rstrip("/") for name, spec in specs.items() if spec.startswith("iso:/")}


def with_store(system_conf: ConfText, name: str, path: str) -> ConfText:
    """The same with another store, as vm-bhyve writes it; ConflictError when the name is taken."""
    listed = (system_conf.get("datastore_list") or "").split()
    if name in listed or system_conf.get(f"path_{name}"):
        raise ConflictError(f"ISO store {name}: the name is taken by {system_conf.get(f'path_{name}') or 'another'}")
    return system_conf.changed({"datastore_list": " ".join([*listed, name]), f"path_{name}": f"iso:{path}"})


def without_store(system_conf: ConfText, name: str) -> ConfText:
    """The same without it; NotFoundError when it tells of no such store."""
    if name not in stores_in(system_conf):
        raise NotFoundError(f"ISO store {name}: not in system.conf")
    left = [one for one in (system_conf.get("datastore_list") or "").split() if one != name]
    return system_conf.changed({"datastore_list": " ".join(left), f"path_{name}": None})


def iso_name(text: str) -> str:
    """The name of a file in a store; InputError for one that bhyve's options or a shell would have to quote."""
    if _NAME.fullmatch(text) is None:
        raise InputError(
            f"ISO name {text!r}: not a plain file name",
            hint="use letters, digits, '.', '_', '+' and '-', at most 128, and a letter or digit first",
        )
    return text


def parse_listing(text: str, stores: tuple[IsoStore, ...]) -> tuple[IsoFile, ...]:
    """The files of `ls -lLn PATH…`, by store and name; those that are being fetched begin with a dot, and are left out.

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
