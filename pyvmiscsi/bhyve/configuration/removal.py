"""A guest's configuration without one of its disks or networks. Pure.

vm-bhyve counts `disk0`, `disk1`, … until one is missing (freebsd.md 5.2, 5.3): a gap would hide all that follows from
it. So what follows moves up by one number. What the guest itself sees of a device stays: its slot, which is written
down, its serial, its MAC.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace

from pyvmiscsi.bhyve.configuration.conf_text import ConfText
from pyvmiscsi.bhyve.configuration.config import GuestConfig
from pyvmiscsi.bhyve.configuration.config_text import parse_guest, write_guest
from pyvmiscsi.bhyve.configuration.slots import Slot
from pyvmiscsi.errors import RuleError
from pyvmiscsi.names import GuestName

_OF_DEVICE = re.compile(r"([a-z]+)[0-9]+_")


def without_device(guest: GuestName, conf: ConfText, kind: str, number: int) -> ConfText:
    """The text without its `disk` or `network` of this number; later ones have one number less, and all their keys.

    RuleError when another device of the guest would move its slot nevertheless (disks that share an AHCI controller).
    """
    config = parse_guest(guest, conf)
    pinned = write_guest(_pinned_wholly(config), conf)
    changes: dict[str, str | None] = {}
    for key, value in pinned.pairs().items():
        found = re.fullmatch(rf"{kind}(\d+)(_\w+)", key)
        if found and int(found[1]) >= number:
            changes.setdefault(key, None)
            if int(found[1]) > number:
                changes[f"{kind}{int(found[1]) - 1}{found[2]}"] = value
    text = pinned.changed(changes)
    _refuse_moved(guest, _slots(config), _slots(parse_guest(guest, text)), kind, number)
    return text


def numbering_in(text: ConfText, changes: Mapping[str, str | None]) -> str:
    """Stands for what the text says of the keys in `changes`, and of the devices that one of them is taken from.

    Two texts that differ in nothing that a removal with these changes would move, or write over, have the same.
    """
    emptied = {found[1] for key, value in changes.items() if value is None and (found := _OF_DEVICE.match(key))}
    devices = {found[0] for key in changes if (found := _OF_DEVICE.match(key)) and found[1] in emptied}
    concerned = sorted(
        pair
        for pair in text.pairs().items()
        if pair[0] in changes or ((found := _OF_DEVICE.match(pair[0])) and found[0] in devices)
    )
    return hashlib.sha256(json.dumps(concerned).encode()).hexdigest()[:16]


def _pinned_wholly(config: GuestConfig) -> GuestConfig:
    """With the slot of every device written down, also of disks that share a controller."""
    slots, pinned = _slots(config), config.pinned()
    return replace(pinned, disks=tuple(replace(disk, slot=slots[disk.key]) for disk in pinned.disks))


def _slots(config: GuestConfig) -> dict[str, Slot]:
    """The slot of every device, a disk's controller's if it shares one."""
    slots = config.layout()
    shared = {disk.key: slots[ports[0].key] for ports in config.controllers() for disk in ports}
    return slots | shared


def _refuse_moved(guest: GuestName, before: dict[str, Slot], after: dict[str, Slot], kind: str, number: int) -> None:
    for key, slot in before.items():
        found = re.fullmatch(rf"{kind}(\d+)", key)
        if found and int(found[1]) == number:
            continue
        now = f"{kind}{int(found[1]) - 1}" if found and int(found[1]) > number else key
        if after.get(now) != slot:
            raise RuleError(
                f"guest {guest}: without {kind}{number}, {key} would move from slot {slot} to {after.get(now)}",
                hint="disks that share an AHCI controller (ahci_device_limit) are removed from the last one on",
            )
