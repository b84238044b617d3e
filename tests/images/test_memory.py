"""However large images are, and though four are written at once, little of them is in memory at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.initiator import tgtd

MIB = 1 << 20
SIZE = 80 * MIB
MOST = 200 * MIB

FILL = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pyvmiscsi.images.filling import fill, read_back
from pyvmiscsi.images.image import open_image
from pyvmiscsi.initiator.libiscsi import LibiscsiAccess
from pyvmiscsi.names import Iqn, Lun, LunAddress, Portal

def write(target, image):
    with LibiscsiAccess().open(LunAddress(Portal.parse(portal), Iqn(target), Lun(1))) as lun:
        with open_image(image) as content:
            read_back(lun, fill(lun, content, fresh=True))

portal, *each = sys.argv[1:]
with ThreadPoolExecutor() as threads:
    list(threads.map(write, each[::2], each[1::2]))
print(open("/proc/self/status").read().partition("VmHWM:")[2])
"""


def test_four_images_that_are_written_at_once_and_read_back(tmp_path: Path) -> None:
    (tmp_path / "tgtd").mkdir()
    with tgtd.running(tmp_path / "tgtd") as daemon:
        words = [sys.executable, "-c", FILL, str(daemon.portal)]
        for image in images(tmp_path):
            target = daemon.target()
            target.lun(1, size=SIZE, serial="S0")
            words += [target.iqn, str(image)]
        told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert int(told.split()[0]) * 1024 < MOST


def images(folder: Path) -> list[Path]:
    """One that is read again where need be, one that is read by QEMU, and two that come only once."""
    raw, qcow2 = folder / "disk.raw", folder / "disk.qcow2"
    with raw.open("wb") as file:
        for _ in range(SIZE // MIB):
            file.write(os.urandom(4096) * (MIB // 4096))
    subprocess.run(["/usr/bin/qemu-img", "convert", "-O", "qcow2", raw, qcow2], check=True)
    subprocess.run(["/usr/bin/gzip", "-1", "-k", raw], check=True)
    packed = folder / "disk.raw.gz"
    return [raw, qcow2, packed, packed]
