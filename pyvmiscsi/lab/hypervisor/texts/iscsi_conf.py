"""iscsi.conf(5) as iscsictl's lexer and grammar read it (usr.bin/iscsictl/token.l, parse.y, iscsictl.c). Pure.

Faithful to the odd: keywords stand in any letters' case and are no values unless quoted, a quoted string may go over
lines that are not counted, a comment needs the end of its line, and anything unknown is a word of one character.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pyvmiscsi.lab.c_numbers import as_int, expand_number

STRINGS = {
    "targetname": ("TargetName", "target"),
    "targetaddress": ("TargetAddress", "portal"),
    "initiatorname": ("InitiatorName", "initiator"),
    "initiatoraddress": ("InitiatorAddress", "initiator_portal"),
    "initiatoralias": ("InitiatorAlias", "initiator_alias"),
    "chapiname": ("chapIName", "user"),
    "chapsecret": ("chapSecret", "secret"),
    "tgtchapname": ("tgtChapName", "mutual_user"),
    "tgtchapsecret": ("tgtChapSecret", "mutual_secret"),
    "offload": ("offload", "offload"),
}
CHOICES = {
    "authmethod": ("AuthMethod", ("none", "CHAP")),
    "headerdigest": ("HeaderDigest", ("none", "CRC32C")),
    "datadigest": ("DataDigest", ("none", "CRC32C")),
    "sessiontype": ("SessionType", ("normal", "discovery")),
    "protocol": ("protocol", ("iscsi", "iser")),
    "enable": ("enable", ("on", "off")),
}
NUMBERS = {
    "dscp": ("dscp", "dscp", 0x3F),
    "pcp": ("pcp", "pcp", 7),
    "pingtimeout": ("PingTimeout", "ping_timeout", None),
    "logintimeout": ("LoginTimeout", "login_timeout", None),
}
"""Keyword: its name in complaints, the field of `kernel.conf.Conf`, the largest value if one is said."""
OBSOLETE = frozenset(
    {
        *("port", "maxconnections", "targetalias", "targetportalgrouptag", "initialr2t", "immediatedata"),
        *("maxrecvdatasegmentlength", "maxburstlength", "firstburstlength", "defaulttime2wait", "defaulttime2retain"),
        *("maxoutstandingr2t", "datapduinorder", "datasequenceinorder", "errorrecoverylevel", "tags", "maxluns"),
        *("sockbufsize", "chapdigest"),
    }
)
CODEPOINTS = {
    "be": 0,
    "ef": 46,
    **{f"cs{n}": 8 * n for n in range(8)},
    **{f"af{n}{drop}": 8 * n + 2 * drop for n in range(1, 5) for drop in range(1, 4)},
}
"""Values of dscp by name; keywords, too."""
_KEYWORDS = frozenset({*STRINGS, *CHOICES, *NUMBERS, *OBSOLETE, *CODEPOINTS})
_YES = {"yes": "on", "no": "off"}
_TOKEN = re.compile(
    r'"(?P<quoted>[^"]+)"|(?P<bare>[A-Za-z0-9.\-_/:\[\]]+)|(?P<mark>[{}=;])'
    r"|(?P<nothing>#[^\n]*(?=\n)|[ \t]+)|(?P<line>\r?\n)|(?P<other>.)",
    re.DOTALL,
)
_WORD, _END = "word", "end"


class ConfError(Exception):
    """What iscsictl says on standard error before it exits with 1; `warnings` are what it has said already."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One target of the file: what was given, by the names of `kernel.conf.Conf`."""

    nickname: str
    given: dict[str, str | bool | int]


def parse(text: str) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """The entries in order, and the warnings; ConfError with iscsictl's words."""
    warnings: list[str] = []
    try:
        targets = list(_targets(_Lexer(text), warnings))
        return tuple(_entry(target, warnings) for target in targets), tuple(warnings)
    except ConfError as error:
        error.warnings = tuple(warnings)
        raise


def find(entries: tuple[Entry, ...], nickname: str) -> Entry | None:
    """By nickname, whatever its case."""
    return next((entry for entry in entries if entry.nickname.lower() == nickname.lower()), None)


def name_complaints(name: str) -> tuple[str, ...]:
    """What iscsictl remarks on an iSCSI name; it uses it all the same, unless it is overlong."""
    kind = name[:4].lower()
    if is_overlong(name):
        return (f'overlong name for "{name}"; max length allowed by iSCSI specification is {LONGEST_NAME} characters',)
    if kind == "iqn.":
        wrong = re.search(r"[^A-Za-z0-9.:-]", name[4:])
        allowed = "allowed characters are letters, digits, '-', '.', and ':'"
        return (f'invalid character "{wrong[0]}" in iSCSI name "{name}"; {allowed}',) if wrong else ()
    if kind in ("eui.", "naa."):
        return tuple(_hexadecimal_complaints(name, kind))
    return (f'invalid iSCSI name "{name}"; should start with either ".iqn", "eui.", or "naa."',)


LONGEST_NAME = 223


def is_overlong(name: str) -> bool:
    """Whether iscsictl refuses the name."""
    return len(name.encode()) >= LONGEST_NAME


def _hexadecimal_complaints(name: str, kind: str) -> Iterator[str]:
    if kind == "eui." and len(name) != 20:
        yield f'invalid iSCSI name "{name}"; the "eui." should be followed by exactly 16 hexadecimal digits'
    if kind == "naa." and len(name) > 36:
        yield f'invalid iSCSI name "{name}"; the "naa." should be followed by at most 32 hexadecimal digits'
    if wrong := re.search(r"[^0-9A-Fa-f]", name[4:]):
        spelled = "iSCSI" if kind == "eui." else "ISCSI"
        yield f'invalid character "{wrong[0]}" in {spelled} name "{name}"; allowed characters are 1-9 and A-F'


@dataclass(frozen=True)
class _Token:
    kind: str
    """`word`, `end`, a mark, or a keyword in small letters."""
    text: str
    """As it stands in the file, quotes included."""
    value: str = ""


class _Lexer:
    """The file's tokens one after the other, and the line that the last of them stood on."""

    def __init__(self, text: str) -> None:
        self._matches = _TOKEN.finditer(text.encode(errors="replace").decode("latin-1"))  # it reads bytes
        self.line = 1

    def next(self) -> _Token:
        for match in self._matches:
            kind, text = match.lastgroup, match[0]
            if kind == "line":
                self.line += 1
            elif kind == "mark":
                return _Token(text, text)
            elif kind == "bare" and text.lower() in _KEYWORDS:
                return _Token(text.lower(), text)
            elif kind != "nothing":
                return _Token(_WORD, _characters(text), _characters(match[kind or 0]))
        return _Token(_END, "")

    def take(self, kind: str) -> _Token:
        """The next token; ConfError when it is of another kind."""
        return self.only(self.next(), kind)

    def only(self, token: _Token, kind: str) -> _Token:
        if token.kind != kind:
            raise self.wrong(token, "syntax error")
        return token

    def wrong(self, token: _Token, what: str) -> ConfError:
        return ConfError(f"error in configuration file at line {self.line} near '{token.text}': {what}")


def _characters(octets: str) -> str:
    return octets.encode("latin-1").decode(errors="replace")


@dataclass
class _Target:
    """What stands between one pair of braces."""

    nickname: str
    strings: dict[str, str] = field(default_factory=dict)
    choices: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)


def _targets(lexer: _Lexer, warnings: list[str]) -> Iterator[_Target]:
    seen: set[str] = set()
    while (token := lexer.next()).kind != _END:
        target = _Target(lexer.only(token, _WORD).value)
        lexer.take("{")
        token = lexer.next()
        while token.kind != "}":
            _read_statement(token, target, lexer, warnings)
            token = lexer.next()
            if token.kind == ";":
                token = lexer.next()
        if target.nickname.lower() in seen:
            raise ConfError(f"duplicated target {target.nickname}")
        seen.add(target.nickname.lower())
        yield target


def _read_statement(keyword: _Token, target: _Target, lexer: _Lexer, warnings: list[str]) -> None:
    name = keyword.kind
    if name in STRINGS:
        value = _value(lexer)
        _refuse_second(name in target.strings, STRINGS[name][0], lexer)
        target.strings[name] = value
    elif name in CHOICES:
        value = _value(lexer)
        _refuse_second(name in target.choices, CHOICES[name][0], lexer)
        target.choices[name] = _choice(name, value, lexer)
    elif name in NUMBERS:
        _read_number(name, target, lexer)
    elif name in OBSOLETE:
        _value(lexer)
        warnings.append(f"obsolete statement ignored at line {lexer.line}")
    else:
        raise lexer.wrong(keyword, "syntax error")


def _value(lexer: _Lexer) -> str:
    lexer.take("=")
    return lexer.take(_WORD).value


def _refuse_second(is_second: bool, shown: str, lexer: _Lexer) -> None:
    if is_second:
        raise ConfError(f"duplicated {shown} at line {lexer.line}")


def _choice(name: str, value: str, lexer: _Lexer) -> str:
    shown, (first, second) = CHOICES[name]
    word = value.lower()
    word = _YES.get(word, word) if name == "enable" else word
    if word not in (first.lower(), second.lower()):
        raise ConfError(f'invalid {shown} at line {lexer.line}; must be either "{first}" or "{second}"')
    return word


def _read_number(name: str, target: _Target, lexer: _Lexer) -> None:
    shown, _, largest = NUMBERS[name]
    lexer.take("=")
    token = lexer.next()
    if name == "dscp" and token.kind in CODEPOINTS:
        target.numbers[name] = CODEPOINTS[token.kind]
        return
    lexer.only(token, _WORD)
    _refuse_second(target.numbers.get(name, -1) != -1, shown, lexer)
    number = 0 if name == "dscp" and token.value == "0x" else expand_number(token.value)
    if number is None:
        raise lexer.wrong(token, "invalid numeric value")
    if largest is not None and number > largest:
        raise lexer.wrong(token, f"invalid {shown} value")
    target.numbers[name] = as_int(number)


def _entry(target: _Target, warnings: list[str]) -> Entry:
    """iscsictl's conf_verify(), in its order."""
    nickname, strings, choices = target.nickname, target.strings, target.choices
    given: dict[str, str | bool | int] = {STRINGS[name][1]: value for name, value in strings.items()}
    given |= {NUMBERS[name][1]: number for name, number in target.numbers.items() if number != -1}
    discovery = choices.get("sessiontype") == "discovery"
    if discovery and "target" in given:
        raise ConfError(f'cannot specify TargetName for discovery sessions for target "{nickname}"')
    if not discovery and "target" not in given:
        raise ConfError(f'missing TargetName for target "{nickname}"')
    _check_name("target", strings.get("targetname"), warnings)
    if "portal" not in given:
        raise ConfError(f'missing TargetAddress for target "{nickname}"')
    _check_name("initiator", strings.get("initiatorname"), warnings)
    _check_chap(nickname, choices.get("authmethod"), given)
    for key, name in (("header_digest", "headerdigest"), ("data_digest", "datadigest")):
        if choices.get(name) == "crc32c":
            given[key] = "CRC32C"
    given["discovery"] = discovery
    given["enable"] = choices.get("enable") != "off"
    given["iser"] = choices.get("protocol") == "iser"
    return Entry(nickname, given)


def _check_name(whose: str, name: str | None, warnings: list[str]) -> None:
    if name is not None:
        warnings.extend(name_complaints(name))
        if is_overlong(name):
            raise ConfError(f'invalid {whose} name "{name}"')


def _check_chap(nickname: str, method: str | None, given: dict[str, str | bool | int]) -> None:
    """With `AuthMethod = None` nothing is checked, and what was given goes to the kernel all the same."""
    if method == "none" or (method is None and not given.keys() & {"user", "secret", "mutual_user", "mutual_secret"}):
        return
    mutual = bool(given.keys() & {"mutual_user", "mutual_secret"})
    for key, shown, is_needed in (
        ("user", "chapIName", True),
        ("secret", "chapSecret", True),
        ("mutual_user", "tgtChapName", mutual),
        ("mutual_secret", "tgtChapSecret", mutual),
    ):
        if is_needed and key not in given:
            raise ConfError(f'missing {shown} for target "{nickname}"')
