"""Where everything of a lab is, as JSON for scripts. Secrets are named by their files only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class HypervisorInfo:
    """How to reach one hypervisor by SSH."""

    name: str
    address: str
    port: int
    user: str
    key_file: str
    known_hosts: str
    host_key_fingerprint: str
    control_socket: str


@dataclass(frozen=True, slots=True)
class LabInfo:
    """One lab that is up."""

    directory: str
    profile: str
    jsonrpc_url: str | None
    """None where the release has no JSON-RPC."""
    rest_url: str | None
    """None where the release has no REST."""
    https_url: str
    http_url: str | None
    """The plain listener, on which an API key is revoked."""
    control_socket: str
    ca_file: str
    user: str
    api_key_file: str
    password_file: str
    portal: str
    basename: str
    site_file: str
    login_budget: int
    api_key_files: Mapping[str, str] = field(default_factory=dict)
    """By user: `root` (everything), `sharing` (no dataset delete), `viewer` (looking only)."""
    password_files: Mapping[str, str] = field(default_factory=dict)
    hypervisors: Mapping[str, HypervisorInfo] = field(default_factory=dict)
    pids: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def read(cls, path: Path) -> LabInfo:
        data: dict[str, Any] = json.loads(path.read_text())
        data["hypervisors"] = {name: HypervisorInfo(**one) for name, one in data["hypervisors"].items()}
        return cls(**data)
