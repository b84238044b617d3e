"""Emulated appliances for tests: each a process of its own, as the lab starts it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pyvmiscsi.lab.appliance.control import Control
from pyvmiscsi.lab.appliance.options import ApplianceOptions
from pyvmiscsi.model import NasRecord
from pyvmiscsi.names import Portal
from pyvmiscsi.secrets import Secret
from pyvmiscsi.waiting import wait_for

MANY_LOGINS = 100_000


class Appliance:
    """A TrueNAS of some release, with pool `tank` and in it `tank/vm`, and a real iSCSI target behind it."""

    def __init__(self, directory: Path, release: str, **options: Any) -> None:
        self.release = release
        self.dialect = "auto"
        self.directory = directory
        self.portal = Portal("127.0.0.1", _free_port())
        self._sockets = tempfile.TemporaryDirectory(prefix="nas-")
        settings = {"portal_port": self.portal.port, "login_budget": MANY_LOGINS, **options}
        ApplianceOptions(str(directory), self._sockets.name, release, **settings).save(directory / "options.json")
        with (directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pyvmiscsi.lab.appliance", str(directory)], stdout=log, stderr=log
            )
        self._ready: dict[str, Any] = wait_for(
            self._look, what=f"appliance {release}", deadline=60, hint=str(directory / "log")
        )
        self.control = Control(Path(self._sockets.name, "control.sock"))
        self._at_start = self.control.state()["facts"]

    def _look(self) -> dict[str, Any] | None:
        if self._process.poll() is not None:
            raise RuntimeError((self.directory / "log").read_text())
        ready = self.directory / "ready.json"
        return dict(json.loads(ready.read_text())) if ready.exists() else None

    def record(self, api: str = "auto", *, user: str = "root", by: str = "api-key", **changes: Any) -> NasRecord:
        """How the site file would describe it; `by` is the kind of credential."""
        secret = Secret((self.directory / "credentials" / f"{user}.{by}").read_text().strip())
        url = f"https://127.0.0.1:{self._ready['https_port']}"
        fields = {
            "url": url,
            "user": user,
            "api": api,
            "ca_file": str(self.directory / "ca.pem"),
            "api_key" if by == "api-key" else "password": secret,
        }
        return NasRecord("nas1", **{**fields, **changes})

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self._ready['http_port']}"

    def empty(self) -> None:
        """Take away whatever tests made, and check that nothing is left."""
        self.control.clear()
        call = self.control.call
        for service in ("targetextent", "extent", "target", "auth"):
            for row in call(f"iscsi.{service}.query"):
                flags = {"targetextent": [True], "extent": [False, True], "target": [True], "auth": []}[service]
                call(f"iscsi.{service}.delete", row["id"], *flags)
        for row in call("pool.dataset.query", [["id", "^", "tank/vm/"]], {"order_by": ["-id"]}):
            call("pool.dataset.delete", row["id"], {"recursive": False, "force": False})
        assert self.control.state()["facts"] == self._at_start
        self.control.reset_calls()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)
        self._sockets.cleanup()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
