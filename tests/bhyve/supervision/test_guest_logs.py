"""Logs found and read on this machine, by the very commands that a hypervisor is asked with."""

from __future__ import annotations

import os
from pathlib import Path

from pyvmiscsi.bhyve.supervision.guest_logs import LogFile, find_logs, last_lines
from pyvmiscsi.hosts.local import LocalHost
from pyvmiscsi.model import HostRecord

HERE = LocalHost(HostRecord("hv1"))


def test_those_that_are_there_are_found_with_when_they_were_written(tmp_path: Path) -> None:
    old, new = tmp_path / "old it's.log", tmp_path / "new.log"
    for path, when in ((old, 1_000_000_000), (new, 2_000_000_000)):
        path.write_text("a\nb\nc\n")
        os.utime(path, (when, when))
    found = find_logs(HERE, (str(new), str(tmp_path / "none.log"), str(tmp_path), str(old)))
    assert found == (LogFile("hv1", str(new), 2_000_000_000), LogFile("hv1", str(old), 1_000_000_000))


def test_the_last_lines_are_told_whatever_bytes_they_have(tmp_path: Path) -> None:
    path = tmp_path / "console.log"
    path.write_bytes(b"one\n\xfftwo\nthree")
    assert last_lines(HERE, str(path), 2) == ("\ufffdtwo", "three")
    assert last_lines(HERE, str(path), 99) == ("one", "\ufffdtwo", "three")
