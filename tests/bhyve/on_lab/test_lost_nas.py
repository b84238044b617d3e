"""A NAS that goes away under a writing guest: the guest waits, or ends; the host never stands still."""

from __future__ import annotations

import pytest

from pyvmiscsi.lab import Lab
from pyvmiscsi.lab.pytest_plugin import LabFactory
from pyvmiscsi.ports import Host
from pyvmiscsi.waiting import wait_for
from tests.bhyve.on_lab.conftest import Running, Start


@pytest.fixture
def lab(lab_factory: LabFactory) -> Lab:
    """A lab of our own: its target is killed. Logins are tried again every 2 s instead of 60."""
    return lab_factory(hypervisors=("hv1",), hypervisor_options={"login_retry": 2})


def lose_nas(lab: Lab, running: Running) -> None:
    running.until_said("GUEST-WROTE 3")
    lab.control.target_kill()

    def is_noticed() -> bool:
        status = running.hypervisor.guest(running.guest.name).status
        return status is not None and status.session_lost

    wait_for(is_noticed, what="the lost session noticed", deadline=90)


def assert_geom_answers(host: Host) -> None:
    host.run(["/sbin/sysctl", "-b", "kern.geom.confxml"])


def test_a_guest_that_is_to_stop_loses_its_dead_disk_first(lab: Lab, host: Host, start: Start) -> None:
    running = start("write")
    lose_nas(lab, running)
    running.hypervisor.ask_to_stop(running.guest.name)
    ended = running.hypervisor.wait_stopped(running.guest.name, deadline=90)
    assert ended.status is not None
    assert ended.status.phase == "stopped"
    assert running.is_clean()
    assert_geom_answers(host)
    log = running.log()
    assert log.index("logged out of") < log.index("bhyve exited")


def test_a_bhyve_that_is_killed_on_a_dead_disk_does_not_stop_the_host(lab: Lab, host: Host, start: Start) -> None:
    running = start("write")
    lose_nas(lab, running)
    process = running.hypervisor.guest(running.guest.name).process
    host.run(["/bin/kill", "-KILL", str(process)])
    ended = running.hypervisor.wait_stopped(running.guest.name, deadline=90)
    assert ended.status is not None
    assert (ended.status.phase, ended.status.exit_status) == ("failed", 137)
    assert running.is_clean()
    assert_geom_answers(host)


def test_a_nas_that_comes_back_finds_the_guest_where_it_was(lab: Lab, start: Start) -> None:
    running = start("write")
    lose_nas(lab, running)
    lab.control.target_start()
    wrote = running.said().count("GUEST-WROTE")
    wait_for(lambda: running.said().count("GUEST-WROTE") > wrote + 2, what="the guest writing again", deadline=90)
    assert "GUEST-IO-ERROR" not in running.said()
    assert "logged out of" not in running.log()
    running.hypervisor.ask_to_stop(running.guest.name)
    running.hypervisor.wait_stopped(running.guest.name, deadline=90)
    assert running.is_clean()
