"""What a hypervisor of the lab is started with, and what is told about a running one."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class HypervisorOptions:
    """One hypervisor: its short name, a directory of its own, the directory all of them share, who may log in.

    `hostname` is `NAME.lab` unless given. `time_scale` multiplies the kernel's own delays in announcing what a login
    found (1.0 is what a real one shows); `login_retry` is the pause before the next login try in real seconds (60 on
    a real host, and `kern.iscsi.login_timeout` there). `physmem` and `ncpu` are what sysctl(8) tells.
    """

    name: str
    directory: Path
    shared_config: Path
    authorized_key: Path
    release: str = "14.3-RELEASE"
    hostname: str = ""
    time_scale: float = 1.0
    login_retry: int = 60
    physmem: int = 16 * 2**30
    ncpu: int = 8
    sysctls: dict[str, str] = field(default_factory=dict)

    @property
    def host_name(self) -> str:
        return self.hostname or f"{self.name}.lab"

    def to_json(self) -> str:
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> HypervisorOptions:
        fields = json.loads(text)
        paths = {name: Path(fields[name]) for name in ("directory", "shared_config", "authorized_key")}
        return cls(**{**fields, **paths})


@dataclass(frozen=True)
class RunningHypervisor:
    """A hypervisor that answers: where, with which host key, and how to control it.

    `pids` are the process that holds the kernel, sshd and the sandbox, in this order.
    """

    name: str
    hostname: str
    address: str
    port: int
    user: str
    host_key_fingerprint: str
    known_hosts_line: str
    control_socket: Path
    directory: Path
    pids: tuple[int, ...]

    def to_json(self) -> str:
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> RunningHypervisor:
        fields = json.loads(text)
        fields |= {name: Path(fields[name]) for name in ("control_socket", "directory")}
        return cls(**{**fields, "pids": tuple(fields["pids"])})
