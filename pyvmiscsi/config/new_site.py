"""Writes a site file that did not exist."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyvmiscsi.config.site_text import SiteFile, parse_site
from pyvmiscsi.errors import AlreadyExistsError, ConfigError

Tables = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""`nas`, `hosts` and `datastores`, each name -> key -> value; a value None leaves its key out."""

_COMMENTS = {
    "nas": "The appliance. Secrets are named by where they are kept: file:PATH (mode 0600), env:NAME or cmd:COMMAND.",
    "hosts": "The hypervisors, by SSH. Without an address: this very machine.",
    "datastores": "Where guests live: iscsi:<nas>:<iqn basename>:<config path on the hypervisors>.",
}


def render(tables: Tables, *, default_datastore: str) -> str:
    """The text of a site file with these tables, each kind introduced by a comment."""
    import tomlkit

    document = tomlkit.document()
    document["default_datastore"] = default_datastore
    for kind, comment in _COMMENTS.items():
        document.add(tomlkit.nl())
        document.add(tomlkit.comment(comment))
        group = tomlkit.table(is_super_table=True)
        for name, content in tables[kind].items():
            table = tomlkit.table()
            for key, value in content.items():
                if value is not None:
                    table[key] = value
            group[name] = table
        document[kind] = group
    return tomlkit.dumps(document)


def write(path: Path, text: str, *, force: bool = False) -> SiteFile:
    """Put the site file in place whole, readable by its owner alone, and give what it says.

    ConfigError naming every mistake in the text, which is then not written; AlreadyExistsError when there is such a
    file, unless `force`.
    """
    file = parse_site(text, str(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = _written_beside(path, text)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    try:
        if force:
            beside.replace(path)
        else:
            path.hardlink_to(beside)  # fails when there is one, whoever made it just now
    except FileExistsError as error:
        raise AlreadyExistsError(f"{path} exists", hint="say --force to replace it") from error
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)
    return file


def _written_beside(path: Path, text: str) -> Path:
    """A new file of mode 0600 in the same directory, on the disk before we go on."""
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.new.")
    with os.fdopen(number, "w", encoding="utf-8") as new:
        new.write(text)
        new.flush()
        os.fsync(new.fileno())
    return Path(name)
