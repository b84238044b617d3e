"""The small protocol between the appliance and whichever program serves its LUNs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pyvmiscsi.secrets import Secret


@dataclass(frozen=True, slots=True)
class Unit:
    """One LUN: the file behind it and what an initiator is told of it."""

    path: Path
    size: int
    block_size: int
    serial: str
    naa: str
    """With its leading 0x, as the API shows it."""
    product: str = "iSCSI Disk"
    vendor: str = "TrueNAS"
    read_only: bool = False
    hides_physical_block: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """A CHAP user and its secret."""

    user: str
    secret: Secret


@dataclass(frozen=True, slots=True)
class Export:
    """One target: its LUNs by number, who may log in, and how they prove who they are."""

    iqn: str
    units: Mapping[int, Unit] = field(default_factory=dict)
    incoming: tuple[Account, ...] = ()
    """Whom the target lets in; nobody named means that it does not ask."""
    outgoing: Account | None = None
    """How the target proves itself (mutual CHAP)."""
    initiators: tuple[str, ...] = ()
    """Initiator names; none means any."""
    networks: tuple[str, ...] = ()
    """Addresses or networks in CIDR form; none means any."""


@dataclass(frozen=True, slots=True)
class PlaneSession:
    """An initiator logged in to a target."""

    iqn: str
    initiator: str
    address: str


class UnshowableError(Exception):
    """The appliance allows it, the program behind it cannot do it: said loudly, never bent."""


class TargetPlane(Protocol):
    """A program that serves the exports."""

    def check(self, exports: Mapping[str, Export]) -> None:
        """UnshowableError for what this program cannot serve."""

    def start(self) -> None:
        """Run the program and wait until it answers; exports of before are published again."""

    def stop(self) -> None:
        """End the program at once: every session is cut."""

    def publish(self, exports: Mapping[str, Export]) -> None:
        """Make exactly these targets served; what did not change is not touched, what goes is cut."""

    def sessions(self) -> tuple[PlaneSession, ...]: ...

    @property
    def pids(self) -> tuple[int, ...]: ...
