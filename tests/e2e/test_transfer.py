"""An image onto a volume of the nas, copied to another, saved to a file again: byte for byte, and nothing left over."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

from pyvmiscsi.images.formats.kinds import Format
from pyvmiscsi.images.image import open_image
from pyvmiscsi.lab import Lab
from pyvmiscsi.model import Volume
from pyvmiscsi.names import ImageName, SnapshotName
from pyvmiscsi.operations.image_marks import image_volume
from pyvmiscsi.site import Site
from pyvmiscsi.site.connections import SiteScene
from pyvmiscsi.steps.headway import reached_on
from pyvmiscsi.steps.reading import SnapshotSource
from pyvmiscsi.steps.saving import FileSaved
from pyvmiscsi.steps.signature import Signature
from pyvmiscsi.steps.transfer import LunCopied, Transport, VolumeFilled, filling_of
from pyvmiscsi.steps.volumes import VolumeExists
from pyvmiscsi.units import MIB, Size
from pyvmiscsi.waiting import wait_for
from tests.e2e.command import Command
from tests.images.digests import digest_of
from tests.images.disks import spelt_out
from tests.images.packed_images import packed

KILLABLE = """
from pyvmiscsi.images import filling
from pyvmiscsi.initiator.libiscsi import unflushed
from pyvmiscsi_cli.__main__ import main

filling.TOLD_SECONDS, filling.MILESTONE_EVERY, unflushed.FLUSH_EVERY = 0.0, 1 << 20, 1 << 20
main()
"""
"""`pyvmiscsi` that keeps how far a copy has come each MiB, and not each ten seconds."""

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


def test_an_import_that_is_killed_in_its_middle_goes_on_there(lab: Lab, command: Command, tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    disk.write_bytes(os.urandom(MIB.bytes) + bytes(2 * MIB.bytes) + os.urandom(13 * MIB.bytes))
    words = command.argv("image", "import", "-", "--name", "killed", "--size", "16M")
    killable = [sys.executable, "-c", KILLABLE, *words[words.index("--site") :]]
    with Site.load(lab.site_file) as site:
        datastore = site.datastore()
        volume = image_volume(ImageName("killed"), datastore.record)
        nas = site._connections.nas(datastore.record.nas)

        def reached() -> bool:
            found = nas.find_volume(volume)
            return found is not None and reached_on(found, datastore.intents()[0].id).length > 3 * MIB.bytes

        with subprocess.Popen(killable, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdin is not None
            process.stdin.write(disk.read_bytes()[: 13 * MIB.bytes])
            process.stdin.flush()
            wait_for(reached, what="some of it is on stable storage", deadline=60)
            process.kill()
        (operation,) = command.json("ops", "list")
        with disk.open("rb") as file:
            done = subprocess.run(
                command.argv("ops", "resume", operation["id"]), stdin=file, capture_output=True, text=True, check=True
            )
        assert "are there, if the source is the same still" in done.stderr
        image = datastore.image("killed")
        assert image.info().digest == digest_of(disk.read_bytes())
        image.export(tmp_path / "again.raw", Format.RAW)
        assert (tmp_path / "again.raw").read_bytes() == disk.read_bytes()
        image.destroy()
