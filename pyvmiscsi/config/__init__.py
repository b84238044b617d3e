"""The site file: where it is, and the site that it describes.

site = config.load()                # the site of the first file found
file = config.read(config.find())   # with the origin of every setting
"""

from __future__ import annotations

import os
from pathlib import Path

from pyvmiscsi.config.reading import Setting
from pyvmiscsi.config.site_edit import (
    DatastoreEntry,
    rendered,
    save,
    with_datastore,
    with_default,
    without_datastore,
)
from pyvmiscsi.config.site_text import SiteFile, parse_site
from pyvmiscsi.errors import ConfigError

__all__ = [
    "VARIABLE",
    "DatastoreEntry",
    "Setting",
    "SiteFile",
    "find",
    "load",
    "parse_site",
    "place_for_new",
    "rendered",
    "save",
    "usual_places",
    "with_datastore",
    "with_default",
    "without_datastore",
]

VARIABLE = "PYVMISCSI_SITE"


def usual_places() -> tuple[Path, ...]:
    """Where a site file is looked for when none is named, in this order."""
    own = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    return (
        Path("site.toml"),
        own / "pyvmiscsi" / "site.toml",
        Path("/usr/local/etc/pyvmiscsi/site.toml"),
        Path("/etc/pyvmiscsi/site.toml"),
    )


def find(named: str | Path | None = None) -> Path:
    """The site file to use: the one named, else the one in $PYVMISCSI_SITE, else the first in the usual places.

    ConfigError when there is none at all. A file that was named is not looked for elsewhere. One that was not named
    must be ours or root's, and not for everybody to write: a site file names commands that we run (`cmd:`), and may lie
    in whatever directory we happen to be in.
    """
    chosen = named or os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen)
    for place in usual_places():
        if place.exists():
            _refuse_what_others_wrote(place)
            return place
    looked = ", ".join(str(place) for place in usual_places())
    raise ConfigError(f"no site file: not in {looked}", hint="write one with pyvmiscsi init, or name it with --site")


def _refuse_what_others_wrote(place: Path) -> None:
    status = place.stat()
    hint = f"if you trust it, name it: --site {place}"
    if status.st_uid not in (0, os.geteuid()):
        raise ConfigError(f"{place} belongs to user {status.st_uid}, neither to us nor to root", hint=hint)
    if status.st_mode & 0o002:
        raise ConfigError(f"{place} is for everybody to write", hint=hint)


def place_for_new(named: str | Path | None = None) -> Path:
    """Where to write a site file: at the one named, else in $PYVMISCSI_SITE, else among our own configuration."""
    return Path(named or os.environ.get(VARIABLE) or usual_places()[1])


def load(path: Path) -> SiteFile:
    """What this file says, with origins; ConfigError when it cannot be read, or naming every mistake in it."""
    try:
        text = path.read_bytes().decode("utf-8")  # ends of lines as they are: a changed file keeps them
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not TOML: not UTF-8") from error
    return parse_site(text, str(path))
