"""A guest's life: its disk made on an emulated TrueNAS, booted on one hypervisor, then on another; what it was, its
copies and other names; then all of it gone.

Everything here is what a user has: the SDK, the `pyvmiscsi` command, the lab. Every claim is checked; the demo ends
with status 0 only if all of them are so.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path

from demo.console import console_of
from demo.copies import tell_of_copies
from demo.narration import Narration
from demo.proofs import MARKER, prove_booted, same
from pyvmiscsi.errors import PyvmiscsiError
from pyvmiscsi.lab import Lab
from pyvmiscsi.lab.bootdisk import BootDisk, build
from pyvmiscsi.names import GuestName
from pyvmiscsi.operations.create import CreateRequest, DiskRequest
from pyvmiscsi.site import Guest, Site
from pyvmiscsi.site.running import Run
from pyvmiscsi.units import MIB, Size


def main() -> int:
    """Tell the story; 0 if every claim in it was proven."""
    story = Narration()
    with tempfile.TemporaryDirectory(prefix="pyvmiscsi-demo-") as directory:
        try:
            _tell(story, Path(directory))
        except PyvmiscsiError as error:
            sys.stderr.write(f"demo: {error}\n")
            return error.exit_status
    return 0


def _tell(story: Narration, directory: Path) -> None:
    lab = Lab.up(directory / "lab")
    with contextlib.ExitStack() as leaving:
        leaving.callback(lab.down)
        story.tell(f"lab up: an emulated TrueNAS {lab.info.profile} with a real iSCSI target, hypervisors hv1 and hv2")
        before = lab.control.state()["facts"]
        site = leaving.enter_context(Site.load(lab.site_file, warn=story.tell))
        run = Run(story.hear)
        disk = build(directory / "boot.img", marker=MARKER, behaviour="stay")
        story.tell(f"a bootable disk of {Size(disk.size)} built from the distribution's own packages")

        story.tell("vm create web1: zvol, CHAP account, target, extent, LUN, configuration")
        request = CreateRequest(GuestName("web1"), (DiskRequest(Size(disk.size)),))
        guest = site.datastore().create(request, run)
        serial = _prove_created(story, guest)
        _write(story, guest, disk)
        for boot, host in enumerate(("hv1", "hv2"), 1):
            story.tell(f"vm start web1 --host {host}")
            guest.start(host, run)
            with console_of("web1", lab.site_file) as console:
                prove_booted(story, console, host, serial, boot)
                story.tell("vm stop web1: the guest's power button")
                guest.stop(run=run)
            story.prove(f"nobody is logged in any more after {host}", not guest.info().disks[0].sessions)

        tell_of_copies(story, lab, site, guest, disk)
        story.tell("vm destroy web1")
        guest.destroy(run)
        story.prove("the NAS is as it was before", lab.control.state()["facts"] == before)
        story.prove("no operation is unfinished", site.operations() == ())
    story.tell("lab down; all is as it was")


def _prove_created(story: Narration, guest: Guest) -> str:
    (disk,) = guest.info().disks
    story.prove(f"LUN {disk.lun} of {disk.target} has 512-byte blocks and serial {disk.serial}", disk.sector == 512)
    story.prove("its target wants CHAP", disk.chap_tag is not None)
    return disk.serial or ""


def _write(story: Narration, guest: Guest, disk: BootDisk) -> None:
    """The image onto the LUN by the embedded initiator, and read back; zeros are left as the new volume has them."""
    with guest.open_disk() as device, disk.path.open("rb") as image:
        written = 0
        while piece := image.read(MIB.bytes):
            if any(piece):
                device.pwrite(piece, image.tell() - len(piece))
                written += len(piece)
        device.flush()
        story.tell(f"{Size(written)} of data written onto the LUN through the embedded initiator, with CHAP")
        story.prove("what the LUN holds is the image", same(device, disk.path))


if __name__ == "__main__":
    sys.exit(main())
