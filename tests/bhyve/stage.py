"""A stage for the supervisor script: stand-ins for FreeBSD's programs, which write down what they were asked.

The script runs unchanged under a real sh; only the paths of the programs it calls are others (`Tools`).
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from pyvmiscsi.bhyve.supervision.supervisor import Patience, Supervision, Tools, render_supervisor
from pyvmiscsi.names import GuestName, Iqn
from pyvmiscsi.waiting import wait_for

TARGET = Iqn.parse("iqn.2005-10.org.freenas.ctl:web1-disk0")
PORTAL = "10.0.0.10:3260"
OTHERS = "iqn.2005-10.org.freenas.ctl:db1-disk0"

_BHYVE = """
read -r plan <"$STAGE/plan"
sed -i 1d "$STAGE/plan"
case $plan in
deaf) trap 'echo "button" >>"$STAGE/events"' TERM ;;
reboots) trap 'echo "button" >>"$STAGE/events"; exit 0' TERM ;;
*) trap 'echo "button" >>"$STAGE/events"; exit 1' TERM ;;
esac
: >"$STAGE/vmm/web1"
echo "bhyve $*" >>"$STAGE/events"
case $plan in [0-9]*) echo "bhyve: told to" >&2; exit "$plan" ;; esac
while [ ! -e "$STAGE/forced" ] && [ -e "$STAGE/sessions" ]; do
    sleep 0.02
    if [ "$plan" = stuck ] && ! grep -q "$TARGET" "$STAGE/sessions"; then exit 137; fi
done
exit 1
"""
_BHYVECTL = """
echo "bhyvectl $*" >>"$STAGE/events"
case $* in
*--destroy*) rm -f "$STAGE/vmm/web1" ;;
*--force-poweroff*) [ -e "$STAGE/refuses-force" ] || : >"$STAGE/forced" ;;
esac
"""
_ISCSICTL = """
case $1 in
-L) cat "$STAGE/sessions" ;;
-R)
    echo "iscsictl $*" >>"$STAGE/events"
    grep -v "^$5 " "$STAGE/sessions" >"$STAGE/sessions.new"
    mv "$STAGE/sessions.new" "$STAGE/sessions"
    ;;
esac
"""
_IFCONFIG = """
case $2 in
'') cat "$STAGE/$1" ;;
*) echo "ifconfig $*" >>"$STAGE/events" ;;
esac
"""
_PS = """
case $* in *command=*) exec /bin/ps "$@" ;; esac
cat "$STAGE/ps-state" 2>/dev/null || echo IC
"""


@contextmanager
def running(script: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A shell script of this path and with these arguments, which ends with 0 at the end of the block."""
    script.write_text("#!/bin/sh\necho started\nread -r _line\nexit 0\n")
    script.chmod(0o755)
    with subprocess.Popen([script, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process


_FREEBSD_SH = os.environ.get("PYVMISCSI_FREEBSD_SH")
"""FreeBSD's own sh, where somebody has built it: docs/supervisor.md tells how."""
SHELLS = {"dash": ("dash",), "busybox": ("busybox", "sh")} | ({"freebsd": (_FREEBSD_SH,)} if _FREEBSD_SH else {})
"""Shells of the family that FreeBSD's sh belongs to, which began as Almquist's."""


class Stage:
    """One guest's supervisor and its surroundings."""

    def __init__(
        self, directory: Path, shell: tuple[str, ...] = (_FREEBSD_SH or "dash",), *, plan: str = "run"
    ) -> None:
        self.directory = directory
        self._shell = shell
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("bin", "vmm", "guest"):
            (directory / name).mkdir()
        (directory / "plan").write_text("".join(f"{word}\n" for word in plan.split()))
        (directory / "events").touch()
        self.set_session("Connected: da0")
        stand_ins = {
            "bhyve": _BHYVE,
            "bhyvectl": _BHYVECTL,
            "iscsictl": _ISCSICTL,
            "ifconfig": _IFCONFIG,
            "loader": 'echo "loader $*" >>"$STAGE/events"\nread -r status <"$STAGE/loader-status"; exit "$status"\n',
            "pgrep": '[ -e "$STAGE/twin" ]\n',
            "prestart": 'echo "prestart $* in $PWD" >>"$STAGE/events"\nexit 3\n',
            "rctl": 'echo "rctl $*" >>"$STAGE/events"\n[ ! -e "$STAGE/no-racct" ]\n',
            "renice": 'echo "renice $*" >>"$STAGE/events"\n',
            "ps": _PS,
        }
        for name, body in stand_ins.items():
            self.program(name, f"ulimit -S -f unlimited\nSTAGE={directory}\nTARGET={TARGET}\n{body}")
        for tap in ("tap0", "tap1"):
            self.describe(tap, "vmnet/web1/0/public")
        self.take_lock("0a1b")
        self.supervision = Supervision(
            guest=GuestName.parse("web1"),
            operation="0a1b",
            directory=str(directory / "guest"),
            bhyve=(self._tool("bhyve"), "-s", 'it\'s, "quoted" $(x)', "web1"),
            targets=(TARGET,),
            taps=("tap0", "tap1"),
            consoles=(("com1", "/dev/nmdm-web1.1B"),),
            state_directory=str(directory / "run"),
            log_directory=str(directory / "log"),
            patience=Patience(
                tick=0.05, quick_tick=0.05, watch_ticks=2, refusing=60, ready=1, lost=1, force=60, fault_again=0
            ),
            tools=Tools(
                bhyvectl=self._tool("bhyvectl"),
                iscsictl=self._tool("iscsictl"),
                ifconfig=self._tool("ifconfig"),
                pgrep=self._tool("pgrep"),
                ps=self._tool("ps"),
                rctl=self._tool("rctl"),
                renice=self._tool("renice"),
                vmm=str(directory / "vmm"),
            ),
        )

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL) if self._process.poll() is None else None
            self._process.wait()

    def program(self, name: str, text: str) -> str:
        """Where a stand-in of this name is, made of what sh is to do."""
        path = self.directory / "bin" / name
        path.write_text(f"#!/bin/dash\n{text}")
        path.chmod(0o755)
        return str(path)

    def describe(self, tap: str, text: str) -> None:
        """What ifconfig(8) shows of a tap."""
        (self.directory / tap).write_text(
            f"{tap}: flags=9943<UP,BROADCAST,RUNNING> metric 0 mtu 1500\n\tdescription: {text}\n\tgroups: tap vm-port\n"
        )

    def take_lock(self, operation: str) -> None:
        (self.directory / "guest/run.lock").write_text("hv1.example.net\n")
        (self.directory / "guest/run.lock.op").write_text(f"{operation}\n")

    def use_loader(self, status: int) -> None:
        (self.directory / "loader-status").write_text(f"{status}\n")
        self.supervision = replace(self.supervision, loader=(self._tool("loader"), "-m", "512M", "web1"))

    def set_session(self, state: str) -> None:
        """Our session's state, as `iscsictl -L` shows it between others; and another guest's."""
        text = "Target name                          Target portal    State\n"
        rows = ((str(TARGET), state), (OTHERS, "Connected: da1"))
        text += "".join(f"{target:<36s} {PORTAL:<16s} {shown} \n" for target, shown in rows)
        new = self.directory / "sessions.set"
        new.write_text(text)
        new.replace(self.directory / "sessions")

    def prepare(self) -> list[str]:
        """Write the script; the command that runs it."""
        for name in ("run/web1", "log"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        script = Path(self.supervision.script)
        new = script.with_suffix(".new")
        new.write_text(render_supervisor(self.supervision))
        new.replace(script)
        (self.directory / "run/web1/claim").write_text(f"{self.supervision.operation}\n")
        return [*self._shell, str(script)]

    def start(self) -> None:
        # without restored signals it ignores SIGXFSZ, as Python does: writing too much is an error then, and no end
        self._process = subprocess.Popen(
            self.prepare(), start_new_session=True, stdin=subprocess.DEVNULL, restore_signals=False
        )

    def signal(self, number: signal.Signals, times: int = 1) -> None:
        supervisor = int(self.status()["supervisor"])  # the status of one that has ended has none
        for _ in range(times):
            os.kill(supervisor, number)

    def ask_to_restart(self, process: str = "") -> None:
        """Wish for another run after the one with this process id, or after the one that there is."""
        (self.directory / "run/web1/again").write_text(f"{process or self.status()['bhyve']}\n")
        self.signal(signal.SIGUSR2)

    def fill_disk(self) -> None:
        """The supervisor, and what it starts from now on, cannot write a byte to a file any more."""
        assert self._process is not None
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    def end_lost(self) -> None:
        """Have the script end a bhyve that runs without its supervisor."""
        bhyve = subprocess.Popen(self.supervision.bhyve)
        reaper = threading.Thread(target=bhyve.wait)  # as init does for a process that lost its parent
        reaper.start()
        self.until_running()
        subprocess.run([*self.prepare(), "end", str(bhyve.pid)], check=True, timeout=60)
        reaper.join(60)

    def kill_bhyve(self) -> None:
        os.kill(int(self.status()["bhyve"]), signal.SIGKILL)

    def until_ended(self) -> dict[str, str]:
        """Its last status, once the script has ended."""
        assert self._process is not None
        self._process.wait(60)
        return self.status()

    def until_running(self) -> None:
        self.until_event("bhyve ")

    def until_event(self, beginning: str, times: int = 1) -> None:
        def seen() -> bool:
            return sum(event.startswith(beginning) for event in self.events()) >= times

        wait_for(seen, what=beginning, deadline=60)

    def until_said(self, key: str, value: str) -> None:
        wait_for(lambda: self.status().get(key) == value, what=f"{key}={value}", deadline=60)

    def until_exists(self, path: str) -> None:
        wait_for((self.directory / path).exists, what=path, deadline=60)

    def until_logged(self, words: str) -> None:
        wait_for(lambda: words in self.log(), what=words, deadline=60)

    def events(self) -> list[str]:
        return (self.directory / "events").read_text().splitlines()

    def status(self) -> dict[str, str]:
        path = self.directory / "run/web1/status"
        return dict(line.split("=", 1) for line in path.read_text().splitlines()) if path.exists() else {}

    def refusal(self) -> dict[str, str]:
        path = self.directory / "run/web1/refused"
        return dict(line.split("=", 1) for line in path.read_text().splitlines()) if path.exists() else {}

    def log(self) -> str:
        return (self.directory / "log/web1.log").read_text() if (self.directory / "log/web1.log").exists() else ""

    def is_clean(self) -> bool:
        """Nothing of the guest is left: no lock, no claim, no virtual machine, no console, no session of ours."""
        left = [
            self.directory / path
            for path in ("guest/run.lock", "guest/run.lock.op", "guest/console", "run/web1/claim", "vmm/web1")
            if (self.directory / path).exists()
        ]
        sessions = (self.directory / "sessions").read_text()
        return not left and str(TARGET) not in sessions and OTHERS in sessions

    def _tool(self, name: str) -> str:
        return str(self.directory / "bin" / name)
