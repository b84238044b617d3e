"""Guests renamed, parked and restored with the real command, also where datasets cannot be renamed."""

from __future__ import annotations

from pyvmiscsi.lab import Lab
from pyvmiscsi.lab.pytest_plugin import LabFactory
from pyvmiscsi.site import Site
from tests.e2e.command import Command


def stamp(lab: Lab, guest: str, text: bytes) -> None:
    """Write the text into the first sector of the guest's disk."""
    with Site.load(lab.site_file) as site, site.guest(guest).open_disk() as lun:
        lun.pwrite(text.ljust(512, b"\0"), 0)
        lun.flush()


def stamped(lab: Lab, guest: str) -> bytes:
    with Site.load(lab.site_file) as site, site.guest(guest).open_disk() as lun:
        return bytes(lun.pread(512, 0)).rstrip(b"\0")


def test_a_renamed_guest_has_its_data_and_nothing_of_the_old_name(lab: Lab, command: Command, guest: str) -> None:
    before = lab.control.state()["facts"]
    command.ok("vm", "create", guest, "--size", "64M", "--mutual-chap")
    stamp(lab, guest, b"mine")
    assert "every step can be undone" in command.ok("vm", "rename", guest, f"{guest}-new", "--dry-run")
    command.ok("vm", "rename", guest, f"{guest}-new")
    assert stamped(lab, f"{guest}-new") == b"mine"
    (disk,) = command.json("vm", "info", f"{guest}-new")["disks"]
    assert disk["volume"].endswith(f"/{guest}-new/disk0")
    status, said = command.refused("vm", "start", guest)
    assert (status, guest in said) == (66, True)
    command.ok("vm", "start", f"{guest}-new")
    command.ok("vm", "stop", f"{guest}-new", "--force", "--deadline", "0")
    command.ok("vm", "destroy", f"{guest}-new", "--yes")
    assert lab.control.state()["facts"] == before


def test_a_parked_guest_comes_back_with_its_data_beside_a_new_one_of_its_name(
    lab: Lab, command: Command, guest: str
) -> None:
    before = lab.control.state()["facts"]
    command.ok("vm", "create", guest, "--size", "64M")
    stamp(lab, guest, b"mine")
    command.ok("vm", "snapshot", f"{guest}@monday")
    label = command.json("vm", "destroy", guest, "--trash", "7")["label"]
    assert [(one["label"], one["expired"]) for one in command.json("trash", "list")] == [(label, False)]
    assert command.refused("vm", "info", guest)[0] == 66
    assert "nothing in the trash has expired" in command.ok("trash", "empty")

    command.ok("vm", "create", guest, "--size", "64M")
    stamp(lab, guest, b"another")
    status, said = command.refused("trash", "restore", guest)
    assert (status, f"guest {guest}" in said) == (73, True)
    command.ok("trash", "restore", label, "--as", f"{guest}-back")
    assert (stamped(lab, guest), stamped(lab, f"{guest}-back")) == (b"another", b"mine")
    assert [one["name"] for one in command.json("vm", "snapshots", f"{guest}-back")] == ["monday"]

    command.ok("vm", "destroy", guest, "--yes")
    label = command.json("vm", "destroy", f"{guest}-back", "--trash", "1")["label"]
    command.ok("trash", "empty", label, "--yes")
    assert command.json("trash", "list") == []
    assert lab.control.state()["facts"] == before


def test_where_datasets_keep_their_names_the_guest_gets_its_new_one(lab_factory: LabFactory) -> None:
    lab = lab_factory(profile="24.10", hypervisors=("hv1",))
    command = Command(lab.site_file)
    before = lab.control.state()["facts"]
    command.ok("vm", "create", "web", "--size", "64M")
    stamp(lab, "web", b"first")
    command.ok("vm", "rename", "web", "db")
    (disk,) = command.json("vm", "info", "db")["disks"]
    assert disk["volume"].endswith("/web/disk0")
    command.ok("vm", "create", "web", "--size", "64M")
    stamp(lab, "web", b"second")
    assert (stamped(lab, "db"), stamped(lab, "web")) == (b"first", b"second")
    command.ok("vm", "destroy", "web", "--trash", "7")
    command.ok("trash", "restore", "web")
    assert (stamped(lab, "db"), stamped(lab, "web")) == (b"first", b"second")
    command.ok("vm", "destroy", "web", "--yes")
    command.ok("vm", "destroy", "db", "--yes")
    assert lab.control.state()["facts"] == before
