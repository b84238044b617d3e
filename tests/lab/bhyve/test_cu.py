"""cu(1) on a terminal, without a hypervisor around it."""

from __future__ import annotations

import os
import pty
import termios
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pyvmiscsi.lab.bhyve.cu import Talk
from pyvmiscsi.lab.bhyve.nmdm import End


class ConnectedError(Exception):
    """It has said so."""


def test_the_terminal_takes_each_key_as_it_is_before_it_says_connected(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, b"typed ahead")

    def out(text: str) -> None:
        assert text == "Connected\r\n"
        assert os.read(theirs, 100) == b"typed ahead"
        raise ConnectedError

    caller: Any = SimpleNamespace(stdin=theirs, stdout=theirs, out=out)
    before = termios.tcgetattr(theirs)
    end = End("/dev/nmdmT.1B", lines=tmp_path)
    with pytest.raises(ConnectedError):
        Talk(caller, end).run()
    assert termios.tcgetattr(theirs) == before
    end.close()
    os.close(theirs)
    os.close(ours)
