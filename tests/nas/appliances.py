"""Emulated appliances for tests of the adapter: a lab without hypervisors each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyvmiscsi.lab import Lab
from pyvmiscsi.model import NasRecord
from pyvmiscsi.names import DatasetPath, Portal
from pyvmiscsi.secrets import Secret

MANY_LOGINS = 1_000_000


class Appliance:
    """A TrueNAS of some release, with pool `tank` and in it `tank/vm`, and a real iSCSI target behind it."""

    def __init__(self, directory: Path, release: str, **options: Any) -> None:
        self.release = release
        self.dialect = "auto"
        self.lab = Lab.up(directory, profile=release, hypervisors=(), **{"login_budget": MANY_LOGINS, **options})
        self.control = self.lab.control
        self.portal = Portal.parse(self.lab.info.portal)
        self._at_start = self.control.state()["facts"]

    def record(self, api: str = "auto", *, user: str = "root", by: str = "api_key", **changes: Any) -> NasRecord:
        """How the site file would describe it; `by` is the kind of credential."""
        info = self.lab.info
        files = info.api_key_files if by == "api_key" else info.password_files
        secret = Secret(Path(files[user]).read_text().strip())
        fields = {"url": info.https_url, "user": user, "api": api, "ca_file": info.ca_file, by: secret}
        return NasRecord("nas1", **{**fields, **changes})

    def empty(self) -> None:
        """Take away whatever tests made, and check that nothing is left."""
        self.control.clear()
        call = self.control.call
        for service in ("targetextent", "extent", "target", "auth"):
            for row in call(f"iscsi.{service}.query"):
                flags = {"targetextent": [True], "extent": [False, True], "target": [True], "auth": []}[service]
                call(f"iscsi.{service}.delete", row["id"], *flags)
        self._empty_of_snapshots()
        for row in call("pool.dataset.query", [["id", "^", "tank/vm/"]], {"order_by": ["-id"]}):
            call("pool.dataset.delete", row["id"], {"recursive": False, "force": False})
        assert self.control.state()["facts"] == self._at_start
        self.control.reset_calls()

    @property
    def snapshot_service(self) -> str:
        return "zfs.snapshot" if self.release < "25.10" else "pool.snapshot"

    def _empty_of_snapshots(self) -> None:
        """With the clones that depend on them; a snapshot can only go after its clones."""
        call, service = self.control.call, self.snapshot_service
        clones = [row["id"] for row in call("pool.dataset.query", []) if row["origin"]["rawvalue"]]
        for clone in reversed(clones):
            call("pool.dataset.delete", clone, {"recursive": True, "force": False})
        for row in call(f"{service}.query", [["dataset", "^", "tank/vm"]], {}):
            call(f"{service}.release", row["id"], {"recursive": False})
            call(f"{service}.delete", row["id"], {"defer": False, "recursive": False})

    def stop(self) -> None:
        self.lab.down()


@dataclass
class ApplianceBench:
    """What a test does to an appliance beside its port, through the lab's control and the file behind a volume."""

    appliance: Appliance

    def write(self, volume: DatasetPath, data: bytes) -> None:
        with self.appliance.control.volume_file(str(volume)).open("r+b") as file:
            file.write(data)

    def read(self, volume: DatasetPath) -> bytes:
        with self.appliance.control.volume_file(str(volume)).open("rb") as file:
            return file.read(3)

    def hold(self, snapshot: str) -> None:
        self._call("hold", snapshot)

    def release(self, snapshot: str) -> None:
        self._call("release", snapshot)

    def _call(self, verb: str, snapshot: str) -> None:
        appliance = self.appliance
        appliance.control.call(f"{appliance.snapshot_service}.{verb}", snapshot, {"recursive": False})
