"""A real sshd of our own, on a free port of this machine, for as long as a test needs it."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyvmiscsi.lab.ports import free_port
from pyvmiscsi.model import HostRecord
from pyvmiscsi.waiting import wait_for


@dataclass(frozen=True)
class Sshd:
    """Where the server is, and which keys belong to it."""

    directory: Path
    port: int
    pid: int

    @property
    def client_key(self) -> Path:
        return self.directory / "client_ed25519"

    def fingerprint(self, key_type: str = "ed25519") -> str:
        shown = _output("ssh-keygen", "-l", "-f", str(self.directory / f"host_{key_type}.pub"))
        return shown.split()[1]

    def known_hosts(self, key_type: str = "ed25519") -> Path:
        """A known_hosts file that names this server's key of that type."""
        words = (self.directory / f"host_{key_type}.pub").read_text().split()
        path = self.directory / f"known_hosts_{key_type}"
        path.write_text(f"[127.0.0.1]:{self.port} {words[0]} {words[1]}\n")
        return path

    def record(self, **changes: str | int | None) -> HostRecord:
        fields: dict[str, object] = {
            "name": "hv1",
            "address": "127.0.0.1",
            "port": self.port,
            "user": getpass.getuser(),
            "key_file": str(self.client_key),
            "host_key": self.fingerprint(),
        }
        return HostRecord(**{**fields, **changes})  # type: ignore[arg-type] # the fields' types are mixed on purpose

    def connections(self) -> list[int]:
        """The process ids of the server's open connections."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [int(child) for child in children]


@contextmanager
def running(directory: Path, *, most_sessions: int = 10) -> Iterator[Sshd]:
    """Start sshd as the user that we are; `most_sessions` is how many it takes on one connection (its own default)."""
    for name in ("host_ed25519", "host_ecdsa", "client_ed25519"):
        kind = name.partition("_")[2]
        make_key(directory / name, kind)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # root's sshd wants its privilege separation directory
    port = free_port()
    config = directory / "sshd_config"
    config.write_text(
        f"ListenAddress 127.0.0.1:{port}\n"
        f"HostKey {directory}/host_ed25519\n"
        f"HostKey {directory}/host_ecdsa\n"
        f"PidFile {directory}/sshd.pid\n"
        f"AuthorizedKeysFile {directory}/client_ed25519.pub\n"
        # at this depth bash does not read the ~/.bashrc of whoever runs the tests
        "SetEnv SHLVL=2\n"
        "StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        f"PermitRootLogin prohibit-password\nMaxStartups 100\nMaxSessions {most_sessions}\n"
    )
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin") or "/usr/sbin/sshd"
    with (directory / "sshd.log").open("wb") as log:
        process = subprocess.Popen([sshd, "-D", "-e", "-f", str(config)], stderr=log)
    try:
        wait_for(lambda: _answers(port), what=f"sshd on port {port}", deadline=60)
        yield Sshd(directory, port, process.pid)
    finally:
        process.terminate()
        process.wait()


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> None:
    _output("ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", str(path))


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _output(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout
