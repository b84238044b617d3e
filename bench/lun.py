"""How fast the embedded initiator fills and reads a LUN, beside `qemu-img convert` on the same one.

The target is a local tgtd whose allocator is set as `tests/initiator/tgtd.py` says: without that the figures tell
the history of the target's memory. The source is in memory (/dev/shm), so that the LUN is what is measured.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import measure
from pyvmiscsi.initiator.libiscsi import LibiscsiAccess
from pyvmiscsi.names import Iqn, Lun, LunAddress
from tests.initiator import tgtd

SIZE = 256 * 1024 * 1024
BARS = (measure.Bar("write", "qemu-img convert -n -m 16 -W", most=1 / 0.95),)  # DESIGN section 10


def report(rounds: int) -> Iterator[str]:
    """The lines of the table."""
    with (
        tempfile.TemporaryDirectory(dir=_memory()) as folder,
        tgtd.running(Path(folder)) as daemon,
    ):
        source = Path(folder, "source")
        source.write_bytes(os.urandom(1024 * 1024) * (SIZE // (1024 * 1024)))
        target = daemon.target()
        target.lun(1, size=SIZE, serial="bench")
        address = LunAddress(daemon.portal, Iqn(target.iqn), Lun(1))
        times = measure.side_by_side(
            {
                "write": lambda: _write(address, source),
                "read": lambda: _read(address),
                "qemu-img convert -n -m 16 -W": lambda: _qemu_img(address, source),
            },
            rounds=rounds,
        )
        yield from measure.table(f"A LUN of {SIZE // 1024**2} MiB, login and flush included", times, BARS)


def _write(address: LunAddress, source: Path) -> None:
    with LibiscsiAccess().open(address) as device, source.open("rb") as file:
        free = [bytearray(device.longest_piece) for _ in range(9)]

        def pieces() -> Iterator[tuple[int, bytearray]]:
            for offset in range(0, SIZE, device.longest_piece):
                buffer = free.pop()
                file.readinto(buffer)
                yield offset, buffer

        free.extend(device.write_stream(pieces()))
        device.flush()


def _read(address: LunAddress) -> None:
    buffer = bytearray(8 * 1024 * 1024)
    with LibiscsiAccess().open(address) as device:
        for offset in range(0, SIZE, len(buffer)):
            device.pread_into(buffer, offset)


def _qemu_img(address: LunAddress, source: Path) -> None:
    url = f"iscsi://{address.portal}/{address.target}/{address.lun}"
    subprocess.run(  # the qemu-img of the system, as installed
        ["qemu-img", "convert", "-n", "-m", "16", "-W", "-f", "raw", "-O", "raw", str(source), url],  # noqa: S607 - same
        check=True,
        capture_output=True,
    )


def _memory() -> str | None:
    """Where files are memory, if anywhere; else wherever temporary files go."""
    place = "/dev/shm"  # noqa: S108 - a private directory is made in it
    return place if Path(place).is_dir() else None
