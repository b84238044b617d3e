"""iscsi.conf(5) as iscsictl's lexer and grammar read it (usr.bin/iscsictl/token.l, parse.y). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

FIELDS = {
    "targetname": ("TargetName", "target"),
    "targetaddress": ("TargetAddress", "portal"),
    "initiatorname": ("InitiatorName", "initiator"),
    "initiatoraddress": ("InitiatorAddress", "initiator_portal"),
    "initiatoralias": ("InitiatorAlias", "initiator_alias"),
    "chapiname": ("chapIName", "user"),
    "chapsecret": ("chapSecret", "secret"),
    "tgtchapname": ("tgtChapName", "mutual_user"),
    "tgtchapsecret": ("tgtChapSecret", "mutual_secret"),
    "offload": ("Offload", "offload"),
    "authmethod": ("AuthMethod", ""),
    "headerdigest": ("HeaderDigest", ""),
    "datadigest": ("DataDigest", ""),
    "sessiontype": ("SessionType", ""),
    "enable": ("Enable", ""),
    "protocol": ("Protocol", ""),
    "dscp": ("dscp", ""),
    "pcp": ("pcp", ""),
}
OBSOLETE = frozenset(
    {
        *("port", "maxconnections", "targetalias", "targetportalgrouptag", "initialr2t", "immediatedata"),
        *("maxrecvdatasegmentlength", "maxburstlength", "firstburstlength", "defaulttime2wait", "defaulttime2retain"),
        *("maxoutstandingr2t", "datapduinorder", "datasequenceinorder", "errorrecoverylevel", "tags", "maxluns"),
        *("sockbufsize", "chapdigest"),
    }
)
_TOKEN = re.compile(r'"([^"]*)"|([{}=;])|([A-Za-z0-9.\-_/:\[\]]+)|(#[^\n]*|[ \t\r]+)|(\n)|(.)')


class ConfError(Exception):
    """What iscsictl says on standard error before it exits with 1."""


@dataclass(frozen=True)
class Entry:
    """One target of the file: what was given, by the names of `kernel.conf.Conf`."""

    nickname: str
    given: dict[str, str | bool]


@dataclass(frozen=True)
class _Word:
    text: str
    line: int
    quoted: bool = False


def parse(text: str) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """The entries in order, and the warnings; ConfError with iscsictl's words."""
    words = list(_words(text))
    entries: list[Entry] = []
    warnings: list[str] = []
    position = 0

    def take(what: str = "") -> _Word:
        nonlocal position
        if position >= len(words):
            line = text.count("\n") + 1
            raise ConfError(f"error in configuration file at line {line} near '': syntax error")
        word = words[position]
        if what and (word.text != what or word.quoted):
            raise _near(word)
        position += 1
        return word

    while position < len(words):
        if words[position].text == ";":
            position += 1
            continue
        nickname = take()
        take("{")
        given: dict[str, str] = {}
        while words[position : position + 1] and (words[position].text != "}" or words[position].quoted):
            key = take()
            if key.text == ";":
                continue
            name = key.text.lower()
            if key.quoted or (name not in FIELDS and name not in OBSOLETE):
                raise _near(key)
            take("=")
            value = take()
            if name in OBSOLETE:
                warnings.append(f"obsolete statement ignored at line {key.line}")
                continue
            if name in given:
                raise ConfError(f"duplicated {FIELDS[name][0]} at line {key.line}")
            given[name] = _checked(name, value)
        take("}")
        entries.append(_entry(nickname.text, given))
    return tuple(entries), tuple(warnings)


def find(entries: tuple[Entry, ...], nickname: str) -> Entry | None:
    """By nickname, whatever its case."""
    return next((entry for entry in entries if entry.nickname.lower() == nickname.lower()), None)


def _checked(name: str, value: _Word) -> str:
    text = value.text.lower()
    allowed = {
        "authmethod": ("none", "chap"),
        "headerdigest": ("none", "crc32c"),
        "datadigest": ("none", "crc32c"),
        "sessiontype": ("normal", "discovery"),
        "protocol": ("iscsi", "iser"),
        "enable": ("on", "off", "yes", "no"),
    }.get(name)
    if allowed is not None and text not in allowed:
        raise ConfError(f"invalid {FIELDS[name][0]} at line {value.line}; must be one of {', '.join(allowed)}")
    return value.text


def _entry(nickname: str, raw: dict[str, str]) -> Entry:
    given: dict[str, str | bool] = {FIELDS[name][1]: value for name, value in raw.items() if FIELDS[name][1]}
    discovery = raw.get("sessiontype", "").lower() == "discovery"
    if discovery and "target" in given:
        raise ConfError(f'cannot specify TargetName for discovery session for target "{nickname}"')
    if not discovery and "target" not in given:
        raise ConfError(f'missing TargetName for target "{nickname}"')
    if "portal" not in given:
        raise ConfError(f'missing TargetAddress for target "{nickname}"')
    _check_chap(nickname, raw, given)
    for name, key in (("header_digest", "headerdigest"), ("data_digest", "datadigest")):
        if raw.get(key, "none").lower() == "crc32c":
            given[name] = "CRC32C"
    given["discovery"] = discovery
    given["enable"] = raw.get("enable", "on").lower() in ("on", "yes")
    given["iser"] = raw.get("protocol", "").lower() == "iser"
    return Entry(nickname, given)


def _check_chap(nickname: str, raw: dict[str, str], given: dict[str, str | bool]) -> None:
    chap = raw.get("authmethod", "").lower()
    keys = ("user", "secret", "mutual_user", "mutual_secret")
    if chap == "none":
        for key in keys:
            given.pop(key, None)
        return
    if chap == "chap" or any(key in given for key in keys):
        for key, name in (("user", "chapIName"), ("secret", "chapSecret")):
            if key not in given:
                raise ConfError(f'missing {name} for target "{nickname}"')
        for key, other, name in (
            ("mutual_user", "mutual_secret", "tgtChapSecret"),
            ("mutual_secret", "mutual_user", "tgtChapName"),
        ):
            if key in given and other not in given:
                raise ConfError(f'missing {name} for target "{nickname}"')


def _words(text: str) -> Iterator[_Word]:
    line = 1
    for match in _TOKEN.finditer(text):
        quoted, mark, bare, _, newline, wrong = match.groups()
        if newline is not None:
            line += 1
        elif quoted is not None:
            yield _Word(quoted, line, quoted=True)
            line += quoted.count("\n")
        elif mark or bare:
            yield _Word(mark or bare, line)
        elif wrong is not None:
            raise _near(_Word(wrong, line))


def _near(word: _Word) -> ConfError:
    return ConfError(f"error in configuration file at line {word.line} near '{word.text}': syntax error")
