"""How the appliance's process says that it answers, and where."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pyvmiscsi.lab.process import Process

OPTIONS_FILE, READY_FILE, CONTROL_SOCKET = "options.json", "ready.json", "control.sock"


@dataclass(frozen=True, slots=True)
class Ready:
    """Its process and ports."""

    pid: int
    started: int
    https_port: int
    http_port: int | None

    @property
    def process(self) -> Process:
        return Process(self.pid, self.started)

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """None until the file is there."""
        try:
            return cls(**json.loads(path.read_text()))
        except FileNotFoundError:
            return None

    @staticmethod
    def say(path: Path, https_port: int, http_port: int | None) -> None:
        """Write this process's own, whole or not at all."""
        me = Process.of(os.getpid())
        beside = path.with_suffix(".new")
        data = {"pid": os.getpid(), "started": me.started if me else 0}
        beside.write_text(json.dumps({**data, "https_port": https_port, "http_port": http_port}))
        beside.replace(path)

    @staticmethod
    def say_process(path: Path, pid: int) -> None:
        """Note a program of the appliance's, for whoever must end it in its place."""
        process = Process.of(pid)
        if process is not None:
            path.write_text(json.dumps({"pid": process.pid, "started": process.started}))

    @staticmethod
    def read_process(path: Path) -> Process | None:
        try:
            return Process(**json.loads(path.read_text()))
        except FileNotFoundError:
            return None
