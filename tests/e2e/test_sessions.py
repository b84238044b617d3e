"""Who is logged in, with the real command: by hand, under a guest, when the target is lost, and as somebody else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pyvmiscsi.errors import BusyError
from pyvmiscsi.initiator.libiscsi import LibiscsiAccess
from pyvmiscsi.lab import Lab
from pyvmiscsi.names import GuestName
from pyvmiscsi.operations.create import CreateRequest, DiskRequest
from pyvmiscsi.site import Guest, Site
from pyvmiscsi.steps import sessions
from pyvmiscsi.units import Size
from pyvmiscsi.waiting import wait_for
from tests.e2e.command import Command

MIB = 1 << 20


@pytest.fixture
def site(lab: Lab) -> Iterator[Site]:
    with Site.load(lab.site_file) as site:
        yield site


@pytest.fixture
def made(site: Site, guest: str) -> Iterator[Guest]:
    """A guest with an empty disk, destroyed afterwards."""
    made = site.datastore().create(CreateRequest(GuestName.parse(guest), (DiskRequest(Size(64 * MIB)),)))
    yield made
    made.stop(force=True, deadline=0)
    made.destroy()


def rows(site: Site, guest: Guest) -> list[tuple[str | None, str]]:
    return [(row.host, row.verdict) for row in site.sessions(str(guest.name))]


def test_a_disk_is_on_one_host_for_a_while_and_on_no_other(
    lab: Lab, site: Site, command: Command, made: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    (attached,) = command.json("session", "attach", f"{made.name}:disk0", "--on", "hv1")
    assert (attached["size"], attached["sector"]) == (64 * MIB, 512)
    said = site.host("hv1").run(["diskinfo", attached["device"]]).text
    assert said.split("\t")[1:3] == ["512", str(64 * MIB)]
    monkeypatch.setattr(sessions, "SEEN_GONE_WITHIN", 0.0)
    for refused in (made.start, made.attach):
        with pytest.raises(BusyError, match=r"freebsd:hv1\.lab at \S+ is logged in"):
            refused("hv2")
    assert f"{made.name}:disk0  hv1   idle     Connected da" in command.ok("session", "list")
    (shown,) = command.json("session", "show", f"{lab.info.basename}:{made.name}-disk0")["targets"]
    assert (shown["owner"], shown["serial"]) == (f"{made.name}:disk0", attached["serial"])
    assert shown["sessions"][0]["on_nas"] == ["127.0.0.1"]
    command.ok("session", "detach", str(made.name), "--on", "hv1")
    assert rows(site, made) == []


def test_a_session_that_no_host_has_and_one_that_is_no_host_s(site: Site, made: Guest) -> None:
    with made.open_disk():
        assert rows(site, made) == [(None, "stranger")]
    record = made.record()
    (credential,) = site._connections.nas("nas1").find_credentials(tag=record.chap_tag or 0)
    address = record.disks[0].proof(made.datastore).address
    with LibiscsiAccess("iqn.1994-09.org.freebsd:hv2.lab").open(address, credential):
        assert rows(site, made) == [("hv2", "ghost")]
    assert rows(site, made) == []


def test_a_target_that_is_lost_leaves_a_dead_session_that_can_be_taken_away(
    lab: Lab, site: Site, command: Command, made: Guest
) -> None:
    made.start("hv1")
    assert rows(site, made) == [("hv1", "in use")]
    with pytest.raises(BusyError, match="is Connected"):
        made.detach("hv1", force=True)
    lab.control.target_kill()
    try:
        wait_for(lambda: rows(site, made) == [("hv1", "dead")], what="a dead session", deadline=60)
        disk = f"{made.name}:disk0"
        status, said = command.refused("session", "detach", disk, "--on", "hv1")
        assert (status, "--force takes only dead sessions" in said) == (75, True), said
        command.ok("session", "detach", disk, "--on", "hv1", "--force")
        assert rows(site, made) == [("hv1", "missing")]
    finally:
        lab.control.target_start()
