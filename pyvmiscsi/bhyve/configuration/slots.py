"""Where each emulated device sits on the guest's PCI buses.

Without pins the places are those vm-bhyve 1.7 gives (freebsd.md 5.3), so an adopted guest sees nothing move.
With pins, the keys `diskN_slot`, `networkN_slot`, … that vm-bhyve ignores, a device stays where it was written down and
a new one takes the next free place: adding a disk does not rename the guest's network interface.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from pyvmiscsi.errors import InputError

_FORM = re.compile(r"(?:(?P<bus>[0-9]{1,3}):)?(?P<slot>[0-9]{1,2}):(?P<function>[0-9])")
_FUNCTIONS = 8


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """A place `bus:slot:function`, as bhyve(8)'s `-s` takes it."""

    bus: int
    slot: int
    function: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.bus <= 255 and 0 <= self.slot <= 31 and 0 <= self.function < _FUNCTIONS):
            raise InputError(f"PCI slot {self}: bus 0 to 255, slot 0 to 31, function 0 to 7 (bhyve(8))")

    @classmethod
    def parse(cls, text: str) -> Self:
        match = _FORM.fullmatch(text)
        if match is None:
            raise InputError(f"PCI slot {text!r}: not a slot", hint="write bus:slot:function, such as 0:4:0")
        return cls(int(match["bus"] or 0), int(match["slot"]), int(match["function"]))

    @property
    def place(self) -> tuple[int, int]:
        """Bus and slot: what the functions of one slot share."""
        return self.bus, self.slot

    def __str__(self) -> str:
        return f"{self.bus}:{self.slot}:{self.function}"


HOST_BRIDGE = Slot(0, 0)
LPC = Slot(0, 31)


@dataclass(frozen=True, slots=True)
class Group:
    """Devices placed together: in functions of one slot after another, or (`alone`) in a slot each."""

    keys: tuple[str, ...]
    alone: bool = True
    leaves_gap: bool = False
    """A slot is passed over, as vm-bhyve does after passed-through devices that name their slots themselves."""


def place(groups: Iterable[Group], pins: Mapping[str, Slot], first: int) -> dict[str, Slot]:
    """A slot for every key of `groups`, from slot `first` of bus 0 on; pinned keys stay where they are pinned.

    Slot 31 of bus 0 is kept for the LPC bridge. Raises InputError when 256 buses are not enough.
    """
    board = _Board(pins, first)
    return {key: slot for group in groups for key, slot in board.place(group).items()}


class _Board:
    """The counter that vm-bhyve keeps while it builds a command: the next bus and slot nobody has been given."""

    def __init__(self, pins: Mapping[str, Slot], first: int) -> None:
        self._pins = pins
        self._bus, self._slot = 0, first

    def place(self, group: Group) -> dict[str, Slot]:
        if group.leaves_gap:
            self._advance()
        if group.alone:
            return {key: self._pins.get(key) or self._own_slot() for key in group.keys}
        own = {self._pins[key] for key in group.keys if key in self._pins}
        foreign = {slot.place for key, slot in self._pins.items() if key not in group.keys}
        placed: dict[str, Slot] = {}
        for key in group.keys:
            placed[key] = self._pins.get(key) or self._next_function(own | set(placed.values()), foreign)
        if any(key not in self._pins for key in group.keys) or any(slot.place == self._here() for slot in own):
            self._advance()
        return placed

    def _own_slot(self) -> Slot:
        pinned = {slot.place for slot in self._pins.values()}
        while self._here() in pinned:
            self._advance()
        slot = Slot(self._bus, self._slot)
        self._advance()
        return slot

    def _next_function(self, taken: set[Slot], foreign: set[tuple[int, int]]) -> Slot:
        while True:
            if self._here() not in foreign:
                for function in range(_FUNCTIONS):
                    slot = Slot(self._bus, self._slot, function)
                    if slot not in taken:
                        return slot
            self._advance()

    def _here(self) -> tuple[int, int]:
        return self._bus, self._slot

    def _advance(self) -> None:
        self._slot += 1
        if self._slot >= (LPC.slot if self._bus == LPC.bus else 32):
            self._bus, self._slot = self._bus + 1, 0
