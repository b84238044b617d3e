"""Guests whose loader runs on their console, and `pyvmiscsi vm start -f` on a real terminal: no system has to boot."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from pyvmiscsi.lab import Lab
from pyvmiscsi.names import GuestName
from pyvmiscsi.operations.create import CreateRequest, DiskRequest
from pyvmiscsi.site import Site
from pyvmiscsi.units import Size
from pyvmiscsi.waiting import wait_for
from tests.e2e.command import Command

_CTRL_C = b"\x03"
_BOOT_RECORD = bytes(510) + b"\x55\xaa"


class Terminal:
    """A command on a terminal of its own, and all it has shown."""

    def __init__(self, keyboard: int, process: subprocess.Popen[bytes]) -> None:
        self._keyboard = keyboard
        self.process = process
        self.shown = b""

    def until(self, words: bytes) -> None:
        while words not in self.shown:
            piece = self._read()
            assert piece, f"it ended without {words!r}: {self.shown!r}"
            self.shown += piece
        self.shown = self.shown.partition(words)[2]

    def type(self, keys: bytes) -> None:
        os.write(self._keyboard, keys)

    def status(self) -> int:
        """Of the command, once it has ended and all it has shown was read."""
        while piece := self._read():
            self.shown += piece
        return self.process.wait(60)

    def _read(self) -> bytes:
        try:
            return os.read(self._keyboard, 4096)
        except OSError:  # EIO: nobody has the other end any more
            return b""


@contextmanager
def on_terminal(command: Command, *words: str) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    with subprocess.Popen(command.argv(*words), stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        try:
            yield Terminal(ours, process)
        finally:
            process.kill()
            os.close(ours)


def wait_until_hung_up(lab: Lab, guest: str) -> None:
    with Site.load(lab.site_file) as site:
        host = site.host("hv1")
        words = ["/bin/pgrep", "-f", f"cu -l /dev/nmdm-{guest}[.]"]
        wait_for(lambda: host.run(words, ok=(0, 1)).status == 1, what="cu hears of it", deadline=60)


@pytest.fixture
def guest(lab: Lab, new_name: Callable[[], str]) -> Iterator[str]:
    """A guest of bhyveload, which counts down for a minute."""
    name = new_name()
    with Site.load(lab.site_file) as site:
        made = site.datastore().create(CreateRequest(GuestName.parse(name), (DiskRequest(Size.parse("64M")),)))
        made.set({"loader": "bhyveload", "loader_timeout": "60"})
        with made.open_disk() as lun:
            lun.pwrite(_BOOT_RECORD, 0)
            lun.flush()
        yield name
        made.poweroff()
        made.destroy()


@pytest.mark.timeout(200)
def test_every_key_goes_to_the_guest_from_its_first_line_on_and_its_end_is_told(command: Command, guest: str) -> None:
    with on_terminal(command, "vm", "start", "-f", guest) as terminal:
        terminal.until(b"Consoles: userboot")
        terminal.until(b"any other key for command prompt.")
        terminal.type(_CTRL_C)
        terminal.until(b"OK ")
        terminal.type(b"quit\r")
        terminal.until(b"the loader failed")
        assert terminal.status() == 74
    assert command.json("vm", "list")[0]["state"] == "Stopped"
    assert [found for found in command.json("ops", "list") if found["guest"] == guest] == []


@pytest.mark.timeout(200)
def test_who_leaves_the_terminal_or_loses_it_leaves_the_guest_running(lab: Lab, command: Command, guest: str) -> None:
    with on_terminal(command, "vm", "start", "-f", guest) as terminal:
        terminal.until(b"any other key for command prompt.")
        terminal.type(_CTRL_C)
        terminal.until(b"OK ")
        terminal.process.kill()
    wait_until_hung_up(lab, guest)
    with on_terminal(command, "vm", "console", guest) as terminal:
        terminal.until(b"Connected")
        terminal.type(b"\r")
        terminal.until(b"OK ")
        terminal.type(b"~.")
        assert terminal.status() == 0
    assert next(row for row in command.json("vm", "list") if row["name"] == guest)["state"] == "Running"


def test_a_guest_of_a_loader_is_loaded_again_when_it_reboots(lab: Lab, command: Command, guest: str) -> None:
    command.ok("vm", "set", guest, "loader_timeout=0")
    command.ok("vm", "start", guest)
    command.ok("vm", "reset", guest, "--yes")
    with Site.load(lab.site_file) as site:
        log = site.host("hv1").script("/bin/cat /var/log/pyvmiscsi/$1.log", guest).text
    assert "guest rebooted: starting it again" in log
    assert next(row for row in command.json("vm", "list") if row["name"] == guest)["state"] == "Running"
