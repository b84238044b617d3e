"""A guest in QEMU, from its first instruction to the exit status that bhyve would have given."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pyvmiscsi.lab.bhyve import control, firmware
from pyvmiscsi.lab.bhyve.guest import Ending, Guest, _enables_events
from pyvmiscsi.lab.bhyve.machine import Machine
from pyvmiscsi.lab.bhyve.nmdm import End
from pyvmiscsi.lab.bhyve.qemu_argv import Plumbing, qemu_argv
from pyvmiscsi.lab.bhyve.qmp import Qmp
from pyvmiscsi.waiting import wait_for
from tests.lab.bhyve import roms
from tests.lab.bhyve.far import Far


class _Program:
    """QEMU started by the test itself."""

    def __init__(self, argv: tuple[str, ...], said: int, pass_fds: tuple[int, ...]) -> None:
        self._process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=said, stderr=said, pass_fds=pass_fds, process_group=0
        )
        self._handle = os.pidfd_open(self._process.pid)

    def fileno(self) -> int:
        return self._handle

    def wait(self) -> int:
        return self._process.wait(60)

    def signal(self, number: int) -> None:
        self._process.send_signal(number)


@dataclass
class _Bench:
    """Runs one guest after another in a directory of its own."""

    directory: Path
    far: Far
    said: list[str] = field(default_factory=list)
    console: bytes = b""

    @property
    def lines(self) -> Path:
        return self.directory / "lines"

    def run(self, rom: Path, *, meanwhile: Callable[[_Bench], None] | None = None) -> Ending:
        """The guest's ending; `meanwhile` runs beside it, in a thread."""
        machine = Machine("g1", 1, 1, 1, 1, 64 << 20, "", str(rom), "", consoles=(("com1", "/dev/nmdmT.1A"),))
        log, said = os.memfd_create("log"), os.memfd_create("said")
        monitor, monitor_inside = socket.socketpair()
        port, port_inside = socket.socketpair()
        plumbing = Plumbing(
            firmware=str(rom),
            variables=str(firmware.variables()),
            keep_variables=False,
            backings={},
            consoles={"com1": port_inside.fileno()},
            qmp=monitor_inside.fileno(),
            reset_log=log,
        )
        inside = (log, monitor_inside.fileno(), port_inside.fileno())
        qemu = _Program(qemu_argv(machine, plumbing), said, inside)
        monitor_inside.close()
        port_inside.close()
        listener = control.listen("g1", vms=self.directory)
        guest = Guest(
            qemu,
            Qmp(monitor),
            {port: End("/dev/nmdmT.1A", lines=self.lines)},
            listener,
            log=log,
            said=said,
            complain=self.said.append,
        )
        beside = threading.Thread(target=meanwhile or (lambda _bench: None), args=(self,))
        beside.start()
        try:
            return guest.run()
        finally:
            beside.join()
            listener.close()

    def tell(self, word: str) -> None:
        assert control.tell("g1", word, vms=self.directory)

    def hear(self, text: bytes, *, deadline: float = 60) -> None:
        """Wait for the text on the console."""

        def look() -> bool:
            self.console += self.far.read()
            return text in self.console

        wait_for(look, what=f"{text!r} on the console", deadline=deadline)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[_Bench]:
    lines = tmp_path / "lines"
    lines.mkdir()
    far = Far(lines)
    yield _Bench(tmp_path, far)
    far.close()


def _rom(bench: _Bench, code: bytes) -> Path:
    path = bench.directory / "rom.fd"
    path.write_bytes(roms.rom(code))
    return path


def test_a_processor_that_stops_for_good_is_a_halt(bench: _Bench) -> None:
    assert bench.run(_rom(bench, roms.PRINT + roms.HALT)) == 2
    bench.hear(b"hello\n", deadline=60)


def test_a_fault_in_a_fault_in_a_fault_is_a_triple_fault(bench: _Bench) -> None:
    assert bench.run(_rom(bench, roms.TRIPLE_FAULT)) == 3


@pytest.mark.parametrize(("word", "status"), [("poweroff", 1), ("reset", 0)])
def test_bhyvectl_ends_a_guest_that_listens_to_nobody(bench: _Bench, word: str, status: int) -> None:
    def meanwhile(bench: _Bench) -> None:
        bench.hear(b"hello\n")
        os.kill(os.getpid(), signal.SIGTERM)  # the power button, which nobody reads
        bench.tell(word)

    assert bench.run(_rom(bench, roms.ENABLE_EVENTS + roms.PRINT + roms.IDLE), meanwhile=meanwhile) == status
    assert bench.said == []


def test_before_its_system_has_enabled_acpi_the_signal_ends_bhyve(bench: _Bench) -> None:
    def meanwhile(bench: _Bench) -> None:
        bench.hear(b"hello\n")
        os.kill(os.getpid(), signal.SIGTERM)

    assert bench.run(_rom(bench, roms.PRINT + roms.IDLE), meanwhile=meanwhile) == 143


@pytest.mark.parametrize(
    ("value", "enabled"), [("0x0000", False), ("0xffff", False), ("0x0020", True), ("0x0120", True)]
)
def test_a_system_that_has_enabled_acpi_has_an_event_enabled(value: str, enabled: bool) -> None:
    assert _enables_events(f"portw[0x0602] = {value}\r\n") is enabled


def test_a_guest_whose_machine_is_destroyed_ends_with_a_complaint(bench: _Bench) -> None:
    assert bench.run(_rom(bench, roms.IDLE), meanwhile=lambda bench: bench.tell("destroy")) == 1
    assert bench.said == ["vm_run error -1, errno 6"]


def test_what_is_typed_at_the_far_end_reaches_the_guest(bench: _Bench) -> None:
    def meanwhile(bench: _Bench) -> None:
        bench.hear(b"hello\n")
        bench.far.type(b"to and fro")
        bench.hear(b"to and fro")
        bench.tell("poweroff")

    assert bench.run(_rom(bench, roms.PRINT + roms.ECHO), meanwhile=meanwhile) == 1


def test_qemu_that_does_not_start_is_the_labs_error(bench: _Bench) -> None:
    assert bench.run(bench.directory / "no such rom") == 4
    assert "no such rom" in bench.said[0]
