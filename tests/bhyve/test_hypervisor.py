"""Starting and ending guests: whose process, whose status and whose refusal it is."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from pyvmiscsi.bhyve import hypervisor_text
from pyvmiscsi.bhyve.hypervisor import START, Hypervisor
from pyvmiscsi.bhyve.supervision.supervisor import Supervision
from pyvmiscsi.errors import DeadlineError, GuestError, NotFoundError
from pyvmiscsi.hosts.local import LocalHost
from pyvmiscsi.model import HostRecord
from pyvmiscsi.names import GuestName
from tests.bhyve.stage import running
from tests.fakes.host import FakeHost, Reply

OTHERS = "vmm web1\nprocess web1 4201\nstatus web1 state=running\n"


@pytest.fixture
def hypervisor(tmp_path: Path) -> Hypervisor:
    return Hypervisor(LocalHost(HostRecord("hv1")), state_directory=str(tmp_path))


@pytest.fixture
def guest(tmp_path: Path) -> GuestName:
    """A name nobody else on this machine uses, for its processes are all looked at."""
    name = f"hv{os.getpid()}"
    (tmp_path / name).mkdir()
    return GuestName.parse(name)


def tell(directory: Path, supervisor: int) -> None:
    (directory / "status").write_text(f"state=running\noperation=0a1b\nsupervisor={supervisor}\n")


def test_a_living_supervisor_is_found_and_hears_what_is_asked(
    hypervisor: Hypervisor, guest: GuestName, tmp_path: Path
) -> None:
    with running(tmp_path / str(guest) / "supervisor.sh") as supervisor:
        tell(tmp_path / str(guest), supervisor.pid)
        assert hypervisor.guest(guest).is_supervised
        with pytest.raises(GuestError, match="it runs on hv1"):
            hypervisor.sweep(guest)
        hypervisor.ask_to_stop(guest)
    assert supervisor.returncode == -signal.SIGTERM
    assert not hypervisor.guest(guest).is_supervised


def test_a_stranger_with_a_dead_supervisors_number_is_never_signalled(
    hypervisor: Hypervisor, guest: GuestName, tmp_path: Path
) -> None:
    with running(tmp_path / "stranger.sh") as stranger:
        tell(tmp_path / str(guest), stranger.pid)
        assert not hypervisor.guest(guest).is_supervised
        for end in (hypervisor.ask_to_stop, hypervisor.force_poweroff):
            with pytest.raises(NotFoundError):
                end(guest)
        hypervisor.sweep(guest)
        assert not (tmp_path / str(guest)).exists()
    assert stranger.returncode == 0


def test_a_supervisor_is_looked_for_before_its_status_is_read(guest: GuestName, tmp_path: Path) -> None:
    """The other way round, one that ends in between would be gone and its last status still to come."""
    with running(tmp_path / str(guest) / "supervisor.sh") as supervisor:
        tell(tmp_path / str(guest), supervisor.pid)
        said = LocalHost(HostRecord("hv1")).script(hypervisor_text.QUESTION, str(tmp_path)).text
    told = [line.split()[0] for line in said.splitlines() if line.split()[1] == str(guest)]
    assert told == ["supervised", "status", "status", "status"]


def test_the_supervisor_of_another_guest_is_a_stranger(
    hypervisor: Hypervisor, guest: GuestName, tmp_path: Path
) -> None:
    other = tmp_path / f"{guest}-2"
    other.mkdir()
    with running(other / "supervisor.sh") as supervisor:
        tell(tmp_path / str(guest), supervisor.pid)
        assert not hypervisor.guest(guest).is_supervised


def answering(guests: str) -> FakeHost:
    return FakeHost(answer=lambda call: Reply(guests.encode() if call.script == hypervisor_text.QUESTION else b""))


def test_a_start_tells_why_its_supervisor_refused_it() -> None:
    host = answering(f"{OTHERS}refused web1 operation=0a1b\nrefused web1 reason=it runs already\n")
    with pytest.raises(GuestError, match="guest web1: it runs already"):
        Hypervisor(host).start(Supervision(GuestName.parse("web1"), "0a1b", "/vmconfig/web1", ("bhyve", "web1")))


def test_a_loader_at_its_prompt_is_a_start_that_has_come_to_its_end() -> None:
    host = answering("vmm web1\nsupervised web1\nstatus web1 operation=0a1b\nstatus web1 state=loading\n")
    supervision = Supervision(GuestName.parse("web1"), "0a1b", "/vmconfig/web1", ("bhyve", "web1"))
    assert Hypervisor(host).start(supervision, deadline=0.0).is_loading


def test_a_start_of_which_nothing_is_heard_is_not_taken_for_one_that_loads() -> None:
    host = answering("vmm web1\nsupervised web1\nstatus web1 operation=ffff\nstatus web1 state=loading\n")
    supervision = Supervision(GuestName.parse("web1"), "0a1b", "/vmconfig/web1", ("bhyve", "web1"))
    with pytest.raises(DeadlineError):
        Hypervisor(host).start(supervision, deadline=0.0)


def started(tmp_path: Path, script: bytes, length: int) -> int:
    """The status of the script that starts a supervisor, on a host whose daemon(8) runs nothing but notes it."""
    daemon = tmp_path / "daemon"
    daemon.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/started\n')
    daemon.chmod(0o755)
    text = START.replace("/usr/sbin/daemon", str(daemon)).replace("/bin/pgrep", "true").replace("/dev/vmm", "/tmp")
    words = (str(tmp_path / "run"), str(tmp_path / "log"), str(length), "0a1b", ".", "bhyve: web1")
    return subprocess.run(["/bin/sh", "-c", text, "sh", *words], input=script, check=False, timeout=60).returncode


def test_a_refusal_of_an_earlier_start_is_forgotten_first(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/refused").write_text("operation=0a1b\n")
    (tmp_path / "run/status").write_text("state=running\noperation=0a1b\n")
    assert started(tmp_path, b"exit 0\n", 7) == 0
    assert not (tmp_path / "run/refused").exists()
    assert (tmp_path / "run/supervisor.sh").read_bytes() == b"exit 0\n"
    assert (tmp_path / "started").read_text() == f"-f /bin/sh {tmp_path}/run/supervisor.sh\n"


def test_half_a_script_is_never_run(tmp_path: Path) -> None:
    assert started(tmp_path, b"exit", 7) == 74
    assert list((tmp_path / "run").iterdir()) == []
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("told", ["", "status web1 state=failed\n"])
def test_a_bhyve_that_no_supervisor_made_run_is_not_ended(told: str) -> None:
    host = answering(f"vmm web1\nprocess web1 4201\n{told}")
    Hypervisor(host).end(GuestName.parse("web1"))
    assert [call.script for call in host.calls] == [hypervisor_text.QUESTION]
