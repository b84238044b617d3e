"""Disks that grow and secrets that change, with the real command: on the nas, on the wire and on the hypervisor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pyvmiscsi.lab import Lab
from pyvmiscsi.site import Site
from pyvmiscsi.units import MIB
from tests.e2e.command import Command
from tests.e2e.test_guest_life import FORCED, pending_of, ssh, stamp

STAMP = b"written before it grew"


@pytest.fixture
def made(command: Command, guest: str) -> Iterator[str]:
    """A guest with an empty disk, destroyed afterwards."""
    command.ok("vm", "create", guest, "--size", "64M", "--mutual-chap")
    yield guest
    command.ok("vm", "stop", guest, *FORCED)
    command.ok("vm", "destroy", guest, "--yes")


def account_of(lab: Lab, guest: str) -> dict[str, Any]:
    """The guest's CHAP account, as an administrator of the nas sees it."""
    (account,) = lab.control.call("iscsi.auth.query", [["user", "=", guest]])
    found: dict[str, Any] = account
    return found


def test_a_disk_grows_and_keeps_what_is_on_it(lab: Lab, command: Command, made: str) -> None:
    stamp(lab, made, STAMP)
    assert "no way back from: volume" in command.ok("vm", "resize", made, "disk0", "96M", "--dry-run")
    assert command.ok("vm", "resize", made, "disk0", "96M") == f"disk0 of guest {made} has 96M\n"
    assert command.json("vm", "info", made)["disks"][0]["size"] == 96 * MIB.bytes
    with Site.load(lab.site_file) as site, site.guest(made).open_disk() as lun:
        assert lun.size.bytes == 96 * MIB.bytes
        assert lun.pread(512, 0).rstrip(b"\0") == STAMP
        assert lun.pread(512, lun.size.bytes - 512) == bytes(512)
    command.ok("vm", "resize", made, "disk0", "96M")  # it has that already


def test_what_a_disk_cannot_become_is_refused_in_one_line(command: Command, made: str) -> None:
    for disk, size, status, words in (
        ("disk0", "32M", 65, "never made smaller"),
        ("disk0", "67108865", 65, "multiple of the block size"),
        ("disk1", "96M", 66, "has no disk1"),
        ("hard-disk", "96M", 64, "disk name"),
        ("disk0", "larger", 64, "not a size"),
    ):
        refused, said = command.refused("vm", "resize", made, disk, size)
        assert (refused, words in said) == (status, True), said
    assert command.json("vm", "info", made)["disks"][0]["size"] == 64 * MIB.bytes
    assert pending_of(command, made) == []


def test_a_thick_disk_grows_only_into_the_space_there_is(command: Command, new_name: Callable[[], str]) -> None:
    guest = new_name()
    command.ok("vm", "create", guest, "--size", "64M", "--thick")
    status, said = command.refused("vm", "resize", guest, "disk0", "900T")
    assert (status, "80%" in said) == (73, True), said
    assert pending_of(command, guest) == []
    command.ok("vm", "resize", guest, "disk0", "128M")
    command.ok("vm", "destroy", guest, "--yes")


def test_a_disk_grows_under_a_running_guest_and_its_host_sees_it(lab: Lab, command: Command, made: str) -> None:
    command.ok("vm", "start", made, "--host", "hv1")
    device = command.json("vm", "info", made)["disks"][0]["device"].removeprefix("hv1:")
    told = command.json("vm", "resize", made, "disk0", "128M")
    assert (told["hosts"], told["seen_at_once"]) == (["hv1"], True)
    assert ssh(lab, f"diskinfo {device}").split("\t")[1:4] == ["512", str(128 * MIB.bytes), str(128 * 2048)]
    (disk,) = command.json("vm", "info", made)["disks"]
    assert (len(disk["sessions"]), disk["device"]) == (1, f"hv1:{device}")
    command.ok("vm", "stop", made, *FORCED)
    command.ok("vm", "start", made, "--host", "hv2")


def test_a_stranger_at_the_disk_keeps_it_from_growing(lab: Lab, command: Command, made: str) -> None:
    with Site.load(lab.site_file) as site, site.guest(made).open_disk():
        status, said = command.refused("vm", "resize", made, "disk0", "96M")
        assert (status, "is logged in" in said) == (75, True), said
    assert pending_of(command, made) == []
    command.ok("vm", "resize", made, "disk0", "96M")


def test_new_secrets_open_the_disks_and_are_told_to_nobody(lab: Lab, command: Command, made: str) -> None:
    before = account_of(lab, made)
    done = command.run("--debug", "vm", "chap", "rotate", made)
    after = account_of(lab, made)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"CHAP account {made} of guest {made} has a new secret\n"
    assert (after["user"], after["tag"], after["peeruser"]) == (before["user"], before["tag"], before["peeruser"])
    secrets = [row[key] for row in (before, after) for key in ("secret", "peersecret")]
    assert len(set(secrets)) == 4
    everything = f"{done.stdout}{done.stderr}{lab.control.call('pool.dataset.query', [['id', '^', 'tank/vm']])}"
    assert [secret for secret in secrets if secret in everything] == []
    command.ok("vm", "start", made)
    status, said = command.refused("vm", "chap", "rotate", made)
    assert (status, "running on" in said) == (75, True), said
    assert account_of(lab, made) == after
