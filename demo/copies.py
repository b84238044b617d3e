"""What a guest was, its copies, images of it, other names, more space, the trash: all of it on the nas."""

from __future__ import annotations

import hashlib

from demo.console import console_of
from demo.narration import Narration
from demo.proofs import prove_booted
from pyvmiscsi.lab import Lab
from pyvmiscsi.lab.bootdisk import BootDisk
from pyvmiscsi.site import Guest, Site
from pyvmiscsi.site.running import Run
from pyvmiscsi.units import MIB, SECTOR, Size


def tell_of_copies(story: Narration, lab: Lab, site: Site, guest: Guest, disk: BootDisk) -> None:
    """From a guest that was booted twice, back to that guest alone."""
    run = Run(story.hear)
    size = Size(disk.size)
    written = _digest(guest, size)

    story.tell("vm snapshot web1@installed")
    guest.snapshot("installed", run=run)
    _overwrite(guest)
    story.prove("web1's disk was changed since", _digest(guest, size) != written)
    story.tell("vm rollback web1@installed")
    guest.rollback("installed", run=run)
    story.prove("every byte of web1's disk is as it was", _digest(guest, size) == written)

    story.tell("vm clone web1@installed web2")
    guest.clone("web2", snapshot="installed", run=run)
    clone = site.guest("web2")
    story.prove("the clone has the same data, and a serial of its own", _is_copy(clone, guest, written, size))

    larger = Size(disk.size + 64 * MIB.bytes)
    story.tell(f"image create golden of web1@installed; image provision golden web3 --size {larger}")
    image = guest.make_image("golden", snapshot="installed", description="Installed, never changed", run=run)
    image.provision("web3", size=larger, run=run)
    provisioned = site.guest("web3")
    story.prove("the provisioned guest has the same data, too", _is_copy(provisioned, guest, written, size))
    story.prove(f"its disk has {larger}", provisioned.info().disks[0].size_text == str(larger))

    story.tell("vm rename web2 db1")
    renamed = clone.rename("db1", run)
    (disk_of_it,) = renamed.info().disks
    story.prove(f"its target is {disk_of_it.target}", str(disk_of_it.target).endswith(":db1-disk0"))
    story.prove("nothing on the NAS is called web2", "web2" not in str(lab.control.state()["facts"]))
    _run_while_it_grows(story, lab, renamed, disk_of_it.serial or "", larger)

    story.tell("vm destroy web3 --trash 7")
    label = provisioned.park(7, run)
    story.prove("there is no web3 any more", "web3" not in {view.name for view in site.guests()})
    story.tell(f"trash restore {label}")
    restored = site.trash().find(label).restore(run=run)
    story.prove("web3 is back with every byte", _is_copy(restored, guest, written, size))

    story.tell("vm destroy db1, vm destroy web3, image destroy golden, vm snapshot --destroy web1@installed")
    renamed.destroy()
    restored.destroy()
    image.destroy()
    guest.forget_snapshot("installed")


def _run_while_it_grows(story: Narration, lab: Lab, guest: Guest, serial: str, larger: Size) -> None:
    """The clone boots under its new name, and gets a larger disk meanwhile."""
    run = Run(story.hear)
    story.tell(f"vm start {guest.name} --host hv1")
    guest.start("hv1", run)
    with console_of(str(guest.name), lab.site_file) as console:
        prove_booted(story, console, "hv1", serial, 3)
        story.tell(f"vm resize {guest.name} disk0 {larger}, while it runs")
        resized = guest.resize("disk0", larger, run)
        story.prove(f"hv1 sees {larger}", resized.hosts == ("hv1",) and resized.size == larger.bytes)
        guest.stop(run=run)


def _is_copy(copy: Guest, guest: Guest, written: str, size: Size) -> bool:
    (mine,), (its,) = copy.info().disks, guest.info().disks
    return _digest(copy, size) == written and mine.serial != its.serial


def _overwrite(guest: Guest) -> None:
    with guest.open_disk() as device:
        device.pwrite(b"\xff" * MIB.bytes, 0)
        device.pwrite(b"\xff" * SECTOR.bytes, device.size.bytes - SECTOR.bytes)
        device.flush()


def _digest(guest: Guest, size: Size) -> str:
    """Of the first bytes of its disk, as many as web1's has."""
    digest = hashlib.sha256()
    with guest.open_disk() as device:
        for piece in device.read_stream(size.bytes, 0):
            digest.update(piece)
    return digest.hexdigest()
