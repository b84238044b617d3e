"""istgt as the appliance's target: it can export LUN 0, which tgtd cannot (libiscsi.md section 6).

For every change it is started again, which cuts every session: told to read its configuration anew (`istgtcontrol
refresh`) it leaves some commands unanswered afterwards, and knows no new initiator groups. Its NAA designators are its
own. For all but LUN 0, tgtd is the better target.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from pyvmiscsi.lab.appliance.readiness import Ready
from pyvmiscsi.lab.appliance.target import istgt_text
from pyvmiscsi.lab.appliance.target.plane import Export, PlaneSession, UnshowableError
from pyvmiscsi.lab.appliance.target.programs import program
from pyvmiscsi.lab.ports import free_port
from pyvmiscsi.waiting import wait_for

_HIGHEST_LUN = 63


class IstgtError(Exception):
    """istgt did not do what was asked."""


class Istgt:
    """An istgt that serves on `host`:`port`, with its files in `directory` and its id in `noted`."""

    def __init__(self, directory: Path, host: str, port: int, noted: Path) -> None:
        self._directory = directory
        self._noted = noted
        self._listen = f"{host}:{port}"
        self._control_port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._exports: dict[str, Export] = {}
        self._numbers: dict[str, int] = {}
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def pids(self) -> tuple[int, ...]:
        return (self._process.pid,) if self._process else ()

    def check(self, exports: Mapping[str, Export]) -> None:
        """istgt has one block size for all LUNs of a target, and 64 of them."""
        for iqn, export in exports.items():
            if len({unit.block_size for unit in export.units.values()}) > 1:
                raise UnshowableError(f"{iqn}: this lab's target, istgt, has one block size for a whole target")
            if any(lun > _HIGHEST_LUN for lun in export.units):
                raise UnshowableError(f"{iqn}: this lab's target, istgt, has LUNs 0 to {_HIGHEST_LUN}")

    def start(self) -> None:
        if self._process is not None:
            return
        self._write()
        with (self._directory / "istgt.log").open("ab") as log:
            self._process = subprocess.Popen(
                [program("istgt"), "-D", "-c", str(self._directory / "istgt.conf")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        Ready.say_process(self._noted, self._process.pid)
        wait_for(self._answers, what=f"istgt at {self._listen}", deadline=60.0)

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            self._process = None
            said = (self._directory / "istgt.log").read_text(errors="replace").strip().splitlines()
            raise IstgtError(f"istgt ended: {said[-1] if said else 'no message'}")
        return "DONE LIST" in self._control("list")

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process = None
        self._noted.unlink(missing_ok=True)

    def publish(self, exports: Mapping[str, Export]) -> None:
        """A target without LUNs does not exist to istgt; it appears with its first."""
        wanted = {iqn: export for iqn, export in exports.items() if export.units}
        before, self._exports = self._exports, wanted
        if self._process is None or before == wanted:
            return
        self.stop()
        self.start()

    def _write(self) -> None:
        self._numbers = {iqn: number for iqn, number in self._numbers.items() if iqn in self._exports}
        for iqn in self._exports.keys() - self._numbers.keys():
            taken = set(self._numbers.values())
            self._numbers[iqn] = next(number for number in range(1, len(taken) + 2) if number not in taken)
        numbered = {self._numbers[iqn]: export for iqn, export in self._exports.items()}
        texts = {
            "istgt.conf": istgt_text.configuration(numbered, self._directory, self._listen, self._control_port),
            "istgt.auth": istgt_text.accounts(numbered),
            "istgtcontrol.conf": istgt_text.CONTROL_CONFIGURATION,
        }
        for name, text in texts.items():
            path = self._directory / name
            path.touch(mode=0o600)
            path.write_text(text)

    def _control(self, *words: str) -> str:
        configuration, port = str(self._directory / "istgtcontrol.conf"), str(self._control_port)
        ended = subprocess.run(
            [program("istgtcontrol"), "-c", configuration, "-h", "127.0.0.1", "-p", port, "-t", "ALL", *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
        return ended.stdout

    def sessions(self) -> tuple[PlaneSession, ...]:
        return istgt_text.sessions(self._control("info")) if self._process else ()
