"""Disks and networks come and go with the real command, and a guest that lost a middle disk starts on the others."""

from __future__ import annotations

import pytest

from pyvmiscsi.lab import Lab
from pyvmiscsi.site import Site
from tests.e2e.command import Command

FORCED = ("--force", "--deadline", "0")


def test_a_guest_starts_without_its_middle_disk_and_its_data_is_where_it_was(
    lab: Lab, command: Command, guest: str
) -> None:
    before = lab.control.state()["facts"]
    command.ok("vm", "create", guest, "--size", "64M", "--size", "32M", "--size", "48M")
    stamp(lab, guest, "disk2", b"the archive")

    status, said = command.refused("vm", "remove", guest, "disk1")
    assert (status, "--yes" in said) == (64, True)
    command.ok("vm", "remove", guest, "disk1", "--yes")

    command.ok("vm", "start", guest)
    disks = command.json("vm", "info", guest)["disks"]
    assert [(disk["name"], disk["size"] >> 20, bool(disk["device"])) for disk in disks] == [
        ("disk0", 64, True),
        ("disk2", 48, True),
    ]
    command.ok("vm", "stop", guest, *FORCED)
    assert [disk["sessions"] for disk in command.json("vm", "info", guest)["disks"]] == [[], []]
    with Site.load(lab.site_file) as site, site.guest(guest).open_disk("disk2") as lun:
        assert lun.pread(512, 0).rstrip(b"\0") == b"the archive"
    command.ok("vm", "destroy", guest, "--yes")
    assert lab.control.state()["facts"] == before


def test_vm_bhyves_words_add_a_network_and_a_disk(command: Command, guest: str) -> None:
    command.ok("vm", "create", guest, "--size", "64M")
    assert "network0" in command.ok("vm", "add", guest, "-d", "network", "-s", "public")
    assert "disk1" in command.ok("vm", "add", guest, "-d", "disk", "-s", "32M")
    assert "without network0" in command.ok("vm", "remove", guest, "network0", "--dry-run")
    command.ok("vm", "remove", guest, "network0")
    command.ok("vm", "destroy", guest, "--yes")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("add", "web1", "-d", "network"), "needs a switch"),
        (("add", "web1"), "needs a size"),
        (("add", "web1", "-d", "network", "-s", "public", "--thick"), "--thick"),
        (("add", "web1", "-s", "much"), "much"),
        (("remove", "web1", "cdrom"), "cdrom"),
        (("remove", "web1", "network0", "--keep"), "--keep"),
    ],
)
def test_words_that_do_not_fit_are_refused_in_one_line(command: Command, words: tuple[str, ...], why: str) -> None:
    status, said = command.refused("vm", *words)
    assert (status, why in said) == (64, True), said


def stamp(lab: Lab, guest: str, disk: str, text: bytes) -> None:
    with Site.load(lab.site_file) as site, site.guest(guest).open_disk(disk) as lun:
        lun.pwrite(text.ljust(512, b"\0"), 0)
        lun.flush()
