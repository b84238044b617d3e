"""However large an image is, little of it is in memory at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.initiator import tgtd

MIB = 1 << 20
SIZE = 320 * MIB
MOST = 200 * MIB

FILL = """
import sys
from pyvmiscsi.images.filling import fill, read_back
from pyvmiscsi.images.image import open_image
from pyvmiscsi.initiator.libiscsi import LibiscsiAccess
from pyvmiscsi.names import Iqn, Lun, LunAddress, Portal
portal, target, image = sys.argv[1:]
with LibiscsiAccess().open(LunAddress(Portal.parse(portal), Iqn(target), Lun(1))) as lun:
    with open_image(image) as content:
        read_back(lun, fill(lun, content, fresh=True))
print(open("/proc/self/status").read().partition("VmHWM:")[2])
"""


def test_an_image_that_is_written_and_read_back(tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    with image.open("wb") as file:
        for _ in range(SIZE // MIB):
            file.write(os.urandom(4096) * (MIB // 4096))
    (tmp_path / "tgtd").mkdir()
    with tgtd.running(tmp_path / "tgtd") as daemon:
        target = daemon.target()
        target.lun(1, size=SIZE, serial="S0")
        words = [sys.executable, "-c", FILL, str(daemon.portal), target.iqn, str(image)]
        told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert int(told.split()[0]) * 1024 < MOST
