"""An image onto a volume of the nas, copied to another, saved to a file again: byte for byte, and nothing left over."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

from pyvmiscsi.images.formats import Format
from pyvmiscsi.images.image import open_image
from pyvmiscsi.lab import Lab
from pyvmiscsi.model import Volume
from pyvmiscsi.names import SnapshotName
from pyvmiscsi.site import Site
from pyvmiscsi.site.connections import SiteScene
from pyvmiscsi.steps.reading import SnapshotSource
from pyvmiscsi.steps.saving import FileSaved
from pyvmiscsi.steps.signature import Signature
from pyvmiscsi.steps.transfer import LunCopied, Transport, VolumeFilled, filling_of
from pyvmiscsi.steps.volumes import VolumeExists
from pyvmiscsi.units import MIB, Size
from tests.images.disks import spelt_out
from tests.images.packing import packed

DISK = os.urandom(MIB.bytes) + bytes(4 * MIB.bytes) + os.urandom(MIB.bytes)
SIZE = Size(16 * MIB.bytes)
SUNDAY = SnapshotName("sunday")


def test_an_image_goes_round_and_comes_back(lab: Lab, tmp_path: Path) -> None:
    image = tmp_path / "disk.raw.zst"
    image.write_bytes(packed(Format.ZSTD, DISK))
    with Site.load(lab.site_file) as site:
        datastore = site.datastore().record
        scene = SiteScene(site._connections)
        nas, transport = scene.nas(datastore), Transport(scene.block_access())
        first, second = (datastore.parent.child(f"transfer-{name}") for name in ("first", "second"))
        ours, theirs = Signature(uuid4(), "fa01"), Signature(uuid4(), "fa02")

        for path, signature in ((first, ours), (second, theirs)):
            VolumeExists(nas, Volume(path, SIZE), signature).make()
        filled = VolumeFilled(nas, datastore, first, str(image), transport, ours, verify=True)
        filled.make()
        assert filled.holds()
        nas.create_snapshot(first, SUNDAY)
        copied = LunCopied(SnapshotSource(nas, datastore, first, SUNDAY), nas, datastore, second, transport, theirs)
        copied.make()
        assert copied.holds()
        nas.create_snapshot(second, SUNDAY)
        file = tmp_path / "again.qcow2"
        FileSaved(SnapshotSource(nas, datastore, second, SUNDAY), file, Format.QCOW2, transport, theirs).make()

        with open_image(str(file)) as content:
            assert spelt_out(content.pieces(MIB.bytes)) == DISK.ljust(SIZE.bytes, b"\0")
        volume = nas.find_volume(first)
        assert volume is not None
        assert (filling_of(volume) or {})["length"] == len(DISK)
        left = nas.inventory(datastore.parent)
        assert not [one for one in (*left.volumes, *left.extents, *left.targets) if "transfer:" in str(one)]
        for path in (first, second):
            nas.delete_snapshot(path, SUNDAY)
            nas.delete_volume(path)
