"""The hypervisor's kernel: what the stand-ins ask, and what holds the iSCSI sessions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyvmiscsi.lab.hypervisor.kernel.console import Console
from pyvmiscsi.lab.hypervisor.options import HypervisorOptions
from pyvmiscsi.lab.hypervisor.sandbox import Sandbox
from pyvmiscsi.lab.hypervisor.userland import version_number


@dataclass(frozen=True)
class Facts:
    """What uname(1) tells."""

    hostname: str
    release: str

    @property
    def version(self) -> str:
        return f"FreeBSD {self.release} lab GENERIC"

    @property
    def version_number(self) -> int:
        return version_number(self.release)


class Kernel:
    """Everything that one host's stand-ins share."""

    def __init__(
        self,
        facts: Facts,
        options: HypervisorOptions,
        sandbox: Sandbox,
        launch: Callable[[Callable[[], Any]], Any],
    ) -> None:
        self.facts = facts
        self.options = options
        self.sandbox = sandbox
        self.console = Console()
        self.on_main_thread = launch

    def state(self) -> dict[str, Any]:
        return {"hostname": self.facts.hostname}

    def close(self) -> None:
        """Log out of everything."""
