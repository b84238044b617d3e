"""A hypervisor in memory: files, run locks and guests by the rules of the scripts that ask for them.

Each script says in its first line what it is for; what is answered here is what it does on a host. The scripts
themselves are run by the tests of `pyvmiscsi/bhyve/`, and by the same sequences on the lab.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pyvmiscsi.names import Iqn
from pyvmiscsi.ports import Completed
from tests.fakes.host import Call, FakeHost, Reply

RUN = "/var/run/pyvmiscsi"
CAPABILITIES = b"""release=1403000
machine=amd64
cpus=8
memory=68719476736
max_vcpus=16
module=vmm
module=nmdm
firmware=/usr/local/share/uefi-firmware/BHYVE_UEFI.fd
"""
_BUSY = 75
_FIRST_LINE = re.compile(r"\s*# (?P<purpose>.*)")


class LogsOut(Protocol):
    """The kernel's initiator, as the supervisor needs it."""

    def detach(self, target: Iqn, *, deadline: float = 30.0) -> None: ...


@dataclass(frozen=True)
class Running:
    """A guest under its supervisor, as its script says it."""

    operation: str
    lock: str
    targets: tuple[Iqn, ...]

    @classmethod
    def by(cls, script: bytes) -> Running:
        lines = re.findall(r"^(OPERATION|LOCK|TARGETS)=(.*)$", script.decode(), re.MULTILINE)
        said = {name: " ".join(shlex.split(value)) for name, value in reversed(lines)}
        return cls(said["OPERATION"], said["LOCK"], tuple(Iqn.parse(iqn) for iqn in said["TARGETS"].split()))


@dataclass
class MemoryHost(FakeHost):
    """`files` and `directories` below the config path are those of `shared`, as if it were mounted."""

    initiator: LogsOut | None = None
    shared: FakeHost = field(default_factory=FakeHost)
    config_path: str = "/vmconfig"
    running: dict[str, Running] = field(default_factory=dict)
    processes: dict[str, int] = field(default_factory=dict)
    """The bhyve of a guest that was run anew; all others have 4201."""
    deaf: set[str] = field(default_factory=set)
    """Guests that do not hear their power button."""
    machine: str = ""
    """What hostname(1) and kern.hostuuid say, a line each."""
    rebooting: set[str] = field(default_factory=set)
    """Guests that are between two runs until somebody asks for anything."""
    comes_back: bool = True
    interacted: list[tuple[str, ...]] = field(default_factory=list)
    """Commands that were joined to a terminal."""

    def __post_init__(self) -> None:
        self.answer = self._answer
        self.machine = self.machine or self.name
        self._scripts: dict[str, Callable[..., Reply]] = {
            "look at the guests of a host": self._look,
            "read every guest's directory": self._read_directories,
            "read rc.conf": self._read_rc_conf,
            "read configuration files": lambda *_: Reply(),
            "list installation media": self._list_media,
            "ask what a hypervisor can do": lambda *_: Reply(CAPABILITIES),
            "load the modules of bhyve": lambda *_: Reply(),
            "copy the firmware variables": lambda *_: Reply(),
            "look at the networks of a host": lambda *_: Reply(),
            "look around a guest": lambda *_: Reply(f"hostname {self.name}\n".encode()),
            "destroy the taps of a guest": lambda *_: Reply(),
            "start a supervisor": self._run_supervisor,
            "destroy a virtual machine": lambda *_: Reply(),
            "signal a guest": self._signal,
            "ask for a guest's next run": self._run_anew,
            "sweep what is left of a guest": self._sweep,
            "move a guest's directory": self._move_directory,
            "remove a guest's directory": self._remove_directory,
            "tell who a host is": lambda *_: Reply(f"{self.machine}\n".encode()),
            "take run.lock": self._take,
            "call a start off": self._call_off,
            "give a start its lock back": self._give_back,
            "forget the medium of an installation": self._forget_medium,
            "release run.lock": self._release,
            "find the logs of a guest": self._find_logs,
            "bar run.lock": self._bar,
            "unbar run.lock": self._unbar,
            "exchange a file": self._exchange,
            "see which ports are taken": lambda *_: Reply(b"*.22\n127.0.0.1.5900\n"),
        }

    # what it is asked

    def run(
        self, argv: Sequence[str], *, stdin: bytes = b"", deadline: float = 30.0, ok: Iterable[int] = (0,)
    ) -> Completed:
        self.calls.clear()  # nobody looks at them, and a life is long
        return super().run(argv, stdin=stdin, deadline=deadline, ok=ok)

    def _exchange(self, path: str, length: str, _new: str, _mode: str, _then: str, both: bytes) -> Reply:
        old = both[: int(length or 0)]
        if self.read_file(path) != (old if length else None):
            return Reply(status=75)
        self.write_file(path, both[len(old) :])
        return Reply()

    def _answer(self, call: Call) -> Reply:
        if call.script:
            match = _FIRST_LINE.match(call.script)
            purpose = match["purpose"] if match else call.script
            assert purpose in self._scripts, f"a script that this host does not know: {purpose}"
            return self._scripts[purpose](*call.words, *([call.stdin] if call.stdin else []))
        match call.words:
            case ["/usr/bin/tail", "-n", count, path]:
                lines = (self.read_file(path) or b"").splitlines(keepends=True)
                return Reply(b"".join(lines[-int(count) :]))
            case ["/bin/rm", "-R", "-f", path]:
                return self._remove_tree(path)
        raise AssertionError(f"a command that this host does not know: {call.words}")

    def interact(
        self,
        argv: Sequence[str],
        *,
        until: Callable[[], bool] | None = None,  # noqa: ARG002 - whoever is at the terminal leaves at once
    ) -> int:
        self.interacted.append(tuple(argv))
        return 0

    # files

    def _at(self, path: str) -> FakeHost:
        return self.shared if f"{path}/".startswith(f"{self.config_path}/") else self._local

    @property
    def _local(self) -> FakeHost:
        return FakeHost(files=self.files, directories=self.directories)

    def read_file(self, path: str) -> bytes | None:
        return self._at(path).files.get(path)

    def write_file(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        at = self._at(path)
        assert path.rpartition("/")[0] in at.directories, f"{path}: no such directory"
        at.write_file(path, data, mode=mode)

    def create_file(self, path: str, data: bytes, *, mode: int = 0o644) -> bool:
        return self._at(path).create_file(path, data, mode=mode)

    def remove_file(self, path: str) -> None:
        self._at(path).remove_file(path)

    def make_directory(self, path: str) -> None:
        self._at(path).make_directory(path)

    def remove_directory(self, path: str) -> None:
        self._at(path).remove_directory(path)

    def list_directory(self, path: str) -> tuple[str, ...]:
        return self._at(path).list_directory(path)

    def _remove_tree(self, path: str) -> Reply:
        at = self._at(path)
        for each in [each for each in at.files if f"{each}/".startswith(f"{path}/")]:
            del at.files[each]
        at.directories -= {each for each in at.directories if f"{each}/".startswith(f"{path}/")}
        return Reply()

    def _move_directory(self, old: str, conf: str, new: str, new_conf: str) -> Reply:
        at = self._at(old)
        if old in at.directories:
            if new in at.directories:
                return Reply(status=73)
            at.make_directory(new.rpartition("/")[0])
            for each in [each for each in at.files if each.startswith(f"{old}/")]:
                at.files[new + each.removeprefix(old)] = at.files.pop(each)
            inside = {each for each in at.directories if f"{each}/".startswith(f"{old}/")}
            at.directories -= inside
            at.directories |= {new + each.removeprefix(old) for each in inside}
        if new not in at.directories:
            return Reply(status=66)
        if conf != new_conf and f"{new}/{conf}" in at.files:
            if f"{new}/{new_conf}" in at.files:
                return Reply(status=73)
            at.files[f"{new}/{new_conf}"] = at.files.pop(f"{new}/{conf}")
        if "/.trash/" in old:
            self._remove_if_empty(old.rpartition("/")[0])
        return Reply()

    def _remove_directory(self, path: str) -> Reply:
        self._remove_tree(path)
        self._remove_if_empty(path.rpartition("/")[0])
        return Reply()

    def _remove_if_empty(self, path: str) -> None:
        if not self.list_directory(path):
            self.remove_directory(path)

    # guests

    def _look(self, state_directory: str) -> Reply:
        lines: list[str] = []
        for guest, running in list(self.running.items()):  # others may be at it
            lines += [f"supervised {guest}", f"status {guest} operation={running.operation}"]
            if guest in self.rebooting:
                lines += [f"status {guest} state=rebooting"]
                continue
            lines += [f"vmm {guest}", f"process {guest} {self.processes.get(guest, 4201)}"]
            lines += [f"status {guest} state=running"]
        for path, data in list(self.files.items()):
            if path.startswith(f"{state_directory}/") and path.endswith("/status"):
                guest = path.split("/")[-2]
                lines += [f"status {guest} {line}" for line in data.decode().splitlines() if guest not in self.running]
        return Reply("".join(f"{line}\n" for line in lines).encode())

    def _read_directories(self, config_path: str) -> Reply:
        lines: list[str] = []
        for path, data in sorted(self.shared.files.items(), key=lambda found: found[0].endswith("/run.lock")):
            below = path.removeprefix(f"{config_path}/")
            if path != below and below.count("/") == 1 and below.endswith((".conf", "/run.lock")):
                lines += [f"file {path}", *(f" {line}" for line in data.decode().splitlines())]
        return Reply("".join(f"{line}\n" for line in lines).encode())

    def _find_logs(self, *paths: str) -> Reply:
        """Written at as many seconds as they have bytes."""
        found = [(path, self.read_file(path)) for path in paths]
        return Reply("".join(f"{len(data)} {path}\n" for path, data in found if data is not None).encode())

    def _read_rc_conf(self) -> Reply:
        text = self.files.get("/etc/rc.conf", b"").decode()
        return Reply("".join(["file /etc/rc.conf\n", *(f" {line}\n" for line in text.splitlines())]).encode())

    def _run_supervisor(
        self, run: str, _log: str, _length: str, _operation: str, guest: str, _pattern: str, text: bytes
    ) -> Reply:
        self.make_directory(run)
        self.files[f"{run}/supervisor.sh"] = text
        self.remove_file(f"{run}/refused")
        running = Running.by(text)
        if guest in self.running:
            self.files[f"{RUN}/{guest}/refused"] = f"operation={running.operation}\nreason=it runs\n".encode()
        elif self._first_line(f"{running.lock}.op") != running.operation:
            self.files[f"{RUN}/{guest}/refused"] = f"operation={running.operation}\nreason=called off\n".encode()
        else:
            self.running[guest] = running
            self.files[f"{RUN}/{guest}/status"] = f"state=running\noperation={running.operation}\n".encode()
        return Reply()

    def _signal(self, _supervisor: str, signal: str, _pattern: str, guest: str, run: str) -> Reply:
        """A guest that hears its power button ends, and its supervisor takes away all that its start brought."""
        if signal == "TERM" and guest in self.deaf & self.running.keys():
            return Reply()
        running = self.running.pop(guest, None)
        if running is None:
            return Reply(status=66)
        for target in running.targets:
            assert self.initiator is not None
            self.initiator.detach(target)
        if self._first_line(f"{running.lock}.op") == running.operation:
            self._unlock(running.lock, run)
        self.files[f"{run}/status"] = f"state=stopped\noperation={running.operation}\nexit=1\n".encode()
        return Reply()

    def _run_anew(
        self, run: str, directory: str, guest: str, _process: str, _vm_bhyve: str, how: str, seen: str
    ) -> Reply:
        """Whoever keeps it starts it again, or ends it when it does not come back."""
        if guest not in self.running:
            return Reply(status=66)
        assert f"{directory}/" in self.running[guest].lock
        if guest in self.rebooting:
            self.rebooting.discard(guest)
            return Reply()
        if seen != str(self.processes.get(guest, 4201)):
            return Reply()
        if how == "restart" and guest in self.deaf:
            return Reply()
        if not self.comes_back:
            return self._signal("", "", "", guest, run)
        self.processes[guest] = self.processes.get(guest, 4201) + 1
        return Reply()

    def _sweep(self, _pattern: str, guest: str, run: str, _vm_bhyve: str) -> Reply:
        if guest in self.running:
            return Reply(status=_BUSY)
        barred = f"{run}/taking" in self.directories
        self._remove_tree(run)
        if barred:
            self.make_directory(f"{run}/taking")
        return Reply()

    # run.lock

    def _list_media(self, *stores: str) -> Reply:
        paths = [f"{store}/{name}" for store in stores for name in self.list_directory(store)]
        lines = (f"-rw-r--r--  1 0  0  {len(self.read_file(path) or b'')} Nov 22 10:00 {path}\n" for path in paths)
        return Reply("".join(lines).encode())

    def _take(self, run: str, directory: str, guest: str, operation: str, *words: str) -> Reply:
        _name, _vm_bhyve, by, since, medium = words
        lock, claim = f"{directory}/run.lock", f"{run}/claim"
        self.make_directory(run)
        if f"{run}/taking" in self.directories:
            return Reply(b"taking\n", status=_BUSY)
        if directory not in self.shared.directories:
            return Reply(stderr=f"{directory} cannot be written".encode(), status=73)
        claimed = self._first_line(claim)
        if claimed != operation:
            if guest in self.running:
                return Reply(f"running {self.name}\n".encode(), status=_BUSY)
            if claimed and f"operation={claimed}" not in self.files.get(f"{run}/status", b"").decode():
                return Reply(f"operation {claimed}\n".encode(), status=_BUSY)
        if not self.create_file(lock, f"{self.name}\n".encode()) and self._first_line(lock) != self.name:
            return Reply(f"host {self._first_line(lock)}\n".encode(), status=_BUSY)
        self.files[claim] = f"{operation}\n".encode()
        lines = [operation, "verb=start", f"by={by}", f"since={since}", *([f"medium={medium}"] if medium else [])]
        self.shared.files[f"{lock}.op"] = "".join(f"{line}\n" for line in lines).encode()
        return Reply()

    def _bar(self, run: str) -> Reply:
        if f"{run}/taking" in self.directories:
            return Reply(status=_BUSY)
        self.make_directory(f"{run}/taking")
        return Reply(f"{self.name}\n".encode())

    def _unbar(self, run: str) -> Reply:
        self.directories.discard(f"{run}/taking")
        return Reply()

    def _forget_medium(self, directory: str, operation: str) -> Reply:
        if self._first_line(f"{directory}/run.lock.op") == operation:
            lines = self.shared.files[f"{directory}/run.lock.op"].splitlines(keepends=True)
            told = b"".join(line for line in lines if not line.startswith(b"medium="))
            self.shared.files[f"{directory}/run.lock.op"] = told
        return Reply()

    def _call_off(self, run: str, directory: str, operation: str, starter: str) -> Reply:
        told = f"{directory}/run.lock.op"
        if self._first_line(told) == starter:
            self.files[f"{run}/called-off"] = self.shared.files[told]
            self.shared.files[told] = f"{operation}\nverb=stop\n".encode()
            self.remove_file(f"{run}/claim")
        return Reply()

    def _give_back(self, run: str, directory: str, operation: str) -> Reply:
        told = f"{directory}/run.lock.op"
        if self._first_line(told) == operation:
            self.shared.files[told] = self.files[f"{run}/called-off"]
            self.files[f"{run}/claim"] = f"{self._first_line(told)}\n".encode()
        return Reply()

    def _release(self, run: str, directory: str, operation: str) -> Reply:
        if self._first_line(f"{directory}/run.lock.op") == operation:
            self._unlock(f"{directory}/run.lock", run)
        if self._first_line(f"{run}/claim") == operation:
            self.remove_file(f"{run}/claim")
        return Reply()

    def _unlock(self, lock: str, run: str) -> None:
        for path in (f"{lock}.op", lock, f"{run}/claim"):
            self.remove_file(path)

    def _first_line(self, path: str) -> str:
        return (self.read_file(path) or b"").decode().partition("\n")[0]
