"""uname(1), hostname(1), dmesg(8), logger(1), uuidgen(1), md5(1), df(1), truncate(1)."""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from getopt import GetoptError, getopt

from pyvmiscsi.lab.hypervisor.applets import Call


def uname(call: Call) -> int:
    """`uname [-aiKmnoprsUv]`: fields always come in the order of uname(1)."""
    facts = call.kernel.facts
    letters = "".join(word[1:] for word in call.argv[1:] if word.startswith("-")) or "s"
    fields = {
        "s": "FreeBSD",
        "n": facts.hostname,
        "r": facts.release,
        "v": facts.version,
        "m": "amd64",
        "p": "amd64",
        "i": "GENERIC",
        "o": "FreeBSD",
        "K": str(facts.version_number),
        "U": str(facts.version_number),
    }
    unknown = next((letter for letter in letters if letter not in fields and letter != "a"), None)
    if unknown:
        call.err(f"uname: illegal option -- {unknown}\nusage: uname [-abiKmnoprsUv]\n")
        return 1
    if "a" in letters:
        letters += "snrvm"
    order = "snrvmpiKU" if "s" in letters or "o" not in letters else "onrvmpiKU"
    call.out(" ".join(fields[letter] for letter in order if letter in letters) + "\n")
    return 0


def hostname(call: Call) -> int:
    """`hostname [-fs]`; setting it is not for a lab."""
    name = call.kernel.facts.hostname
    flags = "".join(word[1:] for word in call.argv[1:] if word.startswith("-"))
    if len(call.argv) > 1 and not call.argv[-1].startswith("-"):
        return call.fail("sethostname: Operation not permitted")
    call.out((name.partition(".")[0] if "s" in flags else name) + "\n")
    return 0


def dmesg(call: Call) -> int:
    """The console's messages."""
    call.out("".join(f"{line}\n" for line in call.kernel.console.messages()))
    return 0


def logger(call: Call) -> int:
    """`logger [-t tag] [message …]`, to /var/log/messages; without a message, every line of standard input."""
    try:
        options, words = getopt(list(call.argv[1:]), "46Af:h:H:iP:p:sS:t:")
    except GetoptError as error:
        call.err(f"logger: illegal option -- {error.opt}\n")
        return 1
    given = dict(options)
    lines = [" ".join(words)]
    if not words:
        with os.fdopen(os.dup(call.stdin), errors="replace") as stream:
            lines = stream.read().splitlines()
    for line in lines:
        call.kernel.log(given.get("-t", "root"), line)
        if "-s" in given:
            call.err(f"{given.get('-t', 'root')}: {line}\n")
    return 0


def uuidgen(call: Call) -> int:
    """`uuidgen [-1] [-r] [-n count]`: version 1, and version 4 with -r."""
    given = dict(getopt(list(call.argv[1:]), "1rcn:o:")[0])
    for _ in range(int(given.get("-n", "1"))):
        call.out(f"{uuid.uuid4() if '-r' in given else uuid.uuid1()}\n")
    return 0


def digest(call: Call) -> int:
    """`md5|sha1|sha256|sha512 [-q] [-r] [file …]`: BSD's form with the name in brackets."""
    options, names = getopt(list(call.argv[1:]), "pqrtxbc:s:")
    flags = {name for name, _ in options}
    if not names:
        with os.fdopen(os.dup(call.stdin), "rb") as stream:
            call.out(f"{hashlib.file_digest(stream, call.name).hexdigest()}\n")
        return 0
    status = 0
    for name in names:
        try:
            with call.kernel.sandbox.host_path(call.path(name)).open("rb") as stream:
                value = hashlib.file_digest(stream, call.name).hexdigest()
        except OSError as error:
            status = call.fail(f"{name}: {error.strerror}")
            continue
        if "-q" in flags:
            call.out(f"{value}\n")
        else:
            call.out(f"{value} {name}\n" if "-r" in flags else f"{call.name.upper()} ({name}) = {value}\n")
    return status


def df(call: Call) -> int:
    """`df [-kP] path …`: of what is mounted, only the shared directory is told from the rest."""
    try:
        options, names = getopt(list(call.argv[1:]), "kP")
    except GetoptError as error:
        call.err(f"df: illegal option -- {error.opt}\nusage: df [-kP] [file ...]\n")
        return 1
    unit, shown = (1024, "1024-blocks") if ("-k", "") in options else (512, "512-blocks")
    call.out(f"Filesystem {shown} Used Avail Capacity Mounted on\n")
    status = 0
    for name in names or ["/"]:
        path = call.path(name)
        try:
            found = os.statvfs(call.kernel.sandbox.host_path(path))
        except OSError as error:
            status = call.fail(f"{name}: {error.strerror}")
            continue
        total, free = (blocks * found.f_frsize // unit for blocks in (found.f_blocks, found.f_bavail))
        is_shared = f"{path}/".startswith("/vmconfig/")
        device, place = ("nas:/vmconfig", "/vmconfig") if is_shared else ("zroot/ROOT/default", "/")
        call.out(f"{device} {total} {total - free} {free} {100 * (total - free) // max(total, 1)}% {place}\n")
    return status


SUFFIXES = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}


def truncate(call: Call) -> int:
    """`truncate [-c] -s [+|-]size[kKmMgGtT] file …`; `-r file` for the size of another."""
    usage = "usage: truncate [-c] -s [+|-|%|/]size[K|k|M|m|G|g|T|t] file ...\n       truncate [-c] -r rfile file ...\n"
    try:
        options, names = getopt(list(call.argv[1:]), "cdr:s:")
    except GetoptError as error:
        call.err(f"truncate: illegal option -- {error.opt}\n{usage}")
        return 1
    given = dict(options)
    sandbox = call.kernel.sandbox
    match = re.fullmatch(r"([+-]?)(\d+)([kmgt]?)", given.get("-s", "").lower())
    if not names or (match is None and "-r" not in given):
        call.err(usage)
        return 1
    if match:
        sign, size = match[1], int(match[2]) << SUFFIXES[match[3]]
    else:
        sign, size = "", sandbox.host_path(call.path(given["-r"])).stat().st_size
    status = 0
    for name in names:
        path = sandbox.host_path(call.path(name))
        if "-c" in given and not path.exists():
            continue
        try:
            with path.open("ab") as stream:
                old = path.stat().st_size
                stream.truncate({"": size, "+": old + size, "-": max(old - size, 0)}[sign])
        except OSError as error:
            status = call.fail(f"{name}: {error.strerror}")
    return status
