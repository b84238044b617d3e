"""How one appliance is set up: written by whoever starts it, read by its process."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pyvmiscsi.lab.appliance.limiter import BUDGET

TARGETS = ("tgt", "istgt")
"""Programs that can serve the LUNs."""


@dataclass(frozen=True, slots=True)
class ApplianceOptions:
    """Everything an appliance's process must know. Ports of 0 are chosen by the system."""

    directory: str
    """Its state, volumes, certificates and logs."""
    runtime: str
    """Its sockets: a short path, since a UNIX socket's has at most 107 bytes (unix(7))."""
    release: str = "25.10"
    pool: str = "tank"
    pool_size: int = 1 << 40
    datasets: tuple[str, ...] = ("tank/vm",)
    """Filesystems that are there from the start."""
    basename: str = "iqn.2005-10.org.freenas.ctl"
    https_port: int = 0
    http_port: int | None = None
    """The plain listener, where an API key that arrives is revoked; None means there is none."""
    portal_host: str = "127.0.0.1"
    portal_port: int = 3260
    target: str = "tgt"
    """`tgt` or `istgt`."""
    login_budget: int = BUDGET
    """Logins in 60 s and address before the limiter refuses: 20 on the real one."""
    busy_window: float = 0.0
    """Seconds for which a volume stays busy after its mapping went."""
    node_lag: float = 0.0
    """Seconds until a new volume's device node exists."""

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=2))

    @classmethod
    def load(cls, path: Path) -> ApplianceOptions:
        data = json.loads(path.read_text())
        return cls(**{**data, "datasets": tuple(data["datasets"])})
