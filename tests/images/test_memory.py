"""However large an image is, little of it is in memory at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pyvmiscsi.images.formats import Format
from tests.images.packing import SUFFIX, packed
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
"""


@pytest.mark.parametrize("kind", [Format.RAW, Format.ZSTD, Format.QCOW2], ids=str)
def test_an_image_larger_than_that_is_written_and_read_back(kind: Format, tmp_path: Path) -> None:
    raw = tmp_path / "disk.raw"
    with raw.open("wb") as file:
        for _ in range(SIZE // MIB):
            file.write(os.urandom(4096) * (MIB // 4096))
    image = raw
    if kind is not Format.RAW:
        image = tmp_path / f"disk{SUFFIX[kind]}"
        image.write_bytes(packed(kind, raw.read_bytes()))
    (tmp_path / "tgtd").mkdir()
    with tgtd.running(tmp_path / "tgtd") as daemon:
        target = daemon.target()
        target.lun(1, size=SIZE, serial="S0")
        process = subprocess.Popen([sys.executable, "-c", FILL, str(daemon.portal), target.iqn, str(image)])
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert used.ru_maxrss * 1024 < MOST
