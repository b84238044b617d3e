"""A real iSCSI target for tests: an unprivileged tgtd of our own, in a directory of our own."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pyvmiscsi.errors import PyvmiscsiError
from pyvmiscsi.lab.ports import free_port
from pyvmiscsi.names import Portal
from pyvmiscsi.waiting import wait_for

DIES_WITH_US = ("/usr/bin/setpriv", "--pdeathsig", "KILL")  # also when the tests are killed
TGTD, TGTADM = "/usr/sbin/tgtd", "/usr/sbin/tgtadm"


@dataclass(frozen=True, slots=True)
class Account:
    user: str
    secret: str


class Tgtd:
    """One daemon. Targets are made with `target` and named `iqn.2026-01.org.example:<name>-<number>`."""

    def __init__(self, directory: Path, port: int) -> None:
        self.directory = directory
        self.portal = Portal("127.0.0.1", port)
        self._control = str(port % 32768)  # its socket is in our own directory: it need not be unique
        self._environment = os.environ | {
            "TGT_IPC_SOCKET": str(directory / "ipc"),
            # Without these a fresh tgtd faults in every page of every buffer, and its speed says nothing.
            "MALLOC_MMAP_THRESHOLD_": "33554432",
            "MALLOC_TRIM_THRESHOLD_": "536870912",
            "MALLOC_TOP_PAD_": "67108864",
        }
        self._numbers = itertools.count(1)
        self._told: list[tuple[str, ...]] = []
        self._log = (directory / "tgtd.log").open("wb")
        self.process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*DIES_WITH_US, TGTD, "-f", "-C", self._control, "-t", "1", "--iscsi", f"portal={self.portal}"],
            env=self._environment,
            stdout=self._log,
            stderr=self._log,
            cwd=self.directory,
        )

    def is_up(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError((self.directory / "tgtd.log").read_text())
        shown = subprocess.run(
            [TGTADM, "-C", self._control, "--lld", "iscsi", "--op", "show", "--mode", "sys"],
            env=self._environment,
            capture_output=True,
            check=False,
        )
        return shown.returncode == 0

    def admin(self, *words: str) -> str:
        command = [TGTADM, "-C", self._control, "--lld", "iscsi", *words]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        if "show" not in words:
            self._told.append(words)
        return done.stdout

    def target(
        self,
        name: str = "disk",
        *,
        login: Account | None = None,
        mutual: Account | None = None,
        iqn: str = "",
        admit: bool = True,
    ) -> Target:
        """A new target that anybody may log in to, or only this account; `mutual` is what it calls itself.

        Without `admit` nobody is let in before `Target.admit`: a session that comes before the LUNs shows none.
        """
        number = next(self._numbers)
        target = Target(self, number, iqn or f"iqn.2026-01.org.example:{name}-{number}")
        self.admin("--op", "new", "--mode", "target", "--tid", str(number), "-T", target.iqn)
        if admit:
            target.admit()
        for account, way in ((login, ()), (mutual, ("--outgoing",))):
            if account:
                with contextlib.suppress(RuntimeError):  # accounts are global: another target may have made it
                    self.admin("--op", "new", "--mode", "account", "--user", account.user, "--password", account.secret)
                self.admin("--op", "bind", "--mode", "account", "--tid", str(number), "--user", account.user, *way)
        for key, value in (
            ("MaxRecvDataSegmentLength", "262144"),
            ("MaxXmitDataSegmentLength", "262144"),
            ("FirstBurstLength", "262144"),
            ("MaxBurstLength", "1048576"),
            ("InitialR2T", "No"),
        ):
            self.admin(*("--op", "update", "--mode", "target", "--tid", str(number), "--name", key, "--value", value))
        return target

    def restart(self) -> None:
        """Kill it, and start it again with all that it was told: the same targets and LUNs, and nobody logged in."""
        self.kill()
        self.process = self._started()
        wait_for(self.is_up, what="tgtd answers again", deadline=20)
        told, self._told = self._told, []
        for words in sorted(told, key=lambda words: "bind" in words):  # nobody is let in before the LUNs are there
            self.admin(*words)

    def kill(self) -> None:
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)  # it ignores SIGTERM
        self.process.wait()

    def close(self) -> None:
        self.kill()
        self._log.close()


@dataclass(frozen=True, slots=True)
class Target:
    daemon: Tgtd
    number: int
    iqn: str

    def admit(self) -> None:
        """Let initiators in, from anywhere."""
        self.daemon.admin("--op", "bind", "--mode", "target", "--tid", str(self.number), "-I", "ALL")

    def lun(
        self, lun: int, *, size: int, serial: str, sector: int = 512, naa: str = "6589cfc000000a1b2c3d4e5f60718293"
    ) -> Path:
        """A new LUN; the sparse file behind it."""
        place = self.daemon.directory / f"{self.number}-{lun}.img"
        with place.open("xb") as file:
            file.truncate(size)
        where = ("--mode", "logicalunit", "--tid", str(self.number), "--lun", str(lun))
        self.daemon.admin("--op", "new", *where, "-b", str(place), "--blocksize", str(sector))
        self.daemon.admin(
            "--op", "update", *where, "--params", f"thin_provisioning=1,scsi_sn={serial},scsi_id=naa.{naa},"
            "vendor_id=TrueNAS,product_id=iSCSI Disk,product_rev=0123",
        )  # fmt: skip
        return place

    def grow(self, lun: int, size: int) -> None:
        """Make the file behind a LUN larger, or smaller; tgtd reads its size when it opens it."""
        place = self.daemon.directory / f"{self.number}-{lun}.img"
        os.truncate(place, size)
        for change in ("online=0", f"path={place}", "online=1"):
            self.update(lun, change)

    def update(self, lun: int, change: str) -> None:
        """Change a parameter of a LUN, such as `readonly=1`."""
        where = ("--mode", "logicalunit", "--tid", str(self.number), "--lun", str(lun))
        self.daemon.admin("--op", "update", *where, "--params", change)

    def ping(self, *, interval: int, count: int) -> None:
        """Ask initiators every `interval` seconds whether they live, and drop those that miss `count` answers."""
        for name, value in (("nop_interval", interval), ("nop_count", count)):
            self.daemon.admin(
                *("--op", "update", "--mode", "target", "--tid", str(self.number), "--name", name),
                *("--value", str(value)),
            )

    def sessions(self) -> str:
        return self.daemon.admin("--op", "show", "--mode", "conn", "--tid", str(self.number))

    def delete(self) -> None:
        """Take it away under its sessions: forced or not, tgtd refuses while a command is in flight."""
        target = ("--mode", "target", "--tid", str(self.number))

        def gone() -> bool:
            try:
                self.daemon.admin("--op", "delete", "--force", *target)
            except RuntimeError as refused:
                if "still active" not in str(refused):
                    raise
                self.cut()
                return False
            return True

        wait_for(gone, what=f"{self.iqn} is gone", deadline=60)

    def cut(self) -> None:
        """End every connection to it, as a target that was restarted would have."""
        for session, connection in re.findall(r"^Session: (\d+)\n\s*Connection: (\d+)", self.sessions(), re.MULTILINE):
            which = ("--tid", str(self.number), "--sid", session, "--cid", connection)
            with contextlib.suppress(RuntimeError):  # it has gone by itself meanwhile
                self.daemon.admin("--op", "delete", "--mode", "conn", *which)


@contextlib.contextmanager
def running(directory: Path) -> Iterator[Tgtd]:
    """A tgtd that answers, until the end of the block."""
    daemon = Tgtd(directory, free_port())
    try:
        wait_for(daemon.is_up, what="tgtd answers", deadline=60)
        yield daemon
    finally:
        daemon.close()


@contextlib.contextmanager
def busy(command: Callable[[], object]) -> Iterator[None]:
    """Within the block commands follow each other without a pause, until the session is lost."""
    under_way, over = threading.Event(), threading.Event()

    def follow() -> None:
        with contextlib.suppress(PyvmiscsiError):
            while not over.is_set():
                command()
                under_way.set()

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        if not under_way.wait(60):
            raise RuntimeError("no command was answered in 60 s")
        yield
    finally:
        over.set()
        thread.join()
