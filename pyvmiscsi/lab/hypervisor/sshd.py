"""A real sshd of the hypervisor's own: key, configuration, process."""

from __future__ import annotations

import base64
import hashlib
import os
import pwd
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from pyvmiscsi.errors import HostError, NotFoundError
from pyvmiscsi.lab.hypervisor import sshd_text
from pyvmiscsi.lab.hypervisor.sandbox import dies_with_us
from pyvmiscsi.lab.ports import free_port
from pyvmiscsi.waiting import wait_for


class Sshd:
    """The server of one hypervisor. It can be stopped and started again without touching anything else."""

    def __init__(self, directory: Path, *, gate_socket: Path, authorized_key: str, log: int) -> None:
        self._directory = directory
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._program = _server()
        self.user = pwd.getpwuid(os.geteuid()).pw_name  # $USER may be anybody
        self._view = _view_of(directory, self.user)
        door = Path(__file__).with_name("door.py")
        interpreter = getattr(sys, "_base_executable", sys.executable)
        self._gate = "exec " + shlex.join([interpreter, "-ISB", str(door), "gate", str(gate_socket)])
        (directory / "authorized_keys").write_text(authorized_key)
        (directory / "authorized_keys").chmod(0o600)
        self.host_key = _host_key(directory / "host_key")
        self.port = 0

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def fingerprint(self) -> str:
        """`SHA256:…`, as ssh-keygen -l prints it."""
        digest = hashlib.sha256(base64.b64decode(self.host_key.split()[1])).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")

    @property
    def known_hosts_line(self) -> str:
        return sshd_text.known_hosts_line(self.port, self.host_key)

    def start(self) -> None:
        """Listen, on the port of before if there was one; HostError when it cannot."""
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd(8) as root wants its empty directory
        for _ in range(5 if not self.port else 1):
            port = self.port or free_port()
            if self._start_on(port):
                self.port = port
                return
        raise HostError("sshd does not start", hint=f"see {self._directory}/log")

    def stop(self) -> None:
        """End the listening server; connections that it has accepted go on."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(60)
        self._process = None

    def _start_on(self, port: int) -> bool:
        text = sshd_text.sshd_config(directory=self._directory, port=port, user=self.user, gate=self._gate)
        config = self._directory / "sshd_config"
        config.write_text(text)
        process = subprocess.Popen(
            [*self._view, self._program, "-D", "-e", "-f", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            preexec_fn=dies_with_us,  # noqa: PLW1509 - one prctl(2), and a server must not outlive the lab
        )
        self._process = process
        return wait_for(
            lambda: _verdict(process, port),
            what=f"sshd on port {port}",
            deadline=60,
            pauses=iter(lambda: 0.005, None),
        ).works


def _view_of(directory: Path, user: str, shadow: Path = Path("/etc/shadow")) -> list[str]:
    """What to put before sshd, so that an account with a locked password may come with its key.

    sshd without PAM refuses such an account, and PAM does not work in every container. So sshd is shown another
    shadow file. Only root's sshd reads one; for any other user there is nothing to do.
    """
    if os.geteuid() != 0 or not sshd_text.is_locked(shadow.read_text(), user):
        return []
    shown = directory / "shadow"
    shown.touch(mode=0o600)
    shown.write_text(sshd_text.unlocked_shadow(user))
    whole = ["bwrap", "--dev-bind", "/", "/", "--cap-add", "ALL", "--die-with-parent"]
    return [*whole, "--ro-bind", str(shown), str(shadow), "--"]


class _Verdict:
    def __init__(self, works: bool) -> None:
        self.works = works


def _verdict(process: subprocess.Popen[bytes], port: int) -> _Verdict | None:
    if process.poll() is not None:
        return _Verdict(False)
    with socket.socket() as probe:
        probe.settimeout(5)
        if probe.connect_ex(("127.0.0.1", port)) != 0:
            return None
    return _Verdict(process.poll() is None)


def _server() -> str:
    found = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if found is None:
        raise NotFoundError("the lab needs the program sshd", hint="install openssh-server")
    return found


def _host_key(path: Path) -> str:
    if not path.exists():
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(path)]
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return path.with_suffix(".pub").read_text().strip()
