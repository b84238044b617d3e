"""system.* and service.*: what the appliance is, and which of its services run."""

from __future__ import annotations

import os
import secrets
import time
from typing import Any

from pyvmiscsi.lab.appliance import queries
from pyvmiscsi.lab.appliance.errors import CallError, missing
from pyvmiscsi.lab.appliance.iscsi import Iscsi
from pyvmiscsi.lab.appliance.releases import Release
from pyvmiscsi.lab.appliance.shapes import Boolean, Integer, Nullable, Parameter, Record, optional
from pyvmiscsi.lab.appliance.state import Row, State
from pyvmiscsi.lab.appliance.target.plane import TargetPlane

ISCSI = "iscsitarget"
SERVICE_CONTROL = Parameter(
    "service-control",
    Record(
        {
            "ha_propagate": optional(Boolean(), True),
            "silent": optional(Boolean(), True),
            "timeout": optional(Nullable(Integer()), 120),
        }
    ),
    {},
)


class System:
    """Facts about the appliance, and its services as rows of the state."""

    def __init__(self, state: State, release: Release, iscsi: Iscsi, plane: TargetPlane) -> None:
        self._state = state
        self._release = release
        self._iscsi = iscsi
        self._plane = plane
        self._begun = time.time()
        self.host_id = secrets.token_hex(32)

    def product_type(self) -> str:
        return "COMMUNITY_EDITION" if self._release.number >= (25, 4) else "SCALE"

    def info(self) -> Row:
        now = time.time()
        long_version = self._release.number < (25, 4)
        return {
            "version": self._release.version if long_version else self._release.short_version,
            "buildtime": {"$date": 1700000000000},
            "hostname": "truenas",
            "physmem": 8 << 30,
            "model": "Emulated appliance",
            "cores": os.cpu_count() or 1,
            "physical_cores": os.cpu_count() or 1,
            "loadavg": [0.0, 0.0, 0.0],
            "uptime": f"{int(now - self._begun)} seconds",
            "uptime_seconds": now - self._begun,
            "system_serial": None,
            "system_product": None,
            "system_product_version": None,
            "license": None,
            "boottime": {"$date": int(self._begun * 1000)},
            "datetime": {"$date": int(now * 1000)},
            "timezone": "UTC",
            "system_manufacturer": None,
            "ecc_memory": False,
        }

    def services(self, filters: list[Any], options: Row) -> Any:
        return queries.run((self._shown(row) for row in self._state.services), filters, options)

    def _shown(self, row: Row) -> Row:
        running = row["service"] == ISCSI and self._iscsi.running
        return {
            "id": row["id"],
            "service": row["service"],
            "enable": row["enable"],
            "state": "RUNNING" if running else "STOPPED",
            "pids": list(self._plane.pids) if running else [],
        }

    def started(self, service: str) -> bool:
        return bool(self._shown(self._service(service))["state"] == "RUNNING")

    def _service(self, which: str | int) -> Row:
        key = "id" if isinstance(which, int) else "service"
        rows = self._state.services.having(key, which)
        if not rows:
            raise missing("Service", which)
        return rows[0]

    def update_service(self, which: str | int, data: Row) -> int:
        row = self._service(which)
        self._state.services.change(row["id"], **data)
        return int(row["id"])

    def control(self, verb: str, service: str, options: Row) -> bool:
        """START, STOP, RESTART or RELOAD; whether it then runs (STOP answers false when it stopped)."""
        if self._service(service)["service"] != ISCSI:
            raise CallError(f"{service}: this lab runs no such service", 22)
        del options
        self._iscsi.control(verb)
        return self._iscsi.running
