"""A guest's buttons, and those of all guests of a hypervisor, on the lab."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyvmiscsi.lab import Lab
from pyvmiscsi.lab.bootdisk import build
from pyvmiscsi.names import GuestName
from pyvmiscsi.operations.create import CreateRequest, DiskRequest
from pyvmiscsi.site import Guest, Site
from pyvmiscsi.units import Size
from tests.e2e.command import Command
from tests.e2e.test_guest_life import wait_until_written


@pytest.fixture
def site(lab: Lab) -> Iterator[Site]:
    with Site.load(lab.site_file) as site:
        yield site


@pytest.fixture
def make(site: Site, new_name: Callable[[], str]) -> Iterator[Callable[[Size], Guest]]:
    """Guests with one disk, destroyed afterwards. With an empty one their firmware knows no power button."""
    made: list[Guest] = []

    def make(size: Size) -> Guest:
        name = GuestName.parse(new_name())
        made.append(site.datastore().create(CreateRequest(name, (DiskRequest(size),), chap=False)))
        return made[-1]

    yield make
    for guest in made:
        guest.poweroff()
        guest.destroy()


def asked(site: Site, words: str) -> str:
    """What a command on hv1 prints."""
    return site.host("hv1").script(words).text.strip()


def test_all_that_a_hypervisor_lists_starts_in_order_and_ends_at_once(
    command: Command, site: Site, make: Callable[[Size], Guest]
) -> None:
    first, second = make(Size.parse("64M")), make(Size.parse("64M"))
    asked(site, f"sysrc vm_list='{second.name} {first.name} nobody' vm_delay=0")
    try:
        done = command.run("vm", "startall", "--host", "hv1")
        assert done.returncode == 66
        assert done.stdout.splitlines() == [f"guest {second.name} runs on hv1", f"guest {first.name} runs on hv1"]
        assert "guest nobody: no configuration in" in done.stderr
        listed = {row["name"]: row["autostart"] for row in command.json("vm", "list")}
        assert (listed[str(second.name)], listed[str(first.name)]) == ({"hv1": 1}, {"hv1": 2})
        outcomes = command.json("vm", "stopall", "--host", "hv1", "-f", "--deadline", "0", "--poweroff")
        assert {one["outcome"] for one in outcomes} == {"stopped"}
        assert asked(site, "iscsictl -L | grep -c iqn || true") == "0"
    finally:
        asked(site, "sysrc -x vm_list vm_delay")


def test_a_restart_and_a_reset_run_a_guest_anew_through_the_session_that_it_has(
    lab: Lab, site: Site, make: Callable[[Size], Guest], tmp_path: Path
) -> None:
    disk = build(tmp_path / "disk.img", marker="anew", behaviour="write")
    guest = make(Size(disk.size))
    with guest.open_disk() as lun:
        lun.pwrite(disk.path.read_bytes(), 0)
        lun.flush()
    guest.start("hv1")
    session = asked(site, "iscsictl -L -v | grep 'Session ID'")

    wait_until_written(lab.control.volume_file(f"tank/vm/{guest.name}/disk0"), times=5)  # it knows a power button then
    process = f"pgrep -fx 'bhyve: {guest.name}'"
    processes = [asked(site, process)]
    assert guest.restart(deadline=90) == "hv1"
    processes.append(asked(site, process))
    assert guest.reset() == "hv1"
    processes.append(asked(site, process))
    assert "" not in processes
    assert len(set(processes)) == 3
    assert asked(site, "iscsictl -L -v | grep 'Session ID'") == session
    log = asked(site, f"cat /var/log/pyvmiscsi/{guest.name}.log").splitlines()
    again = [said.partition(" ")[2] for said in log if said.endswith(": starting it again")]
    assert again == ["guest powered off: starting it again", "guest rebooted: starting it again"], log
