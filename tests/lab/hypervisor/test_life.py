"""Starting, stopping, restarting: a hypervisor is a handful of processes that come and go together."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import pytest

from pyvmiscsi.errors import HostError
from pyvmiscsi.lab.hypervisor import Control, HypervisorOptions, RunningHypervisor, start, stop
from pyvmiscsi.waiting import wait_for
from tests.lab.hypervisor.stage import Login, Stage, hypervisor, make_key


def gone(pid: int) -> bool:
    """Whether nothing runs under this number any more; a dead child of somebody else counts as gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def everybody_of(running: RunningHypervisor) -> list[int]:
    """The hypervisor's processes and all below them."""
    found, queue = [], list(running.pids)
    while queue:
        pid = queue.pop()
        found.append(pid)
        with contextlib.suppress(OSError):  # it has ended meanwhile
            queue += [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return found


def test_tells_where_it_answers_and_with_which_key(host: Stage) -> None:
    line = host.running.known_hosts_line
    argv = ["ssh-keygen", "-l", "-f", "-"]
    scanned = subprocess.run(argv, input=line.split(" ", 1)[1], capture_output=True, text=True, check=True)
    assert line.startswith(f"[127.0.0.1]:{host.running.port} ssh-ed25519 ")
    assert scanned.stdout.split()[1] == host.running.host_key_fingerprint


def test_can_be_written_down_and_read_back(host: Stage) -> None:
    assert RunningHypervisor.from_json(host.running.to_json()) == host.running


def test_a_stopped_hypervisor_leaves_no_process_and_no_socket(tmp_path: Path) -> None:
    with hypervisor(tmp_path) as stage:
        stage.ok("daemon -f sleep 1000")
        pids = everybody_of(stage.running)
        assert len(pids) > 5
    wait_for(lambda: all(gone(pid) for pid in pids), what="all processes are gone", deadline=60)
    assert not stage.running.control_socket.exists()


def test_a_killed_hypervisor_takes_everything_with_it(tmp_path: Path) -> None:
    with hypervisor(tmp_path) as stage:
        stage.ok("daemon -f sleep 1000")
        pids = everybody_of(stage.running)
        os.kill(stage.running.pids[0], signal.SIGKILL)
        wait_for(lambda: all(gone(pid) for pid in pids), what="all processes are gone", deadline=60)


def test_stopping_twice_is_no_error(tmp_path: Path) -> None:
    with hypervisor(tmp_path) as stage:
        stop(stage.running)


def test_stop_leaves_a_stranger_with_the_same_process_id_alone(tmp_path: Path) -> None:
    with hypervisor(tmp_path) as stage:
        pass
    stranger = RunningHypervisor(**{**vars(stage.running), "pids": (os.getpid(), 0, 0)})
    stop(stranger)


def test_a_missing_key_file_is_told(tmp_path: Path) -> None:
    options = HypervisorOptions("hv1", tmp_path / "hv1", tmp_path / "conf", tmp_path / "nokey.pub")
    with pytest.raises(HostError, match=r"nokey\.pub"):
        start(options)


def test_a_directory_with_a_very_long_name_will_do(tmp_path: Path) -> None:
    directory = tmp_path / ("long" * 30)
    directory.mkdir()
    with hypervisor(directory) as stage:
        assert stage.ok("hostname -s") == "hv1\n"


def test_nobody_gets_in_with_another_key(host: Stage, tmp_path: Path) -> None:
    other = make_key(tmp_path)
    done = subprocess.run(
        [
            *("ssh", "-F", "none", "-i", str(other), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"),
            *("-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={tmp_path}/known"),
            *("-p", str(host.running.port), f"{host.running.user}@127.0.0.1", "true"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 255
    assert "Permission denied" in done.stderr


def test_sshd_restarts_without_harm_to_what_runs_inside(host: Stage) -> None:
    host.ok("daemon -f -p /var/run/sleeper.pid sleep 1000")
    host.wait("pgrep -F /var/run/sleeper.pid >/dev/null 2>&1")
    before = host.ok("cat /var/run/sleeper.pid")
    with host.control() as control:
        assert control.restart_sshd() != host.running.pids[1]
    with Login(host.running, host.key) as login:
        assert login.run("pgrep -F /var/run/sleeper.pid").text.strip() == before.strip()


def test_two_hypervisors_share_their_configuration_and_nothing_else(tmp_path: Path) -> None:
    with hypervisor(tmp_path, "hv1") as one, hypervisor(tmp_path, "hv2") as two:
        one.ok("echo shared > /vmconfig/file; echo own > /tmp/file")
        assert two.ok("cat /vmconfig/file") == "shared\n"
        assert two.run("cat /tmp/file").status == 1
        assert (one.ok("hostname"), two.ok("hostname")) == ("hv1.lab\n", "hv2.lab\n")


def test_nobody_answers_at_a_stopped_hypervisors_socket(tmp_path: Path) -> None:
    with hypervisor(tmp_path) as stage:
        pass
    with pytest.raises(HostError, match="no hypervisor answers"):
        Control(stage.running.control_socket)
