"""Guests started and stopped with the real command: who may, on which disk, and what is left afterwards.

Most guests here have an empty disk: their firmware runs, which is all that these tests need. It knows no power button.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pyvmiscsi.lab import Lab
from pyvmiscsi.lab.bootdisk import build
from pyvmiscsi.lab.hypervisor.control import Control as HypervisorControl
from pyvmiscsi.lab.pytest_plugin import LabFactory
from pyvmiscsi.site import Site
from pyvmiscsi.waiting import wait_for
from tests.e2e.command import Command

FORCED = ("--force", "--deadline", "0")


def control_of(lab: Lab, name: str) -> HypervisorControl:
    return HypervisorControl(Path(lab.info.hypervisors[name].control_socket))


@pytest.fixture
def made(command: Command, guest: str) -> Iterator[str]:
    """A guest with an empty disk, destroyed afterwards."""
    command.ok("vm", "create", guest, "--size", "64M")
    yield guest
    command.ok("vm", "stop", guest, *FORCED)
    command.ok("vm", "destroy", guest, "--yes")


def row_of(command: Command, guest: str) -> dict[str, Any]:
    return next(row for row in command.json("vm", "list") if row["name"] == guest)


def pending_of(command: Command, guest: str) -> list[dict[str, Any]]:
    return [found for found in command.json("ops", "list") if found["guest"] == guest]


def test_a_guest_runs_on_one_host_only_and_is_not_destroyed_while_it_does(command: Command, made: str) -> None:
    command.ok("vm", "start", made, "--host", "hv1")
    assert (row_of(command, made)["state"], row_of(command, made)["host"]) == ("Running", "hv1")
    status, said = command.refused("vm", "start", made, "--host", "hv2")
    assert status == 75
    assert "hv1" in said
    status, said = command.refused("vm", "destroy", made, "--yes")
    assert status == 75
    assert "running on hv1" in said
    (disk,) = command.json("vm", "info", made)["disks"]
    assert disk["sessions"] == ["iqn.1994-09.org.freebsd:hv1.lab"]
    assert disk["device"].startswith("hv1:da")
    command.ok("vm", "stop", made, *FORCED)
    assert row_of(command, made)["state"] == "Stopped"
    (disk,) = command.json("vm", "info", made)["disks"]
    assert (disk["sessions"], disk["device"]) == ([], None)


def test_stopping_a_stopped_guest_is_no_error(command: Command, made: str) -> None:
    command.ok("vm", "stop", made)


def test_a_guest_whose_system_knows_no_power_button_yet_is_ended_by_it(command: Command, made: str) -> None:
    command.ok("vm", "start", made)
    command.ok("vm", "stop", made)
    assert row_of(command, made)["state"] == "Stopped"


def test_a_disk_with_4096_byte_blocks_is_refused_with_the_remedy_and_logged_out(
    lab: Lab, command: Command, made: str
) -> None:
    (extent,) = lab.control.call("iscsi.extent.query", [["name", "=", f"{made}-disk0"]])
    lab.control.call("iscsi.extent.update", extent["id"], {"blocksize": 4096})
    status, said = command.refused("vm", "start", made)
    assert status in (65, 74)
    assert "4096" in said
    assert "512" in said
    assert command.json("vm", "info", made)["disks"][0]["sessions"] == []
    assert row_of(command, made)["state"] == "Stopped"
    assert pending_of(command, made) == []


def test_a_disk_with_another_serial_than_the_configuration_is_refused(lab: Lab, command: Command, made: str) -> None:
    (extent,) = lab.control.call("iscsi.extent.query", [["name", "=", f"{made}-disk0"]])
    lab.control.call("iscsi.extent.update", extent["id"], {"serial": "another"})
    status, said = command.refused("vm", "start", made)
    assert status == 73
    assert "another" in said
    assert row_of(command, made)["state"] == "Stopped"


def test_what_is_on_the_disk_at_a_snapshot_comes_back_with_a_rollback(lab: Lab, command: Command, made: str) -> None:
    stamp(lab, made, b"as it was")
    command.ok("vm", "snapshot", f"{made}@monday")
    stamp(lab, made, b"since then")
    assert [one["name"] for one in command.json("vm", "snapshots", made)] == ["monday"]
    assert "no way back from: rollback" in command.ok("vm", "rollback", f"{made}@monday", "--dry-run")
    command.ok("vm", "rollback", f"{made}@monday", "--yes")
    with Site.load(lab.site_file) as site, site.guest(made).open_disk() as lun:
        assert lun.pread(512, 0).rstrip(b"\0") == b"as it was"
    assert "snapshots that go: monday" in command.run("vm", "destroy", made, "--dry-run").stderr


def test_a_missing_switch_is_named_and_nothing_stays(command: Command, new_name: Callable[[], str]) -> None:
    guest = new_name()
    command.ok("vm", "create", guest, "--size", "64M", "--switch", "nowhere")
    status, said = command.refused("vm", "start", guest)
    assert status == 65
    assert "nowhere" in said
    assert command.json("vm", "info", guest)["disks"][0]["sessions"] == []
    assert pending_of(command, guest) == []
    command.ok("vm", "destroy", guest, "--yes")


def test_a_target_killed_under_a_writing_guest_that_does_not_power_off_hangs_nothing(
    lab_factory: LabFactory, tmp_path: Path
) -> None:
    lab = lab_factory(hypervisors=("hv1",))
    command = Command(lab.site_file)
    disk = build(tmp_path / "disk.img", marker="writer", behaviour="deaf")
    command.ok("vm", "create", "writer", "--size", str(disk.size))
    with Site.load(lab.site_file) as site, site.guest("writer").open_disk() as lun:
        lun.pwrite(disk.path.read_bytes(), 0)
        lun.flush()
    command.ok("vm", "start", "writer")
    wait_until_written(lab.control.volume_file("tank/vm/writer/disk0"), times=5)
    status, said = command.refused("vm", "stop", "writer", "--deadline", "1")
    assert (status, "force" in said) == (75, True)
    assert row_of(command, "writer")["state"] == "Running"
    lab.control.target_kill()
    command.ok("vm", "stop", "writer", "--force", "--deadline", "5")
    host = lab.info.hypervisors["hv1"]
    with control_of(lab, "hv1") as control:
        assert control.state()["sessions"] == []
    log = ssh(lab, "cat /var/log/pyvmiscsi/writer.log")
    assert log.index("logged out of") < log.index("bhyve exited"), log
    assert "ada0" in ssh(lab, "geom disk list"), f"{host.name}: GEOM is frozen"
    assert row_of(command, "writer")["state"] == "Stopped"
    lab.control.target_start()
    command.ok("vm", "destroy", "writer", "--yes")
    assert pending_of(command, "writer") == []


def stamp(lab: Lab, guest: str, text: bytes) -> None:
    """Write the text into the first sector of the guest's disk."""
    with Site.load(lab.site_file) as site, site.guest(guest).open_disk() as lun:
        lun.pwrite(text.ljust(512, b"\0"), 0)
        lun.flush()


def wait_until_written(file: Path, *, times: int) -> None:
    """Return once the file was seen changed that often."""
    seen = {file.stat().st_mtime_ns}

    def changed() -> bool:
        seen.add(file.stat().st_mtime_ns)
        return len(seen) > times

    wait_for(changed, what="the guest writing", deadline=150)


def ssh(lab: Lab, words: str) -> str:
    """What a command on hv1 prints."""
    with Site.load(lab.site_file) as site:
        return site.host("hv1").script(words).text
