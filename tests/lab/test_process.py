from __future__ import annotations

import os
import subprocess
import sys

from pyvmiscsi.lab.process import Process


def test_this_process_is_alive_and_another_with_its_id_is_not() -> None:
    me = Process.of(os.getpid())
    assert me is not None
    assert me.alive
    assert not Process(me.pid, me.started - 1).alive


def test_a_process_that_will_not_hear_is_killed() -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        process = Process.of(child.pid)
        assert process is not None
        process.end(0.2)
        assert not process.alive


def test_somebody_elses_process_of_that_id_is_left_alone() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        process = Process.of(child.pid)
        assert process is not None
        Process(process.pid, process.started + 1).end(0.1)
        assert process.alive
        child.kill()


def test_ending_what_has_ended_is_nothing() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    Process(child.pid, 1).end(0.1)
    assert Process.of(child.pid) is None
