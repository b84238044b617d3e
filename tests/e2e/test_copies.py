"""Clones and images with the real command, on every kind of appliance there is."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from pyvmiscsi.lab import Lab
from pyvmiscsi.lab.pytest_plugin import PLENTY_OF_LOGINS, LabFactory
from pyvmiscsi.site import Site
from tests.e2e.command import Command
from tests.images.digests import digest_of

RELEASES = ("24.10", "26.0")
"""REST v2.0; JSON-RPC that clones a volume in one call and marks it in another."""


def stamp(lab: Lab, guest: str, text: bytes) -> None:
    """Write the text into the first sector of the guest's disk."""
    with Site.load(lab.site_file) as site, site.guest(guest).open_disk() as lun:
        lun.pwrite(text.ljust(512, b"\0"), 0)
        lun.flush()


def stamped(lab: Lab, guest: str) -> bytes:
    with Site.load(lab.site_file) as site, site.guest(guest).open_disk() as lun:
        return bytes(lun.pread(512, 0)).rstrip(b"\0")


def facts(lab: Lab) -> Any:
    return lab.control.state()["facts"]


@pytest.fixture(params=RELEASES)
def place(request: pytest.FixtureRequest, lab_factory: LabFactory) -> tuple[Lab, Command]:
    lab = lab_factory(hypervisors=("hv1",), profile=request.param, login_budget=PLENTY_OF_LOGINS)
    return lab, Command(lab.site_file)


def test_a_guest_its_clone_and_what_is_made_of_its_image(place: tuple[Lab, Command]) -> None:
    lab, command = place
    before = facts(lab)
    command.ok("vm", "create", "web1", "--size", "64M", "--memory", "256M")
    stamp(lab, "web1", b"first")
    command.ok("vm", "snapshot", "web1@monday")
    stamp(lab, "web1", b"since monday")

    command.ok("vm", "clone", "web1@monday", "web2")
    command.ok("vm", "clone", "web1", "web3")
    assert [stamped(lab, guest) for guest in ("web1", "web2", "web3")] == [b"since monday", b"first", b"since monday"]
    stamp(lab, "web2", b"of its own")
    assert stamped(lab, "web1") == b"since monday"
    command.ok("vm", "start", "web2")
    status, said = command.refused("vm", "clone", "web2", "web4")
    assert (status, "running on hv1" in said) == (75, True)
    command.ok("vm", "stop", "web2", "--force", "--deadline", "0")

    command.ok("image", "create", "web1", "--name", "debian", "-d", "bare")
    command.ok("image", "provision", "debian", "db1", "--size", "128M", "--cpu", "2")
    assert stamped(lab, "db1") == b"since monday"
    (image,) = command.json("image", "list")
    assert (image["description"], image["guests"], image["settings"]["memory"]) == ("bare", ["db1"], "256M")
    guest = command.json("vm", "info", "db1")
    assert (guest["cpu"], guest["memory"], guest["disks"][0]["size"]) == ("2", "256M", 128 << 20)
    tree = [(one["depth"], one["guest"] or one["image"]) for one in command.json("vm", "tree")]
    assert tree == [(0, "web1"), (1, "debian"), (2, "db1"), (1, "web2"), (1, "web3")]
    for words in (("vm", "destroy", "web1", "--yes"), ("image", "destroy", "debian", "--yes")):
        status, said = command.refused(*words)
        assert status == 75
        assert "promote" in said

    command.ok("vm", "promote", "web2", "--yes")
    command.ok("vm", "destroy", "db1", "--yes")
    command.ok("image", "destroy", "debian", "--yes")
    command.ok("vm", "destroy", "web3", "--yes")
    command.ok("vm", "destroy", "web1", "--yes")
    assert stamped(lab, "web2") == b"of its own"
    command.ok("vm", "destroy", "web2", "--yes")
    assert command.json("ops", "list") == []
    assert facts(lab) == before


def test_every_byte_of_a_file_an_image_a_copy_and_a_file_again(lab: Lab, command: Command, tmp_path: Path) -> None:
    before = facts(lab)
    disk = b"".join(hashlib.sha256(number.to_bytes(4)).digest() * 64 for number in range(512)).ljust(3 << 20, b"\0")
    file = tmp_path / "Debian-13.raw"
    file.write_bytes(disk)
    sha256 = hashlib.sha256(disk).hexdigest()

    said = command.ok("image", "import", str(file), "--sha256", sha256, "--verify", "-d", "from a file")
    assert f"digest {digest_of(disk)}" in said
    status, told = command.refused("image", "import", str(file))
    assert (status, "debian-13" in told) == (73, True)
    command.ok("image", "provision", "debian-13", "full1", "--full", "--size", "4M")
    command.ok("vm", "clone", "full1", "full2", "--full")
    command.ok("image", "destroy", "debian-13", "--yes")
    command.ok("vm", "destroy", "full1", "--yes")

    saved = json.loads(command.ok("--json", "image", "export", "full2:disk0", str(tmp_path / "again.raw.zst")))
    assert saved["format"] == "raw.zst"
    assert saved["digest"] == digest_of(disk.ljust(4 << 20, b"\0"))
    status, told = command.refused("image", "export", "full2:disk0", str(tmp_path / "again.raw.zst"))
    assert (status, "again.raw.zst" in told) == (73, True)
    command.ok("vm", "destroy", "full2", "--yes")
    assert command.json("ops", "list") == []
    assert facts(lab) == before


def test_what_cannot_be_an_image_leaves_nothing(lab: Lab, command: Command, tmp_path: Path) -> None:
    before = facts(lab)
    (tmp_path / "page.raw").write_text("<!DOCTYPE html><p>not found")
    for words, status, told in (
        ((str(tmp_path / "none.raw"),), 66, "no such file"),
        ((str(tmp_path / "page.raw"),), 65, "a web page"),
        (("http://user:secret@127.0.0.1/disk.raw",), 64, "holds a user"),
        (("-", "--size", "1M"), 64, "--name"),
        ((str(tmp_path / "page.raw"), "--sha256", "12", "--size", "1M"), 65, "a web page"),
    ):
        code, said = command.refused("image", "import", *words)
        assert (code, told in said) == (status, True), said
    assert command.refused("image", "info", "none")[0] == 66
    assert command.refused("image", "provision", "none", "db1")[0] == 66
    assert facts(lab) == before
