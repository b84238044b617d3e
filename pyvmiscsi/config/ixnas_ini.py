"""`ixnas-api.ini`: where the ancestor's helper scripts make a nas's volumes (freebsd.md 5.9). Pure."""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from dataclasses import dataclass

from pyvmiscsi.errors import ConfigError, InputError
from pyvmiscsi.names import DatasetPath

PLACE = "/usr/local/etc/ixnas-api.ini"


@dataclass(frozen=True, slots=True)
class IxnasNas:
    """A nas's section: the dataset below which its volumes are made, and the groups of its targets."""

    parent: DatasetPath
    portal_group: int = 1
    initiator_group: int | None = None


def parse_ixnas(text: str, source: str) -> Mapping[str, IxnasNas]:
    """Every section by the name that a datastore spec uses for the nas.

    Accounts in it are not even looked at. ConfigError, by file, section and key, for what cannot be used.
    """
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text, source)
    except configparser.Error as error:
        line = getattr(error, "lineno", None) or next((number for number, _ in getattr(error, "errors", ())), None)
        raise ConfigError(f"{source}{f':{line}' if line else ''}: not an ini file") from error
    return {name: _nas(parser[name], f"{source}: [{name}]") for name in parser.sections() if "zpool" in parser[name]}


def _nas(section: configparser.SectionProxy, where: str) -> IxnasNas:
    below = section.get("basepath", "").strip().strip("/")
    path = f"{section['zpool'].strip()}/{below}".rstrip("/")
    try:
        parent = DatasetPath.parse(path)
    except InputError as error:
        raise ConfigError(f"{where} zpool, basepath: {error.message}") from error
    portal = _number(section, "iscsi_target_portalgroup", where)
    return IxnasNas(parent, portal or 1, _number(section, "iscsi_target_initiatorgroup", where))


def _number(section: configparser.SectionProxy, key: str, where: str) -> int | None:
    text = section.get(key, "").strip()
    if text in ("", "None", "null", "-1"):
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"{where} {key}: {text!r} is not a group's number")
    return int(text)
