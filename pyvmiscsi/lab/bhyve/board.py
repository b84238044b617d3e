"""What bhyve's devices come up on: the tree they read, the host they open things on, what came up so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyvmiscsi.lab.bhyve.facts import HostFacts
from pyvmiscsi.lab.bhyve.machine import Disk, Network
from pyvmiscsi.lab.bhyve.tree import Tree, Voice
from pyvmiscsi.lab.bhyve.usage import FIRST_14
from pyvmiscsi.lab.c_numbers import number_at_front


class Failed(Exception):  # noqa: N818 - the device has said why already
    """A device that did not come up."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a device is on PCI."""

    bus: int
    slot: int
    func: int

    @property
    def node(self) -> str:
        """Its node in the tree."""
        return f"pci.{self.bus}.{self.slot}.{self.func}"

    @property
    def place(self) -> str:
        """As bhyve writes it."""
        return f"{self.bus}:{self.slot}:{self.func}"


@dataclass(slots=True)
class Board:
    """One machine being put together."""

    tree: Tree
    facts: HostFacts
    voice: Voice
    disks: list[Disk] = field(default_factory=list)
    networks: list[Network] = field(default_factory=list)
    consoles: list[tuple[str, str]] = field(default_factory=list)
    random: bool = False
    bootrom: str = ""
    bootvars: str = ""
    has_lpc: bool = False
    has_framebuffer: bool = False
    stdio_taken: bool = False
    boot_order: dict[int, str] = field(default_factory=dict)
    """Place in the boot order -> the device that has it, as bhyve names it."""

    def read(self, node: str, *keys: str) -> None:
        """Ask for keys that need no check here."""
        for key in keys:
            self.tree.get(f"{node}.{key}")

    def take_boot_place(self, at: Slot, emulation: str, node: str, *, below_zero_is_none: bool = False) -> None:
        """A device's place in the boot order, which bhyve has since 14.0; Ended when it has gone to another.

        One below 0 is refused, or none at all.
        """
        value = self.tree.get(f"{node}.bootindex") if self.facts.osreldate >= FIRST_14 else None
        if value is None:
            return
        place = number_at_front(value)
        if place < 0 and below_zero_is_none:
            return
        name = f"{emulation}@{at.node}"
        if place < 0:
            raise self.voice.end(4, f"Invalid bootindex {place} for {name}")
        if place in self.boot_order:
            taken = f"Bootindex already occupied by {self.boot_order[place]}"
            raise self.voice.end(4, f"Could not set bootindex {place} for {name}. {taken}")
        self.boot_order[place] = name

    def read_virtio(self) -> None:
        """What every virtio device asks for as it comes up."""
        self.tree.get_bool("virtio_msix", True)

    def failed(self, line: str) -> Failed:
        """Say why, and be ready to raise."""
        self.voice.say(line)
        return Failed()
