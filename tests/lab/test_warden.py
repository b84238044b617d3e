"""A lab ends with the process that started it, also when nobody is left to take it down."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pyvmiscsi.lab import Lab
from pyvmiscsi.lab.appliance.options import ApplianceOptions
from pyvmiscsi.lab.appliance.readiness import OPTIONS_FILE
from pyvmiscsi.lab.process import Process
from pyvmiscsi.lab.warden import guarded_directory
from pyvmiscsi.waiting import wait_for

_OWNER = """
import sys
from pyvmiscsi.lab import Lab
from pyvmiscsi.lab.warden import guarded_directory
with guarded_directory() as directory:
    print(directory, flush=True)
    Lab.up(directory / "0", hypervisors=("hv1",))
    print("up", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("moment", ["while it comes up", "once it is up"])
def test_a_lab_whose_owner_is_killed_is_taken_down(moment: str) -> None:
    with subprocess.Popen([sys.executable, "-c", _OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout
        directory = Path(owner.stdout.readline().decode().strip())
        options = directory / "0" / "appliance" / OPTIONS_FILE
        pids: tuple[int, ...] = ()
        if moment == "once it is up":
            assert owner.stdout.readline() == b"up\n"
            pids = tuple(Lab.at(directory / "0").info.pids.values())
        wait_for(options.exists, what="a lab that comes up", deadline=60)
        runtime = Path(ApplianceOptions.load(options).runtime)
        os.kill(owner.pid, signal.SIGKILL)
    wait_for(lambda: not directory.exists(), what="the end of a lab", deadline=60)
    assert not runtime.exists()
    assert [pid for pid in pids if Process.of(pid)] == []
    assert [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _speaks_of(pid, directory)] == []  # noqa: PTH208 - names are enough


def _speaks_of(pid: int, directory: Path) -> bool:
    try:
        return str(directory) in Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return False


def test_a_directory_that_is_left_is_gone_and_nobody_waits_any_more() -> None:
    with guarded_directory() as directory:
        (directory / "0").mkdir()
        assert [pid for pid in _children() if _speaks_of(pid, directory)]
    assert not directory.exists()
    assert not [pid for pid in _children() if _speaks_of(pid, directory)]


def _children() -> list[int]:
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
