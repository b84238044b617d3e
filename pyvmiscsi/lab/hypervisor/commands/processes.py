"""pgrep(1), pkill(1), ps(1), procstat(1), fstat(1): the sandbox's processes, as FreeBSD shows them."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from dataclasses import dataclass
from getopt import GetoptError, getopt
from pathlib import Path
from typing import TYPE_CHECKING

from pyvmiscsi.lab.hypervisor.applets import Call

if TYPE_CHECKING:
    from pyvmiscsi.lab.hypervisor.sandbox import Sandbox

INTERPRETER = "/libexec/lab/bin/python3"


@dataclass(frozen=True)
class Process:
    """One process: ids as the sandbox has them, `name` what it was executed as, `arguments` its title or argv."""

    pid: int
    parent: int
    group: int
    session: int
    uid: int
    state: str
    name: str
    arguments: tuple[str, ...]
    outside: int
    terminal: str = "-"

    @property
    def command(self) -> str:
        return " ".join(self.arguments) if self.arguments else f"[{self.name}]"


def processes(sandbox: Sandbox) -> list[Process]:
    """All processes of the sandbox, by process id."""
    found = []
    for outside in sandbox.processes():
        with contextlib.suppress(OSError, ValueError, IndexError):
            found.append(_read(outside))
    return sorted(found, key=lambda process: process.pid)


def _read(outside: int) -> Process:
    base = Path(f"/proc/{outside}")
    status = dict(line.split(":\t", 1) for line in (base / "status").read_text().splitlines() if ":\t" in line)
    raw = (base / "cmdline").read_bytes().rstrip(b"\0")
    words = tuple(word.decode("utf-8", "replace") for word in raw.split(b"\0")) if raw else ()
    stat = (base / "stat").read_text().rpartition(")")[2].split()
    pid = int(status["NSpid"].split()[-1])
    name, arguments = shown(status["Name"].strip(), words)
    return Process(
        pid=pid,
        parent=0 if pid == 1 else _inside(int(stat[1])),
        group=int(status["NSpgid"].split()[-1]),
        session=int(status["NSsid"].split()[-1]),
        uid=0,
        state=STATES.get(stat[0], stat[0]),
        name="init" if pid == 1 else name,
        arguments=("/sbin/init",) if pid == 1 else arguments,
        outside=outside,
    )


STATES = {"R": "R", "S": "S", "D": "D", "Z": "Z", "T": "T", "I": "I"}


def _inside(outside: int) -> int:
    try:
        text = Path(f"/proc/{outside}/status").read_text()
    except OSError:
        return 0
    line = next((line for line in text.splitlines() if line.startswith("NSpid:")), "")
    numbers = line.split()[1:]
    return int(numbers[-1]) if len(numbers) > 1 else 0


def shown(name: str, words: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Name and arguments without the lab's interpreter: `python3 -ISB /usr/bin/iscsictl -L` is `iscsictl -L`."""
    if len(words) > 2 and words[0] == INTERPRETER and words[2].startswith(("/bin/", "/sbin/", "/usr/")):
        script = words[2].rsplit("/", 1)[-1]
        return script, (script, *words[3:])
    if words and ": " in words[0] and len([word for word in words if word]) == 1:
        return words[0].partition(":")[0], (words[0],)
    return name, words


def pgrep(call: Call) -> int:
    """`pgrep [-LafilnoqSvx] [-F pidfile] [-P ppid] [-d delimiter] pattern …`; status 1 when nothing matches."""
    try:
        options, patterns = getopt(list(call.argv[1:]), "LSafF:G:M:N:P:U:d:g:ij:lnoqs:t:u:vx")
    except GetoptError as error:
        call.err(f"pgrep: illegal option -- {error.opt}\n")
        return 2
    given = dict(options)
    found = _select(call, given, patterns)
    if isinstance(found, int):
        return found
    if "-q" not in given and found:
        delimiter = given.get("-d", "\n")
        texts = [f"{one.pid} {_told(one, given)}" if "-l" in given else str(one.pid) for one in found]
        call.out(delimiter.join(texts) + "\n")
    return 0 if found else 1


def _told(process: Process, given: dict[str, str]) -> str:
    return process.command if "-f" in given else process.name


def pkill(call: Call) -> int:
    """`pkill [-SIGNAL] [-afilnovx] [-F pidfile] pattern …`."""
    words, number = list(call.argv[1:]), int(signal.SIGTERM)
    if words and re.match(r"^-(\d+|[A-Z][A-Z0-9]+)$", words[0]):
        text = words.pop(0)[1:]
        number = int(text) if text.isdigit() else int(getattr(signal, f"SIG{text.removeprefix('SIG')}"))
    try:
        options, patterns = getopt(words, "ILafF:G:M:N:P:U:g:ij:lnos:t:u:vx")
    except GetoptError as error:
        call.err(f"pkill: illegal option -- {error.opt}\n")
        return 2
    found = _select(call, dict(options), patterns)
    if isinstance(found, int):
        return found
    for one in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one.outside, number)
    return 0 if found else 1


def _select(call: Call, given: dict[str, str], patterns: list[str]) -> list[Process] | int:
    everybody = processes(call.kernel.sandbox)
    candidates = [one for one in everybody if one.pid not in (1, call.pid) and one.state != "Z"]
    name = call.name
    if "-F" in given:
        pid = _pid_of_file(call, given["-F"], name)
        if isinstance(pid, str):
            call.err(pid)
            return 3
        candidates = [one for one in candidates if one.pid == pid]
    elif not patterns and not set(given) & {"-P", "-U", "-u", "-g", "-s", "-t", "-G", "-j"}:
        call.err(f"usage: {name} [-LSafilnoqvx] [-d delim] [-F pidfile] ... pattern ...\n")
        return 2
    if "-a" not in given:
        ancestors = _ancestors(everybody, call.pid)
        candidates = [one for one in candidates if one.pid not in ancestors]
    if "-P" in given:
        parents = {int(text) for text in given["-P"].split(",")}
        candidates = [one for one in candidates if one.parent in parents]
    if patterns:
        candidates = [one for one in candidates if _matches(one, given, patterns) != ("-v" in given)]
    if "-n" in given:
        candidates = candidates[-1:]
    if "-o" in given:
        candidates = candidates[:1]
    return candidates


def _ancestors(candidates: list[Process], pid: int) -> set[int]:
    """The shells that the caller runs in: pgrep leaves its own ancestors out."""
    parents = {one.pid: one.parent for one in candidates}
    found: set[int] = set()
    current = next((one.parent for one in candidates if one.pid == pid), 0)
    while current and current not in found:
        found.add(current)
        current = parents.get(current, 0)
    return found


def _matches(process: Process, given: dict[str, str], patterns: list[str]) -> bool:
    text = process.command if "-f" in given else process.name
    flags = re.IGNORECASE if "-i" in given else 0
    for pattern in patterns:
        found = re.search(pattern, text, flags)
        if found and ("-x" not in given or found.span() == (0, len(text)) or re.fullmatch(pattern, text, flags)):
            return True
    return False


def _pid_of_file(call: Call, file: str, name: str) -> int | str:
    path = call.kernel.sandbox.host_path(call.path(file))
    try:
        text = path.read_text().strip()
    except OSError as error:
        return f"{name}: Cannot open pidfile `{file}': {error.strerror}\n"
    if not text:
        return f"{name}: Pidfile `{file}' is empty\n"
    try:
        return int(text.split()[0])
    except ValueError:
        return f"{name}: Invalid pid in file `{file}'\n"


COLUMNS = {
    "pid": ("PID", ">"),
    "ppid": ("PPID", ">"),
    "pgid": ("PGID", ">"),
    "sid": ("SID", ">"),
    "uid": ("UID", ">"),
    "user": ("USER", "<"),
    "state": ("STAT", "<"),
    "stat": ("STAT", "<"),
    "tt": ("TT", "<"),
    "tty": ("TTY", "<"),
    "time": ("TIME", ">"),
    "mwchan": ("MWCHAN", "<"),
    "wchan": ("WCHAN", "<"),
    "command": ("COMMAND", "<"),
    "args": ("COMMAND", "<"),
    "comm": ("COMMAND", "<"),
    "ucomm": ("COMMAND", "<"),
}


def ps(call: Call) -> int:
    """`ps [-aAxwwhH] [-o columns] [-p pids]`, and the forms without a dash."""
    words = ["-" + word if not word.startswith("-") and not word.isdigit() else word for word in call.argv[1:2]]
    try:
        options, rest = getopt(
            words + list(call.argv[2:]), "aACcde fHhjlmrSTuvwXxZo:O:p:G:J:M:N:t:U:D:".replace(" ", "")
        )
    except GetoptError as error:
        call.err(f"ps: illegal option -- {error.opt}\nusage: ps [-aCcdefHhjlmrSTuvwXxZ] [-O fmt] [-o fmt]\n")
        return 1
    names: list[tuple[str, str | None]] = []
    for name, value in options:
        if name == "-o":
            for column in value.replace(" ", ",").split(","):
                key, equals, title = column.partition("=")
                names.append((key, title if equals else None))
    letters = {name for name, _ in options}
    names = names or [(name, None) for name in _default_columns(letters)]
    unknown = next((name for name, _ in names if name not in COLUMNS), None)
    if unknown is not None:
        return call.fail(f"{unknown}: keyword not found")
    given = dict(options)
    pids = given["-p"].split(",") if "-p" in given else rest
    chosen = [
        one
        for one in processes(call.kernel.sandbox)
        if (str(one.pid) in pids if pids else letters & {"-a", "-x", "-A", "-e", "-d", "-u"} or one.pid != 1)
    ]
    call.out(table(chosen, names, header=not (letters & {"-h"}) and any(title != "" for _, title in names)))
    return 0 if chosen else 1


def _default_columns(letters: set[str]) -> tuple[str, ...]:
    if "-l" in letters:
        return ("uid", "pid", "ppid", "mwchan", "stat", "tt", "time", "command")
    if "-u" in letters:
        return ("user", "pid", "stat", "time", "command")
    return ("pid", "tt", "stat", "time", "command")


def table(chosen: list[Process], names: list[tuple[str, str | None]], *, header: bool) -> str:
    """The columns, each as wide as its widest value; the last one runs on."""
    titles = [COLUMNS[name][0] if title is None else title for name, title in names]
    rows = [[_value(one, name) for name, _ in names] for one in chosen]
    shown_rows = ([titles] if header else []) + rows
    widths = [max((len(row[index]) for row in shown_rows), default=0) for index in range(len(names))]
    lines = []
    for row in shown_rows:
        cells = []
        for index, (cell, (name, _)) in enumerate(zip(row, names, strict=True)):
            last = index == len(names) - 1
            cells.append(cell if last and COLUMNS[name][1] == "<" else f"{cell:{COLUMNS[name][1]}{widths[index]}}")
        lines.append(" ".join(cells))
    return "".join(f"{line}\n" for line in lines)


def _value(process: Process, name: str) -> str:
    values = {
        "pid": str(process.pid),
        "ppid": str(process.parent),
        "pgid": str(process.group),
        "sid": str(process.session),
        "uid": str(process.uid),
        "user": "root",
        "state": process.state,
        "stat": process.state,
        "tt": process.terminal,
        "tty": process.terminal,
        "time": "0:00.00",
        "mwchan": "-",
        "wchan": "-",
        "command": _with_name(process),
        "args": _with_name(process),
    }
    return values.get(name, process.name)


def _with_name(process: Process) -> str:
    """ps(1) puts the name behind a title that a process gave itself: `bhyve: web1 (bhyve)`."""
    has_title = len(process.arguments) == 1 and ": " in process.arguments[0]
    return f"{process.command} ({process.name})" if has_title else process.command


def procstat(call: Call) -> int:
    """`procstat PID`: the one-line form."""
    words = [word for word in call.argv[1:] if word.isdigit()]
    chosen = [one for one in processes(call.kernel.sandbox) if str(one.pid) in words]
    call.out("  PID  PPID  PGID   SID  TSID THR LOGIN    WCHAN     EMUL          COMM\n")
    for one in chosen:
        call.out(
            f"{one.pid:5} {one.parent:5} {one.group:5} {one.session:5}     0   1 root     -         FreeBSD ELF64 "
            f"{one.name}\n"
        )
    return 0 if chosen else 1


def fstat(call: Call) -> int:
    """`fstat [file]`: which process has a disk open, as far as guests' disks go."""
    call.out("USER     CMD          PID   FD MOUNT      INUM MODE         SZ|DV R/W NAME\n")
    names = {word.removeprefix("/dev/") for word in call.argv[1:] if not word.startswith("-")}
    by_pid = {one.pid: one for one in processes(call.kernel.sandbox)}
    for pid, device, write in call.kernel.open_disks():
        if pid in by_pid and (not names or device in names):
            mode = "rw" if write else "r"
            call.out(
                f"root     {by_pid[pid].name:<10} {pid:5}    3 /dev         90 crw-r-----  {device:>6} {mode:>3} "
                f"/dev/{device}\n"
            )
    return 0
