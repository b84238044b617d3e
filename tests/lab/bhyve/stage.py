"""A hypervisor of the lab and a real target beside it, as one thing a test can talk to over SSH."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

from pyvmiscsi.lab.bootdisk import Behaviour, BootDisk, build
from pyvmiscsi.lab.hypervisor import RunningHypervisor
from pyvmiscsi.waiting import wait_for
from tests.initiator.tgtd import Target, Tgtd

FIRMWARE = "/usr/local/share/uefi-firmware/BHYVE_UEFI.fd"
BOOT = 120.0  # seconds: a boot takes five on a machine of its own, and shares the processor with other tests
MINIMAL = "bhyve -A -H -P -c 1 -m 256M -s 0,hostbridge -s 31,lpc"


@dataclass(frozen=True)
class Ended:
    status: int
    stdout: str
    stderr: str

    @property
    def said(self) -> list[str]:
        return self.stderr.splitlines()


class Console:
    """`cu` over SSH, and all it has printed."""

    def __init__(self, argv: list[str]) -> None:
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._heard = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        return self._heard.decode(errors="replace")

    def hear(self, text: str, *, deadline: float = BOOT) -> str:
        """Wait for the text; everything heard so far."""
        wait_for(
            lambda: text in self.text, what=f"{text!r} on the console, after {self.text[-300:]!r}", deadline=deadline
        )
        return self.text

    def type(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    def forget(self) -> None:
        """What was heard until now."""
        self._heard = b""

    def wait(self) -> int:
        """Until it ends, and all it printed is heard; its status."""
        status = self._process.wait(60)
        self._reader.join(60)
        return status

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._reader.join(5)

    def _read(self) -> None:
        assert self._process.stdout is not None
        while piece := self._process.stdout.read1(4096):  # type: ignore[attr-defined]
            self._heard += piece


@dataclass
class Stage:
    """One host, one target daemon; every guest and every disk gets a name of its own."""

    host: RunningHypervisor
    daemon: Tgtd
    directory: Path
    config: Path
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def ssh_argv(self, command: str, *, terminal: bool = False) -> list[str]:
        options = ["-F", "none", "-i", str(self.directory / "key"), "-o", "BatchMode=yes"]
        options += ["-o", f"UserKnownHostsFile={self.directory / 'known_hosts'}"]
        options += ["-tt", "-e", "none"] if terminal else []
        return ["ssh", *options, "-p", str(self.host.port), f"{self.host.user}@{self.host.address}", command]

    def ssh(self, command: str, *, stdin: bytes = b"", deadline: float = 60) -> Ended:
        done = subprocess.run(self.ssh_argv(command), input=stdin, capture_output=True, timeout=deadline, check=False)
        return Ended(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def name(self) -> str:
        return f"g{next(self._numbers)}"

    def console(self, guest: str) -> Console:
        """Attached, so that nothing the guest says is lost."""
        console = Console(self.ssh_argv(f"cu -l /dev/nmdm-{guest}.1B"))
        console.hear("Connected", deadline=60)
        return console

    def boot_disk(self, name: str, behaviour: Behaviour = "poweroff", *, sector: int = 512) -> Lun:
        """A LUN with a bootable disk on it, not attached yet."""
        target = self.daemon.target(name)
        serial = f"{name}-serial-00"
        place = target.lun(1, size=64 << 20, serial=serial, sector=sector)
        return Lun(self, target, serial, build(place, marker=f"{name}-marker", behaviour=behaviour, sector=sector))

    def start(self, guest: str, command: str) -> None:
        """Run bhyve in the background; its status goes to /tmp/GUEST.status, what it says to /tmp/GUEST.log."""
        self.start_command(guest, f"{command} {guest}")

    def start_command(self, guest: str, command: str) -> None:
        """The same for any command."""
        script = f"{command}; echo $? > /tmp/{guest}.status"
        self.ssh(f"(sh -c '{script}' > /tmp/{guest}.log 2>&1 < /dev/null &)")

    def status(self, guest: str, *, deadline: float = BOOT) -> int:
        """bhyve's exit status, once it has ended; the file is taken away."""

        def look() -> str:
            return self.ssh(f"cat /tmp/{guest}.status && rm /tmp/{guest}.status").stdout

        return int(wait_for(lambda: look() or None, what=f"bhyve of {guest} ends", deadline=deadline))

    def pid(self, guest: str) -> int | None:
        found = self.ssh(f'pgrep -fx "bhyve: {guest}"').stdout.split()
        return int(found[0]) if found else None

    def until_qemu_is_gone(self, guest: str) -> None:
        """Killed with its bhyve, by whoever started it: a moment later."""
        wait_for(lambda: self.qemu_of(guest) == [], what=f"no QEMU of {guest}", deadline=60)

    def wait_for_pid(self, guest: str) -> int:
        return wait_for(lambda: self.pid(guest), what=f"bhyve: {guest} runs", deadline=60)

    def qemu_of(self, guest: str) -> list[int]:
        """The processes on the machine that emulate this guest."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                words = entry.read_bytes().split(b"\0")
                if words[0].endswith(b"qemu-system-x86_64") and guest.encode() in words:
                    found.append(int(entry.parent.name))
        return found


@dataclass
class Lun:
    """A LUN and what is on it."""

    stage: Stage
    target: Target
    serial: str
    disk: BootDisk

    @property
    def device(self) -> str:
        return f"/dev/diskid/DISK-{self.serial}"

    @property
    def place(self) -> str:
        return f"-p {self.stage.daemon.portal} -t {self.target.iqn}"

    def attach(self) -> Lun:
        """Log the host in and wait for the label."""
        done = self.stage.ssh(f"iscsictl -A {self.place}")
        assert done.status == 0, done
        wait_for(
            lambda: self.stage.ssh(f"test -c {self.device}").status == 0, what=f"{self.device} appears", deadline=20
        )
        return self

    def da(self) -> str:
        """The disk's own name: da0."""
        return next(
            found.split()[-1]
            for found in self.stage.ssh("glabel status -s").stdout.splitlines()
            if found.split()[0] == f"diskid/DISK-{self.serial}"
        )

    def detach(self) -> Ended:
        return self.stage.ssh(f"iscsictl -R {self.place}")
