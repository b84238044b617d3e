"""The script that runs a guest on its hypervisor, from its start until nothing of it is left there.

It is one text for `/bin/sh`: the guest's values as assignments, and the fixed story in `supervisor*.sh`. daemon(8)
detaches it, and from then on it needs no control host: it starts bhyve again when the guest reboots, and on any other
end it destroys the virtual machine and its taps, logs out of its targets and releases `run.lock`.
A guest has one supervisor, however often its start is resumed.

When a disk's session is lost it takes the session away first and waits for bhyve then: a process that closes a dead
disk stops GEOM, and with it every guest of the host, until the session is gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path

from pyvmiscsi.errors import InputError
from pyvmiscsi.names import GuestName, Iqn
from pyvmiscsi.quoting import quote

LONGEST_LOG = 1_000_000
"""Bytes after which a log becomes `.log.0`, vm-bhyve's own bound: looked at when the guest starts or, of its console,
every few seconds."""
MOST_COMPLAINTS = 65_536
"""Bytes of what one run of bhyve says on standard error, and of what it said before them."""

_PARTS = ("supervisor_records.sh", "supervisor_sessions.sh", "supervisor.sh")
_NOTHING = ("/usr/bin/true",)

# A supervisor killed by -9 leaves its number in its status file, and one day the number is another process's.
IS_SUPERVISOR = """\
is_supervisor() { case "$("${PS:-/bin/ps}" -wwo command= -p "$2" 2>/dev/null) " in *"sh $1 "*) ;; *) return 1 ;; esac; }
"""
"""sh: `is_supervisor SCRIPT PID`, whether this process runs this guest's script."""


@dataclass(frozen=True, slots=True)
class Tools:
    """Where FreeBSD keeps the programs the script calls; only tests name others."""

    bhyvectl: str = "/usr/sbin/bhyvectl"
    cat: str = "/bin/cat"
    cp: str = "/bin/cp"
    date: str = "/bin/date"
    find: str = "/usr/bin/find"
    ifconfig: str = "/sbin/ifconfig"
    iscsictl: str = "/usr/bin/iscsictl"
    ln: str = "/bin/ln"
    mkfifo: str = "/usr/bin/mkfifo"
    mv: str = "/bin/mv"
    pgrep: str = "/bin/pgrep"
    ps: str = "/bin/ps"
    rctl: str = "/usr/bin/rctl"
    renice: str = "/usr/bin/renice"
    rm: str = "/bin/rm"
    sleep: str = "/bin/sleep"
    vmm: str = "/dev/vmm"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the script waits for what, in whole seconds but for the tick."""

    tick: float = 1.0
    """Between two looks at bhyve."""
    quick_tick: float = 0.2
    """The same while it is to stop, and between two looks at what runs before bhyve."""
    watch_ticks: int = 5
    """Looks at bhyve for each look at the sessions."""
    refusing: int = 2
    """For a bhyve to refuse to start: one that complained and ended with 1 later was powered off."""
    ready: int = 120
    """For lost sessions to come back before a guest that rebooted is given up."""
    lost: int = 30
    """For lost sessions to come back before a guest that is to stop loses its disks."""
    force: int = 10
    """For a bhyve that was told to power off, or killed, to go."""
    fault_again: int = 10
    """How long a bhyve with `on_fault="restart"` must have run to be started again after a fault."""


@dataclass(frozen=True, slots=True)
class Supervision:
    """What the script for one guest needs to know. None of it is secret."""

    guest: GuestName
    operation: str
    """The id of the start; `run.lock.op` holds it, and only then is the lock ours to release."""
    directory: str
    """The guest's own, which holds its configuration and `run.lock`."""
    bhyve: tuple[str, ...]
    loader: tuple[str, ...] = ()
    first_bhyve: tuple[str, ...] = ()
    """In place of `bhyve` until the guest reboots: with the medium that it is installed from."""
    first_loader: tuple[str, ...] = ()
    """In place of `loader`, likewise."""
    targets: tuple[Iqn, ...] = ()
    taps: tuple[str, ...] = ()
    consoles: tuple[tuple[str, str], ...] = ()
    """`("com1", "/dev/nmdm-web1.1B")`, …: what vm-bhyve's `console` file says."""
    keeps_console: bool = False
    """bhyve has a serial port on its standard output, so what the guest prints is in `console_log`."""
    prestart: tuple[str, ...] = ()
    """A program to run before each start, in the guest's directory."""
    priority: int | None = None
    """bhyve's niceness, for renice(8)."""
    limits: tuple[str, ...] = ()
    """Rules for rctl(8) without their subject: `pcpu:deny=50`."""
    restarts_after_reboot: bool = True
    restarts_after_fault: bool = False
    keeps_complaints: bool = False
    """vm-bhyve's `debug`: what bhyve said last is in `bhyve.log` in the guest's directory once it has ended."""
    state_directory: str = "/var/run/pyvmiscsi"
    log_directory: str = "/var/log/pyvmiscsi"
    patience: Patience = field(default_factory=Patience)
    tools: Tools = field(default_factory=Tools)

    @property
    def run_directory(self) -> str:
        """Local to the host and to this boot: the script itself, its status, bhyve's standard error."""
        return f"{self.state_directory}/{self.guest}"

    @property
    def script(self) -> str:
        """Where the script is while it runs: its path is what its process is known by."""
        return f"{self.run_directory}/supervisor.sh"

    @property
    def log(self) -> str:
        return f"{self.log_directory}/{self.guest}.log"

    @property
    def console_log(self) -> str:
        return f"{self.log_directory}/{self.guest}.console.log"

    @property
    def lock(self) -> str:
        return f"{self.directory}/run.lock"


def render_supervisor(supervision: Supervision) -> str:
    """The whole script; the same text for the same values.

    Raises InputError for a word with a line break or a NUL, which no name, path or option of a guest holds.
    """
    values = {
        "NAME": str(supervision.guest),
        "PROCESS": process_pattern(supervision.guest),
        "OPERATION": supervision.operation,
        "TARGETS": " ".join(str(target) for target in supervision.targets),
        "TAPS": " ".join(supervision.taps),
        "DIRECTORY": supervision.directory,
        "LOCK": supervision.lock,
        "CONSOLE": f"{supervision.directory}/console",
        "RUN": supervision.run_directory,
        "LOG": supervision.log,
        "LOADER": "yes" if supervision.loader else "",
        "FIRST": "first_" if supervision.first_bhyve else "",
        "PRESTART": supervision.prestart[0] if supervision.prestart else "",
        "PRIORITY": "" if supervision.priority is None else str(supervision.priority),
        "LIMITS": " ".join(supervision.limits),
        "ON_RESTART": "restart" if supervision.restarts_after_reboot else "",
        "ON_FAULT": "restart" if supervision.restarts_after_fault else "",
        "RESTART": f"{supervision.directory}/restart",
        "DEBUG": f"{supervision.directory}/bhyve.log" if supervision.keeps_complaints else "",
        "CONSOLE_LOG": supervision.console_log if supervision.keeps_console else "",
        "LONGEST_LOG": str(LONGEST_LOG),
        "MOST_COMPLAINTS": str(MOST_COMPLAINTS),
        "TICK": f"{supervision.patience.tick:g}",
        "QUICK_TICK": f"{supervision.patience.quick_tick:g}",
        "WATCH_TICKS": str(supervision.patience.watch_ticks),
        "REFUSING": str(supervision.patience.refusing),
        "READY_DEADLINE": str(supervision.patience.ready),
        "LOST_DEADLINE": str(supervision.patience.lost),
        "FORCE_DEADLINE": str(supervision.patience.force),
        "FAULT_AGAIN": str(supervision.patience.fault_again),
        **{tool.name.upper(): getattr(supervision.tools, tool.name) for tool in fields(supervision.tools)},
    }
    consoles = "".join(f"{port}={device}\n" for port, device in supervision.consoles)
    return "".join(
        (
            f"# The guest {supervision.guest}, run by pyvmiscsi.\n",
            *(f"{name}={_quoted(value)}\n" for name, value in values.items()),
            f"CONSOLES={quote(consoles)}\n",
            f"loader() {{ exec {_command(supervision.loader or _NOTHING)}; }}\n",
            f"bhyve() {{ exec {_command(supervision.bhyve)}; }}\n",
            *_first_commands(supervision),
            f'prestart() {{ cd "$DIRECTORY" && exec {_command(supervision.prestart or _NOTHING)}; }}\n',
            IS_SUPERVISOR,
            "\n",
            story(),
        )
    )


def process_pattern(guest: GuestName) -> str:
    """The extended regular expression that matches the title bhyve gives itself, whole: for `pgrep -fx`."""
    return "bhyve: " + str(guest).replace(".", "\\.")


def vm_bhyve_pattern(guest: GuestName) -> str:
    """Matches vm-bhyve's own process for the guest, from before its loader to after its end: for `pgrep -f`.

    `/bin/sh /usr/local/sbin/vm _run web1`, options before it and an installation medium after it (freebsd.md 5.5).
    """
    return "/vm( .*)? _run " + str(guest).replace(".", "\\.") + "( |$)"


def _first_commands(supervision: Supervision) -> Iterator[str]:
    if supervision.first_bhyve:
        yield f"first_loader() {{ exec {_command(supervision.first_loader or _NOTHING)}; }}\n"
        yield f"first_bhyve() {{ exec {_command(supervision.first_bhyve)}; }}\n"


@cache
def story() -> str:
    """The part of the script that is the same for all guests."""
    return "\n".join(Path(__file__).with_name(part).read_text(encoding="utf-8") for part in _PARTS)


def _command(argv: Sequence[str]) -> str:
    return " ".join(_quoted(word) for word in argv)


def _quoted(word: str) -> str:
    """The word for sh; a line break would end the comment or the assignment that a person reads."""
    if "\n" in word or "\0" in word:
        raise InputError(f"supervisor script: {word!r} holds a line break or a NUL")
    return quote(word)
