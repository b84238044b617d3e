"""What a guest's disk and its console prove."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from demo.console import Console
from demo.narration import Narration
from pyvmiscsi.units import MIB

if TYPE_CHECKING:
    from pyvmiscsi.ports import BlockDevice

MARKER = "demo-disk-of-web1"
BOOT_DEADLINE = 120.0


def same(device: BlockDevice, image: Path) -> bool:
    """Whether a disk begins with what is in the image."""
    with image.open("rb") as file:
        return all(
            device.pread(len(piece), file.tell() - len(piece)) == piece
            for piece in iter(lambda: file.read(MIB.bytes), b"")
        )


def prove_booted(story: Narration, console: Console, host: str, serial: str, boot: int) -> None:
    """What the guest says of itself on its console."""
    up = console.wait_for(r"GUEST-UP uptime=(\S+)", deadline=BOOT_DEADLINE)
    shown = console.wait_for(r"GUEST-DISK (\w+) logical=(\d+) physical=(\d+) bytes=(\d+) serial=(\S+)", deadline=30)
    story.prove(f"the guest on {host} is up and sees {shown[2]}-byte logical blocks", shown[2] == "512")
    story.prove(f"its disk has the LUN's serial {serial}", shown[5] == serial)
    marker = console.wait_for(rf"GUEST-MARKER {re.escape(MARKER)} boot=(\d+)", deadline=30)
    story.prove(f"it booted from that disk, boot {boot}, {up[1]} s after its kernel began", marker[1] == str(boot))
    console.wait_for(r"GUEST-READY", deadline=30)
