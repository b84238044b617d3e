"""What the tests of this folder stand on: a real tgtd, a hypervisor, and a login to it that runs many commands."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import paramiko

from pyvmiscsi.lab.hypervisor import Control, HypervisorOptions, RunningHypervisor, start, stop
from tests.initiator.tgtd import Tgtd


@dataclass(frozen=True)
class Result:
    """What a command left: both outputs as one, as a terminal shows them, and its status."""

    text: str
    status: int

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


class Login:
    """One SSH connection to a hypervisor; every command is a session of its own on it."""

    def __init__(self, running: RunningHypervisor, key: Path) -> None:
        self._client = paramiko.SSHClient()
        self._client.set_missing_host_key_policy(paramiko.RejectPolicy())
        kind, text = running.known_hosts_line.split()[1:]
        entry = paramiko.hostkeys.HostKeyEntry.from_line(f"{running.known_hosts_line}\n")
        assert entry is not None and entry.key is not None, (kind, text)
        self._client.get_host_keys().add(f"[{running.address}]:{running.port}", kind, entry.key)
        self._client.connect(
            running.address,
            running.port,
            running.user,
            key_filename=str(key),
            allow_agent=False,
            look_for_keys=False,
            timeout=60,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def run(self, command: str, *, stdin: bytes = b"", deadline: float = 60.0) -> Result:
        """Run a command line; both outputs go the same way."""
        with self.begin(f"exec 2>&1\n{command}") as channel:
            channel.settimeout(deadline)
            if stdin:
                channel.sendall(stdin)
            channel.shutdown_write()
            pieces = []
            while piece := channel.recv(65536):
                pieces.append(piece)
            status = channel.recv_exit_status()
        return Result(b"".join(pieces).decode("utf-8", "surrogateescape"), status)

    @contextmanager
    def begin(self, command: str, *, terminal: bool = False) -> Iterator[paramiko.Channel]:
        """Start a command and leave it running."""
        transport = self._client.get_transport()
        assert transport is not None
        channel = transport.open_session()
        try:
            if terminal:
                channel.get_pty()
            channel.exec_command(command)
            yield channel
        finally:
            channel.close()

    def sftp(self) -> paramiko.SFTPClient:
        return self._client.open_sftp()


@dataclass(frozen=True)
class Stage:
    """One hypervisor with a login to it."""

    running: RunningHypervisor
    login: Login
    directory: Path
    key: Path

    def run(self, command: str, *, stdin: bytes = b"", deadline: float = 60.0) -> Result:
        return self.login.run(command, stdin=stdin, deadline=deadline)

    def ok(self, command: str, *, stdin: bytes = b"", deadline: float = 60.0) -> str:
        """The output of a command that must succeed."""
        result = self.run(command, stdin=stdin, deadline=deadline)
        assert result.status == 0, f"{command}: {result}"
        return result.text

    def control(self) -> Control:
        return Control(self.running.control_socket)

    def console(self) -> list[str]:
        """What the kernel has printed."""
        with self.control() as control:
            return control.console_messages()

    def attach(self, portal: object, target: str, node: str, *, deadline: int = 60) -> None:
        """Log in, and wait until the device node is there."""
        self.ok(f"iscsictl -A -p {portal} -t {target}")
        self.wait(f"test -c /dev/{node}", deadline=deadline)

    def wait(self, condition: str, *, deadline: int = 60) -> None:
        """Wait inside the hypervisor until a command succeeds."""
        script = f"n=0; until {condition}; do n=$((n+1)); [ $n -gt {deadline * 20} ] && exit 9; sleep 0.05; done"
        result = self.run(script, deadline=deadline + 20)
        assert result.status == 0, f"not so after {deadline} s: {condition}: {result}"


def make_key(directory: Path) -> Path:
    """A key pair for a login; the private half's path."""
    path = directory / "key"
    if not path.exists():
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    return path


@contextmanager
def hypervisor(directory: Path, name: str = "hv1", **options: object) -> Iterator[Stage]:
    """A running hypervisor below `directory`, until the end of the block."""
    key = make_key(directory)
    given: dict[str, object] = {
        "name": name,
        "directory": directory / name,
        "shared_config": directory / "vmconfig",
        "authorized_key": key.with_suffix(".pub"),
        **options,
    }
    running = start(HypervisorOptions(**given))  # type: ignore[arg-type]
    try:
        with Login(running, key) as login:
            yield Stage(running, login, directory, key)
    finally:
        stop(running)


def add_target(daemon: Tgtd, number: int, iqn: str) -> None:
    """A target that anybody may log in to, under exactly this name, with tgt's own defaults."""
    daemon.admin("--op", "new", "--mode", "target", "--tid", str(number), "-T", iqn)
    daemon.admin("--op", "bind", "--mode", "target", "--tid", str(number), "-I", "ALL")


def add_lun(daemon: Tgtd, number: int, lun: int, *, serial: str, size: int = 64 << 20, sector: int = 512) -> Path:
    """A LUN as an appliance's would identify itself; the sparse file behind it."""
    place = daemon.directory / f"{number}-{lun}.img"
    with place.open("wb") as file:
        file.truncate(size)
    where = ("--mode", "logicalunit", "--tid", str(number), "--lun", str(lun))
    daemon.admin("--op", "new", *where, "-b", str(place), "--blocksize", str(sector))
    words = f"scsi_sn={serial},vendor_id=TrueNAS,product_id=iSCSI Disk,product_rev=0123"
    daemon.admin("--op", "update", *where, "--params", words)
    return place
