"""daemon(8), timeout(1), lockf(1), and the start and stop of iscsid by service(8): processes that start processes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import threading
from getopt import GetoptError, getopt
from pathlib import Path
from types import FrameType
from typing import Any

from pyvmiscsi.lab.hypervisor.applets import Call
from pyvmiscsi.lab.hypervisor.commands.services import read_conf

ISCSID_PIDFILE = Path("/var/run/iscsid.pid")

PIDFILE_STAYS_EMPTY = 0.1  # seconds after daemon(8) has come back: long enough for a script to fall into

DAEMON_USAGE = (
    "usage: daemon [-cfHrS] [-p child_pidfile] [-P supervisor_pidfile]\n"
    "              [-u user] [-o output_file] [-M output_mask]\n"
    "              [-t title] [-l syslog_facility] [-s syslog_priority]\n"
    "              [-T syslog_tag] [-m output_mask] [-R restart_delay_secs]\n"
    "command arguments ...\n"
)


def daemon(call: Call) -> int:
    """`daemon [-cfrS] [-p child pid file] [-P own pid file] [-o file] [-t title] [-R seconds] command …`.

    As the real one, it comes back before the pid files have their content.
    """
    try:
        options, command = getopt(list(call.argv[1:]), "cfHSp:P:ru:o:M:m:t:l:s:T:R:")
    except GetoptError as error:
        call.err(f"daemon: illegal option -- {error.opt}\n{DAEMON_USAGE}")
        return 1
    given = dict(options)
    if not command:
        call.err(DAEMON_USAGE)
        return 1
    for letter in ("-p", "-P"):
        if letter in given and is_alive(Path(given[letter])):
            number = Path(given[letter]).read_text().strip()
            return call.fail(f"process already running, pid: {number}", 3)
    for letter in ("-p", "-P"):
        if letter in given:
            try:
                Path(given[letter]).write_text("")
                Path(given[letter]).chmod(0o600)
            except OSError as error:
                return call.fail(
                    f"{'pidfile' if letter == '-p' else 'ppidfile'} ``{given[letter]}'': {error.strerror}", 1
                )
    if os.fork():
        os._exit(0)
    os.setsid()
    if "-c" in given:
        os.chdir("/")
    if "-f" in given:
        null = os.open("/dev/null", os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
    supervises = any(letter in given for letter in ("-p", "-P", "-r", "-o", "-R", "-t", "-S"))
    if not supervises:
        _execute(call, command)
    return _supervise(call, given, command)


def _execute(call: Call, command: list[str]) -> None:
    try:
        os.execvp(command[0], command)  # noqa: S606 - an argument list
    except OSError as error:
        call.err(f"daemon: {command[0]}: {error.strerror}\n")
        os._exit(127)


def _supervise(call: Call, given: dict[str, str], command: list[str]) -> int:
    title = given.get("-t", command[0].rsplit("/", 1)[-1])
    _set_title(f"daemon: {title}[{os.getpid()}]")
    output: Any = None
    if "-o" in given:
        output = os.open(given["-o"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    if "-P" in given:
        Path(given["-P"]).write_text(str(os.getpid()))
    stopping = False
    child: subprocess.Popen[bytes] | None = None

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True
        if child is not None:
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    restart = "-r" in given or "-R" in given
    status = 0
    while True:
        try:
            child = subprocess.Popen(command, stdout=output, stderr=output)
        except OSError as error:
            call.err(f"daemon: {command[0]}: {error.strerror}\n")
            status = 127
            break
        if "-p" in given:
            threading.Event().wait(PIDFILE_STAYS_EMPTY)
            Path(given["-p"]).write_text(str(child.pid))
        status = child.wait()
        if stopping or not restart:
            break
        threading.Event().wait(float(given.get("-R", "1")))  # what daemon(8) itself does between two starts
    for letter in ("-p", "-P"):
        if letter in given:
            Path(given[letter]).unlink(missing_ok=True)
    return 128 - status if status < 0 else status


def is_alive(pidfile: Path) -> bool:
    """Whether the process of this file runs: one that has ended does not, whether its parent has noticed or not."""
    try:
        handle = os.pidfd_open(int(pidfile.read_text()))
    except (OSError, ValueError):
        return False
    ended, _, _ = select.select([handle], [], [], 0)
    os.close(handle)
    return not ended


def _set_title(title: str) -> None:
    with contextlib.suppress(ImportError):
        import setproctitle

        setproctitle.setproctitle(title)


TIMEOUT_USAGE = (
    "Usage: timeout [--signal sig | -s sig] [--preserve-status] [--kill-after time | -k time] [--foreground] "
    "<duration> <command> <arg ...>\n"
)
LONG = {"--signal": "-s", "--kill-after": "-k"}
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def timeout(call: Call) -> int:
    """timeout(1): signals its child, and then waits for it, however long it is stuck in the kernel."""
    words = list(call.argv[1:])
    given: dict[str, str] = {}
    while words and words[0].startswith("-"):
        word, equals, value = words.pop(0).partition("=")
        letter = LONG.get(word, word)
        if letter in ("--preserve-status", "-p", "--foreground", "-f", "-v"):
            given[letter] = ""
        elif letter in ("-s", "-k"):
            given[letter] = value if equals else (words.pop(0) if words else "")
        else:
            option = word if word.startswith("--") else word[1:]
            call.err(f"timeout: unrecognized option `{option}'\n{TIMEOUT_USAGE}")
            return 1
    if len(words) < 2:
        call.err(TIMEOUT_USAGE)
        return 1
    try:
        child = subprocess.Popen(words[1:])
    except OSError as error:
        return call.fail(f"exec({words[1]}): {error.strerror}", 127 if isinstance(error, FileNotFoundError) else 126)
    return _timed(call, child, given, _seconds(words[0]))


def _timed(call: Call, child: subprocess.Popen[bytes], given: dict[str, str], seconds: float) -> int:
    timed_out = False
    try:
        status = child.wait(seconds or None)
    except subprocess.TimeoutExpired:
        timed_out = True
        child.send_signal(_signal_number(given.get("-s", "TERM")))
        try:
            status = child.wait(_seconds(given["-k"]) if "-k" in given else None)
        except subprocess.TimeoutExpired:
            child.kill()
            status = child.wait()
    call.kernel.wait_until_out(child.pid)  # the real child could not end before it has left the kernel
    if timed_out and "--preserve-status" not in given and "-p" not in given:
        return 124
    return 128 - status if status < 0 else status


def lockf(call: Call) -> int:
    """`lockf [-kns] [-t seconds] file command [arguments]`: runs the command while it holds the file locked."""
    words = list(call.argv[1:])
    flags, patience = "", -1.0
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word == "-t" and words:
            patience = float(words.pop(0))
        else:
            flags += word[1:]
    if len(words) < 2:
        call.err("usage: lockf [-knpsTw] [-t seconds] file command [arguments]\n       lockf [-sT] [-t seconds] fd\n")
        return 64
    file = os.open(words[0], os.O_RDONLY | os.O_CREAT, 0o666)
    if not _locked(file, patience):
        return 75 if "s" in flags else call.fail(f"{words[0]}: already locked", 75)
    status = subprocess.run(words[1:], check=False).returncode  # the lock is not inherited, and goes with us
    if "k" not in flags:
        Path(words[0]).unlink(missing_ok=True)
    return 70 if status < 0 else status


def _locked(file: int, patience: float) -> bool:
    """Whether it got the lock: at once, or within so many seconds, or whenever it comes for a negative number."""

    def give_up(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError

    try:
        if patience > 0:
            signal.signal(signal.SIGALRM, give_up)
            signal.setitimer(signal.ITIMER_REAL, patience)
        fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if patience == 0 else 0))
    except (BlockingIOError, TimeoutError):
        return False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return True


def _seconds(text: str) -> float:
    unit = UNITS.get(text[-1:], 0)
    return float(text[:-1] if unit else text) * (unit or 1)


def _signal_number(name: str) -> int:
    if name.isdigit():
        return int(name)
    return int(getattr(signal, f"SIG{name.upper().removeprefix('SIG')}"))


def service_iscsid(call: Call, verb: str) -> int:
    """rc.d/iscsid."""
    enabled = read_conf(Path("/etc/rc.conf").read_text()).get("iscsid_enable", "NO").upper() in (
        "YES",
        "TRUE",
        "ON",
        "1",
    )
    one = verb.startswith(("one", "force", "quiet"))
    action = verb.removeprefix("one").removeprefix("force").removeprefix("quiet")
    pid = ISCSID_PIDFILE.read_text().strip() if is_alive(ISCSID_PIDFILE) else ""
    if action == "enabled":
        return 0 if enabled else 1
    if action in ("status", "rcvar"):
        return _tell_iscsid(call, action, pid, enabled)
    if not enabled and not one:
        call.err(
            f"Cannot '{action}' iscsid. Set iscsid_enable to YES in /etc/rc.conf or use 'one{action}' instead of "
            f"'{action}'.\n"
        )
        return 0 if action == "stop" else 1
    if action in ("stop", "restart"):
        _stop_iscsid(call, pid)
        pid = ""
    if action in ("start", "restart"):
        if pid:
            call.out(f"iscsid already running? (pid={pid}).\n")
            return 1
        call.out("Starting iscsid.\n")
        return subprocess.run(["/usr/sbin/iscsid"], check=False).returncode
    return 0


def _tell_iscsid(call: Call, action: str, pid: str, enabled: bool) -> int:
    if action == "rcvar":
        call.out(f'# iscsid\n#\niscsid_enable="{"YES" if enabled else "NO"}"\n#   (default: "")\n\n')
        return 0
    call.out(f"iscsid is running as pid {pid}.\n" if pid else "iscsid is not running.\n")
    return 0 if pid else 1


def _stop_iscsid(call: Call, pid: str) -> None:
    if not pid:
        call.out("iscsid not running? (check /var/run/iscsid.pid).\n")
        return
    call.out("Stopping iscsid.\n")
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(int(pid))
        os.kill(int(pid), signal.SIGTERM)
        call.out(f"Waiting for PIDS: {pid}.\n")
        select.select([handle], [], [])  # as pwait(1)
