"""iscsictl(8): arguments, exit statuses, and what it asks the kernel for."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from dataclasses import replace
from getopt import GetoptError, gnu_getopt
from typing import Any

from pyvmiscsi.lab.hypervisor.applets import Call
from pyvmiscsi.lab.hypervisor.kernel.conf import Conf
from pyvmiscsi.lab.hypervisor.kernel.session import Session
from pyvmiscsi.lab.hypervisor.texts import iscsi_conf, iscsictl_text, xo

OPTIONS = "AMRLac:d:e:i:n:p:rt:u:s:vw:"
DEFAULT_CONF = "/etc/iscsi.conf"


class RefusedError(Exception):
    """Ends the command with a message and status 1; with `usage`, the usage follows."""

    def __init__(self, message: str = "", *, usage: bool = False) -> None:
        super().__init__(message)
        self.usage = usage


def iscsictl(call: Call) -> int:
    """The whole command."""
    style = xo.Style()
    try:
        style, words = xo.split(call.argv[1:])
        return _run(call, style, words)
    except xo.StyleError as error:
        call.err(f"iscsictl: {error}\n{iscsictl_text.USAGE}")
    except RefusedError as error:
        if str(error):
            call.err(f"iscsictl: {error}\n")
        if error.usage:
            call.err(iscsictl_text.USAGE)
        if style.name in ("json", "xml") and not error.usage:
            call.out(iscsictl_text.listing((), verbose=False, style=style))
    return 1


def _run(call: Call, style: xo.Style, words: tuple[str, ...]) -> int:
    given = _options(words)
    verbs = [verb for verb in "AMRL" if f"-{verb}" in given]
    if len(verbs) > 1:
        raise RefusedError("at most one of -A, -M, -R, or -L may be specified")
    verb = verbs[0] if verbs else "L"
    enable, number, patience = _checked_words(given)
    _check(verb, given)
    if call.uid != 0:
        raise RefusedError("failed to open /dev/iscsi: Permission denied")
    if not call.kernel.sandbox.has("/dev/iscsi"):
        raise RefusedError("failed to open /dev/iscsi: No such file or directory")
    failed = 0
    if verb == "L":
        call.out(iscsictl_text.listing(call.kernel.initiator.rows(), verbose="-v" in given, style=style))
    elif verb == "A":
        failed = _add(call, given, enable)
    elif verb == "R":
        _remove(call, given)
    else:
        assert number is not None  # noqa: S101 - _check refuses -M without -i
        _modify(call, given, number, enable)
    if patience is not None:
        failed += _wait(call, patience)
    return 1 if failed else 0


def _options(words: tuple[str, ...]) -> dict[str, str]:
    try:
        pairs, rest = gnu_getopt(list(words), "+" + OPTIONS)
    except GetoptError as error:
        what = "option requires an argument" if "requires" in error.msg else "illegal option"
        raise RefusedError(f"{what} -- {error.opt}", usage=True) from error
    if rest:
        raise RefusedError(usage=True)
    return dict(pairs)


def _checked_words(given: dict[str, str]) -> tuple[bool | None, int | None, int | None]:
    enable = None
    if "-e" in given:
        enable = {"on": True, "yes": True, "off": False, "no": False}.get(given["-e"].lower())
        if enable is None:
            raise RefusedError('invalid argument to -e, must be either "on" or "off"')
    for letter, what in (("-i", "session-id"), ("-w", "timeout")):
        if letter in given and not given[letter].isdigit():
            raise RefusedError(f"trailing characters after {what}")
    number = int(given["-i"]) if "-i" in given else None
    patience = int(given["-w"]) if "-w" in given else None
    return enable, number, patience


ADD, MODIFY, REMOVE = "A", "M", "R"


def _check(verb: str, given: dict[str, str]) -> None:
    """The rules of iscsictl.c, in its order."""
    if verb == ADD:
        _check_add(given)
    elif verb == MODIFY:
        _check_modify(given)
    elif verb == REMOVE:
        _check_remove(given)
    else:
        _refuse(given, "-L", "adeinprtus")


def _check_modify(given: dict[str, str]) -> None:
    if "-i" not in given:
        raise RefusedError("-M requires -i")
    _refuse(given, "-M", "adrvw")
    if "-n" in given:
        _exclusive(given, "-n", "ptuse")


def _check_remove(given: dict[str, str]) -> None:
    if "-a" in given:
        _exclusive(given, "-a", "ptn")
    elif "-n" in given:
        _exclusive(given, "-n", "pt")
    elif "-p" not in given and "-t" not in given:
        raise RefusedError("must specify either -a, -n, -t, or -p")
    _refuse(given, "-R", "diuservw")


def _check_add(given: dict[str, str]) -> None:
    if "-a" in given:
        _exclusive(given, "-a", "ptnusder")
    elif "-n" in given:
        _exclusive(given, "-n", "ptusder")
    elif "-d" in given:
        _exclusive(given, "-d", "pt")
    else:
        if "-p" in given and "-t" not in given:
            raise RefusedError("-p must always be used with -t")
        if "-t" in given and "-p" not in given:
            raise RefusedError("-t must always be used with -p")
        if "-p" not in given:
            raise RefusedError("must specify -a, -n or -t/-p")
    if "-u" in given and "-s" not in given:
        raise RefusedError("-u must always be used with -s")
    if "-s" in given and "-u" not in given:
        raise RefusedError("-s must always be used with -u")
    _refuse(given, "-A", "iv")


def _exclusive(given: dict[str, str], letter: str, others: str) -> None:
    for other in others:
        if f"-{other}" in given:
            raise RefusedError(f"{letter} and -{other} and mutually exclusive")


def _refuse(given: dict[str, str], verb: str, letters: str) -> None:
    for letter in letters:
        if f"-{letter}" in given:
            raise RefusedError(f"-{letter} cannot be used with {verb}")


def _add(call: Call, given: dict[str, str], enable: bool | None) -> int:
    """Status of adding: 0, or -1 for each failure, as iscsictl sums it."""
    if "-a" in given or "-n" in given:
        return sum(_add_one(call, _conf_of(call, entry)) for entry in _entries(call, given))
    if "-t" in given:
        _warn(call, iscsi_conf.name_complaints(given["-t"]))
        if iscsi_conf.is_overlong(given["-t"]):
            raise RefusedError(f'invalid target name "{given["-t"]}"')
    conf = Conf(
        target=given.get("-t", ""),
        portal=given.get("-d", given.get("-p", "")),
        user=given.get("-u", ""),
        secret=given.get("-s", ""),
        initiator=_own_name(call),
        discovery="-d" in given,
        enable=True if enable is None else enable,
        iser="-r" in given,
    )
    return _add_one(call, conf)


def _add_one(call: Call, conf: Conf) -> int:
    try:
        call.kernel.initiator.add(conf)
    except OSError as error:
        call.err(f"iscsictl: ISCSISADD: {error.strerror}\n")
        return -1
    return 0


def _remove(call: Call, given: dict[str, str]) -> None:
    if "-a" in given:
        _remove_matching(call, lambda _session: True)
    elif "-n" in given:
        for entry in _entries(call, given):
            _remove_matching(call, _same_place(_conf_of(call, entry)))
    else:
        _remove_matching(call, lambda session: _matches(session, given.get("-p", ""), given.get("-t", "")))


def _same_place(conf: Conf) -> Callable[[Session], bool]:
    return lambda session: _matches(session, conf.portal, conf.target)


def _matches(session: Session, portal: str, target: str) -> bool:
    return (not portal or session.conf.portal == portal) and (not target or session.conf.target == target)


def _remove_matching(call: Call, matches: Callable[[Session], bool]) -> None:
    try:
        call.kernel.initiator.remove(matches)
    except OSError as error:
        raise RefusedError(f"ISCSISREMOVE: {error.strerror}") from error


def _modify(call: Call, given: dict[str, str], number: int, enable: bool | None) -> None:
    if "-n" in given:
        replacement = _conf_of(call, _entries(call, given)[0])
        changes: dict[str, Any] = vars(replacement)
    else:
        if not any(row.number == number for row in call.kernel.initiator.rows()):
            raise RefusedError(f"session-id {number} not found")
        named = {"-p": "portal", "-t": "target", "-u": "user", "-s": "secret"}
        changes = {field: given[letter] for letter, field in named.items() if given.get(letter)}
        if enable is not None:
            changes["enable"] = enable
    try:
        call.kernel.initiator.modify(number, lambda old: replace(old, **changes))
    except OSError as error:
        if "-n" in given:
            raise RefusedError(f"ISCSISMODIFY: {error.strerror}") from error
        call.err(f"iscsictl: ISCSISMODIFY: {error.strerror}\n")


def _wait(call: Call, patience: int) -> int:
    """Poll every second until all sessions of the host are connected; 1 when they are not in time."""
    end = time.monotonic() + patience
    while not all(row.connected for row in call.kernel.initiator.rows()):
        left = end - time.monotonic() if patience else 1.0
        if left <= 0 or call.gone.wait(min(1.0, left)):
            return 1
    return 0


def _own_name(call: Call) -> str:
    return f"iqn.1994-09.org.freebsd:{call.kernel.facts.hostname}"


def _conf_of(call: Call, entry: iscsi_conf.Entry) -> Conf:
    given: dict[str, Any] = entry.given  # only fields of Conf, as the parser gives them
    conf = Conf(**given)
    return conf if conf.initiator else replace(conf, initiator=_own_name(call))


def _entries(call: Call, given: dict[str, str]) -> tuple[iscsi_conf.Entry, ...]:
    name = given.get("-c", DEFAULT_CONF)
    text = _read_conf(call, name)
    try:
        entries, warnings = iscsi_conf.parse(text)
    except iscsi_conf.ConfError as error:
        _warn(call, error.warnings)
        raise RefusedError(str(error)) from error
    _warn(call, warnings)
    if "-a" in given:
        return entries
    found = iscsi_conf.find(entries, given["-n"])
    if found is None:
        raise RefusedError(f"target {given['-n']} not found in {name}")
    return (found,)


def _warn(call: Call, warnings: tuple[str, ...]) -> None:
    for warning in warnings:
        call.err(f"iscsictl: {warning}\n")


def _read_conf(call: Call, name: str) -> str:
    if call.path(name) in ("/dev/stdin", "/dev/fd/0"):
        call.err("iscsictl: /dev/stdin is world-writable\n")
        with os.fdopen(os.dup(call.stdin)) as stream:
            return stream.read()
    path = call.kernel.sandbox.host_path(call.path(name))
    try:
        mode = path.stat().st_mode
        text: str = path.read_text(errors="replace")
    except OSError as error:
        raise RefusedError(
            f"unable to open configuration file {name}: {os.strerror(error.errno or errno.EIO)}"
        ) from error
    if mode & 0o002:
        call.err(f"iscsictl: {name} is world-writable\n")
    elif mode & 0o004:
        call.err(f"iscsictl: {name} is world-readable\n")
    return text
