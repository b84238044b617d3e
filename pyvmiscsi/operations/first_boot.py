"""What a new guest is told at its first boot: its own, or what the guest was told that it is a copy of. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from pyvmiscsi.bhyve.configuration.config import Disk
from pyvmiscsi.names import Mac
from pyvmiscsi.plan.step import Step
from pyvmiscsi.ports import Host
from pyvmiscsi.steps.first_boot import CloudInit
from pyvmiscsi.steps.seeds import SEED, Seed, SeedCopied, SeedWritten


@dataclass(frozen=True, slots=True)
class SeedToCopy:
    """The guest whose cloud-init data a copy gets, and the addresses of its networks, which the copy has not."""

    guest: str
    macs: tuple[str | None, ...]

    def as_json(self) -> dict[str, Any]:
        return {"guest": self.guest, "macs": list(self.macs)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(str(data["guest"]), tuple(data["macs"]))

    def replaced_macs(self, uuid: UUID) -> dict[str, str]:
        """The copy's address by each of these."""
        return {old: str(Mac.of_network(uuid, number)) for number, old in enumerate(self.macs) if old}


def seed_disk(number: int) -> dict[str, str]:
    """The keys of the CD that cloud-init reads, as vm-bhyve writes them."""
    return {f"disk{number}_type": "ahci-cd", f"disk{number}_dev": "file", f"disk{number}_name": SEED}


def is_seed(disk: Disk) -> bool:
    """Whether a disk of a configuration is that CD."""
    return disk.dev == "file" and disk.name == SEED


def seed_steps(given: CloudInit | SeedToCopy | None, host: Host, directory: str, guest: UUID) -> Iterator[Step]:
    """What brings that CD about in the guest's directory; nothing for a guest without one."""
    parent, _, name = directory.rpartition("/")
    seed = Seed(host, directory)
    if isinstance(given, CloudInit):
        yield SeedWritten(seed, str(guest), name, given)
    elif given is not None:
        source = Seed(host, f"{parent}/{given.guest}")
        yield SeedCopied(source, seed, str(guest), (given.guest, name), given.replaced_macs(guest))
