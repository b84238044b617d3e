"""A site file with one datastore more, one less, or another default. Pure, but for `save`.

The text is changed where it must be and nowhere else: every comment, blank line and order stays. What comes out is read
again, and must say what the old text said and the change, nothing more; else nobody gets it.
"""

from __future__ import annotations

import fcntl
import os
import re
import tomllib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyvmiscsi.config.site_text import SiteFile, read_site
from pyvmiscsi.config.toml_lines import Table, find_tables
from pyvmiscsi.errors import ConfigError, ConflictError, NotFoundError
from pyvmiscsi.names import DatasetPath, DatastoreSpec, Lun, Portal

DEFAULT = "default_datastore"
_DEFAULT_LINE = re.compile(rf"""\s*(?:{DEFAULT}|"{DEFAULT}"|'{DEFAULT}')\s*=\s*(?P<value>"[^"]*"|'[^']*')""")
_Change = Callable[[dict[str, Any]], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatastoreEntry:
    """A `[datastores.NAME]` table: a datastore as it is written down, each key as the site file's page has it."""

    name: str
    spec: DatastoreSpec
    parent: DatasetPath
    portal: Portal
    portal_group: int = 1
    initiator_group: int | None = None
    lun: Lun = field(default_factory=lambda: Lun(0))
    layout: str = "nested"
    hosts: tuple[str, ...] = ()

    def as_table(self) -> dict[str, Any]:
        """Its keys in TOML's types, those left out that say no more than the default."""
        table = {
            "spec": str(self.spec),
            "parent": str(self.parent),
            "portal": str(self.portal),
            "portal_group": self.portal_group if self.portal_group != 1 else None,
            "initiator_group": self.initiator_group,
            "lun": self.lun.number or None,
            "layout": self.layout if self.layout != "nested" else None,
            "hosts": list(self.hosts) or None,
        }
        return {key: value for key, value in table.items() if value is not None}


def rendered(entry: DatastoreEntry) -> str:
    """The table as it is written into a site file."""
    return "".join(f"{line}\n" for line in _rendered(entry.name, entry.as_table()))


def with_datastore(file: SiteFile, entry: DatastoreEntry) -> SiteFile:
    """The file with this datastore behind the others; ConflictError for a name that is taken.

    ConfigError says what else is wrong with it: a nas or host that the site has not, a basename or parent that another
    datastore of the nas has already.
    """
    if entry.name in file.site.datastores:
        raise ConflictError(f"datastore {entry.name}: is in {file.site.source} already", hint="choose another name")
    table = entry.as_table()
    tables = find_tables(file.text)
    last = max((one.end for one in tables if one.path[0] == "datastores"), default=len(file.text.splitlines()))

    def change(data: dict[str, Any]) -> None:
        data.setdefault("datastores", {})[entry.name] = table

    text = _spliced(file.text, last, last, ["", *_rendered(entry.name, table)])
    return _checked(file, text, change, f"datastore {entry.name}")


def without_datastore(file: SiteFile, name: str) -> SiteFile:
    """The file without this datastore; NotFoundError when it has none of this name.

    ConflictError for the default one while there are others: somebody has to say which is to be the default then.
    """
    if name not in file.site.datastores:
        raise NotFoundError(f"datastore {name}: not in {file.site.source}", hint="pyvmiscsi datastore list")
    is_default = file.site.default_datastore == name
    others = sorted(set(file.site.datastores) - {name})
    if is_default and others:
        raise ConflictError(
            f"datastore {name}: is the default one", hint=f"pyvmiscsi datastore default {others[0]}, or another"
        )
    table = _own_table(file, name)

    def change(data: dict[str, Any]) -> None:
        del data["datastores"][name]
        if not data["datastores"]:
            del data["datastores"]
        if is_default:
            del data[DEFAULT]

    first, lines = table.first, file.text.splitlines()
    while first and not lines[first - 1].strip():
        first -= 1  # the blank lines before it go along
    text = _spliced(file.text, first, table.end, [])
    if is_default:
        text = _without_default(text)
    return _checked(file, text, change, f"datastore {name}")


def with_default(file: SiteFile, name: str) -> SiteFile:
    """The file with this datastore as the one that commands use when none is named; NotFoundError when it has none."""
    if name not in file.site.datastores:
        known = ", ".join(sorted(file.site.datastores)) or "none"
        raise NotFoundError(f"datastore {name}: not in {file.site.source}", hint=f"known: {known}")
    lines, spelled = file.text.splitlines(), _toml(name)
    for number, match in _default_lines(lines):
        line = lines[number]
        text = _spliced(
            file.text, number, number + 1, [line[: match.start("value")] + spelled + line[match.end("value") :]]
        )
        break
    else:
        at, is_apart = _place_for_default(lines)
        text = _spliced(file.text, at, at, [f"{DEFAULT} = {spelled}", *([""] if is_apart else [])])
    return _checked(file, text, lambda data: data.update({DEFAULT: name}), f"datastore {name}")


def save(file: SiteFile, *, instead_of: SiteFile) -> None:
    """Put the changed file in place whole, with the mode and the owner of the one that it was made from.

    ConflictError when that one was changed by somebody else meanwhile; ConfigError when it cannot be written.
    """
    path = Path(os.path.realpath(file.site.source))
    try:
        with path.open("rb") as old:
            fcntl.flock(old, fcntl.LOCK_EX)
            if path.read_bytes() != instead_of.text.encode():
                raise ConflictError(f"{file.site.source}: somebody else has changed it", hint="say the same again")
            _replace(path, file.text.encode(), os.fstat(old.fileno()))
    except OSError as error:
        raise ConfigError(f"{file.site.source}: {error.strerror}") from error


def _replace(path: Path, data: bytes, like: os.stat_result) -> None:
    import tempfile

    number, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.new.")
    try:
        with os.fdopen(number, "wb") as new:
            os.fchmod(number, like.st_mode & 0o7777)
            with suppress(PermissionError):  # only root gives files away
                os.fchown(number, like.st_uid, like.st_gid)
            new.write(data)
            new.flush()
            os.fsync(number)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def _checked(file: SiteFile, text: str, change: _Change, title: str) -> SiteFile:
    """The new text read, if it says what the old one said and the change; else what is wrong with it."""
    source = file.site.source
    changed, reading = read_site(text, source)
    if changed is None:
        reasons = dict.fromkeys(mistake.reason for mistake in sorted(reading.mistakes))
        raise ConfigError(f"{title}: {'; '.join(reasons)}")
    expected = tomllib.loads(file.text)
    change(expected)
    if tomllib.loads(text) != expected:
        raise ConfigError(
            f"{title}: {source} is written in a way that cannot be changed safely", hint="change it by hand"
        )
    return changed


def _own_table(file: SiteFile, name: str) -> Table:
    for table in find_tables(file.text):
        if table.path == ("datastores", name):
            return table
    raise ConfigError(
        f"datastore {name}: has no [datastores.{name}] table of its own in {file.site.source}", hint="change it by hand"
    )


def _default_lines(lines: list[str]) -> list[tuple[int, re.Match[str]]]:
    found = ((number, _DEFAULT_LINE.match(line)) for number, line in enumerate(lines))
    return [(number, match) for number, match in found if match]


def _place_for_default(lines: list[str]) -> tuple[int, bool]:
    """Above the first thing that is said, and above the comment on it; whether a blank line has to follow."""
    said = next((number for number, line in enumerate(lines) if line.strip() and not line.startswith("#")), len(lines))
    at = said
    while at and lines[at - 1].startswith("#"):
        at -= 1
    return at, at < said or said == len(lines) or lines[said].lstrip().startswith("[")


def _without_default(text: str) -> str:
    for number, _ in _default_lines(text.splitlines()):
        return _spliced(text, number, number + 1, [])
    return text


def _rendered(name: str, table: dict[str, Any]) -> list[str]:
    import tomlkit

    document = tomlkit.document()
    group = tomlkit.table(is_super_table=True)
    group[name] = tomlkit.item(table)
    document["datastores"] = group
    return tomlkit.dumps(document).splitlines()


def _toml(text: str) -> str:
    import tomlkit

    return tomlkit.string(text).as_string()


def _spliced(text: str, first: int, end: int, new: list[str]) -> str:
    """The text with other lines in the place of some, all ending as its lines do."""
    ending = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    if first and lines and first <= len(lines) and not lines[first - 1].endswith("\n"):
        lines[first - 1] += ending
    return "".join([*lines[:first], *(f"{line}{ending}" for line in new), *lines[end:]])
