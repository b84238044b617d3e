"""A guest with a disk on a second nas, with the real command: made, run on both, grown, and gone from both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pyvmiscsi.lab import Lab
from pyvmiscsi.lab.pytest_plugin import LabFactory
from pyvmiscsi.site import Site
from tests.e2e.command import Command
from tests.e2e.test_datastores import second_nas

FORCED = ("--force", "--deadline", "0")
STAMP = b"on the other nas"


@pytest.fixture
def other(lab_factory: LabFactory) -> Lab:
    """A second appliance, without hypervisors of its own."""
    return lab_factory(hypervisors=())


@pytest.fixture
def command(lab: Lab, other: Lab, tmp_path: Path) -> Iterator[Command]:
    """`pyvmiscsi` on a site file of the test's own, with a datastore on either nas."""
    own = tmp_path / "site.toml"
    own.write_text(lab.site_file.read_text() + second_nas(other))
    command = Command(own)
    with Site.load(own) as site:
        site.host("hv1").make_directory("/vmconfig/far")
        spec = f"iscsi:nas2:{other.info.basename}:/vmconfig/far"
        command.ok("datastore", "add", "far", spec, "--parent", "tank/vm", "--portal", other.info.portal, "--lun", "1")
        yield command
        site.host("hv1").remove_directory("/vmconfig/far")


def test_a_guest_lives_on_two_nases(lab: Lab, other: Lab, command: Command, guest: str) -> None:
    before = [one.control.state()["facts"] for one in (lab, other)]
    command.ok("vm", "create", guest, "-s", "64M", "-s", "32M@far")
    assert (
        command.ok("vm", "add", guest, "-d", "disk", "-s", "48M", "--on", "far")
        == f"guest {guest} has a disk2 of 48M\n"
    )
    with Site.load(command.site_file) as site, site.guest(guest).open_disk("disk1") as lun:
        lun.pwrite(STAMP.ljust(512, b"\0"), 0)
        lun.flush()

    command.ok("vm", "start", guest, "--host", "hv1")
    disks = command.json("vm", "info", guest)["disks"]
    portals = [lab.info.portal, other.info.portal, other.info.portal]
    assert [(disk["name"], disk["datastore"], disk["portal"], len(disk["sessions"])) for disk in disks] == [
        ("disk0", None, portals[0], 1),
        ("disk1", "far", portals[1], 1),
        ("disk2", "far", portals[2], 1),
    ]
    assert all(disk["device"].startswith("hv1:da") for disk in disks)
    (row,) = (row for row in command.json("vm", "list") if row["name"] == guest)
    assert (row["datastore"], len(row["disks"])) == ("iscsi1", 3)
    command.ok("vm", "resize", guest, "disk2", "64M")
    assert command.refused("vm", "snapshot", guest, "--force")[0] == 65
    status, said = command.refused("datastore", "remove", "far")
    assert (status, "not empty" in said) == (75, True)

    command.ok("vm", "stop", guest, *FORCED)
    assert [disk["sessions"] for disk in command.json("vm", "info", guest)["disks"]] == [[], [], []]
    command.ok("vm", "chap", "rotate", guest)
    command.ok("vm", "remove", guest, "disk2", "--yes")
    with Site.load(command.site_file) as site, site.guest(guest).open_disk("disk1") as lun:
        assert lun.pread(512, 0).rstrip(b"\0") == STAMP
    command.ok("vm", "destroy", guest, "--yes")
    assert [one.control.state()["facts"] for one in (lab, other)] == before
    assert command.json("ops", "list") == []


@pytest.mark.parametrize(("words", "why"), [(("create", "web1", "-s", "1G@"), "no datastore after the @")])
def test_a_size_that_names_no_datastore_is_refused(lab: Lab, words: tuple[str, ...], why: str) -> None:
    status, said = Command(lab.site_file).refused("vm", *words)
    assert (status, why in said) == (64, True), said


@pytest.mark.parametrize(
    ("words", "status"),
    [(("create", "web1", "-s", "1G@flash"), 66), (("add", "web1", "-d", "network", "--on", "x"), 64)],
)
def test_a_datastore_that_is_not_there_is_named(lab: Lab, words: tuple[str, ...], status: int) -> None:
    assert Command(lab.site_file).refused("vm", *words)[0] == status
