"""A guest installed from a CD with the real command: it boots from the CD, reboots, and boots from its disk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyvmiscsi.lab import Lab
from pyvmiscsi.ports import Host
from pyvmiscsi.site import Site
from pyvmiscsi.waiting import wait_for
from tests.e2e.command import Command
from tests.e2e.media import Reset, bootable_cd, bootable_disk

_STARTING = re.compile(r'BdsDxe: starting Boot\w+ "[^"]*" from (\S+)')


@pytest.fixture
def prepared(lab: Lab, command: Command, guest: str, tmp_path: Path) -> Iterator[str]:
    """A guest whose disk boots, and then switches it off."""
    command.ok("vm", "create", guest, "--size", "64M")
    with Site.load(lab.site_file) as site, site.guest(guest).open_disk() as lun:
        lun.pwrite(bootable_disk(tmp_path / "disk.img", Reset.SHUTDOWN).read_bytes(), 0)
        lun.flush()
    yield guest
    command.ok("vm", "stop", guest, "--force", "--deadline", "0")
    command.ok("vm", "destroy", guest, "--yes")


def test_a_guest_boots_from_the_cd_until_it_reboots(lab: Lab, command: Command, prepared: str, tmp_path: Path) -> None:
    cd = bootable_cd(tmp_path / f"{prepared}.iso", Reset.COLD)
    made = command.json("vm", "iso", str(cd))
    assert (made["store"], made["size"]) == ("iscsi1", cd.stat().st_size)
    with Site.load(lab.site_file) as site:
        host, said = site.host("hv1"), f"/tmp/{prepared}.console"
        # somebody must read the console from the first line on: what nobody reads is lost
        host.script('/usr/sbin/daemon -f -o "$2" /usr/bin/cu -l "$1"', f"/dev/nmdm-{prepared}.1B", said)
        command.ok("vm", "install", prepared, cd.name, "--host", "hv1")
        first, second = wait_for(lambda: boots(host, said), what="both boots on the console", deadline=150)
    assert first.startswith("PciRoot(0x0)/Pci(0x3,0x0)/Sata(0x0"), "not from the CD in slot 3"
    assert second.startswith("PciRoot(0x0)/Pci(0x4,0x0)"), "not from the disk in slot 4"
    command.ok("vm", "iso", "--remove", cd.name)
    assert cd.name not in [one["name"] for one in command.json("vm", "iso")]


def boots(host: Host, console: str) -> list[str] | None:
    """What firmware booted from, once it did so twice."""
    found = _STARTING.findall((host.read_file(console) or b"").decode(errors="replace"))
    return found if len(found) > 1 else None
