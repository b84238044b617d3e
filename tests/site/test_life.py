"""A guest started and stopped through the SDK, on hypervisors in memory; tests/e2e does it on the lab."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from pyvmiscsi.errors import ConflictError, HostUnreachableError, InterruptedOperation
from pyvmiscsi.site import Guest
from pyvmiscsi.site.running import Run
from tests.model.hypervisor import RUN
from tests.model.luck import Kind, Luck, Mishap
from tests.model.worlds import MemoryWorld
from tests.plan.worlds import Killed
from tests.site.worlds import web1


@pytest.fixture
def world() -> MemoryWorld:
    return MemoryWorld()


@pytest.fixture
def running(world: MemoryWorld) -> Guest:
    guest = world.site().datastore().create(web1())
    guest.start("hv1")
    return guest


def test_a_stop_that_is_cut_short_is_done_again_for_no_journal_keeps_it(world: MemoryWorld, running: Guest) -> None:
    with pytest.raises(InterruptedOperation) as caught:
        running.stop(run=Run(interrupted=lambda: True))
    assert caught.value.hint == "stop it again"
    assert world.site().operations() == ()
    running.stop()
    assert running.info().state == "Stopped"


@pytest.mark.parametrize("calls", range(4, 14))
def test_nor_does_a_stop_point_to_an_operation_when_its_host_is_lost(world: MemoryWorld, calls: int) -> None:
    world.site().datastore().create(web1()).start("hv1")
    with world.site(Luck([Mishap(calls, Kind.UNREACHABLE)])) as site:
        try:
            site.datastore().guest("web1").stop()
        except HostUnreachableError as error:
            assert "ops resume" not in error.hint
    world.site().datastore().guest("web1").stop()
    assert world.census().host_sessions == 0


@pytest.mark.parametrize(("more", "where"), [({}, "0.0.0.0:5901"), ({"graphics_port": "5905"}, "0.0.0.0:5905")])
def test_where_the_screen_of_a_running_guest_is_stands_beside_its_consoles(
    world: MemoryWorld, more: dict[str, str], where: str
) -> None:
    """As vm-bhyve has it: nobody else could tell which port was the first that was free."""
    world.site().datastore().create(web1(settings={"graphics": "yes", **more})).start("hv1")
    script = world.hosts["hv1"].files[f"{RUN}/web1/supervisor.sh"].decode()
    assert f"CONSOLES='com1=/dev/nmdm-web1.1B\nvnc={where}\n'" in script
    assert f"fbuf,tcp={where}" in script


def test_a_start_that_was_cut_short_tells_who_began_it_and_when(world: MemoryWorld) -> None:
    guest = world.site().datastore().create(web1())
    with world.site(Luck([Mishap(12, Kind.KILLED_AFTER)])) as site, suppress(Killed):
        site.datastore().guest("web1").start("hv1")
    assert guest.info().state == "Locked"
    (told,) = (one.view() for one in world.site().operations())
    assert told.verb == "start"
    assert told.by.endswith(f"@{socket.gethostname()}[{os.getpid()}]")
    assert datetime.fromisoformat(told.since) <= datetime.now(UTC)


@pytest.mark.parametrize("verb", [Guest.stop, Guest.info, Guest.restart])
def test_two_hypervisors_of_one_name_are_refused_for_their_locks_would_be_one(
    world: MemoryWorld, running: Guest, verb: Callable[[Guest], object]
) -> None:
    assert running.info().state == "Running"
    for name, host in world.hosts.items():
        host.machine = f"hv.example.net\n4c4c4544-0051-3310-8043-b8c04f4d37{name}"
    with pytest.raises(ConflictError, match=r"hosts hv1 and hv2 are both called hv\.example\.net"):
        verb(world.site().datastore().guest("web1"))
    assert world.hosts["hv1"].running


def test_one_machine_may_be_in_the_site_file_twice(world: MemoryWorld, running: Guest) -> None:
    for host in world.hosts.values():
        host.machine = "hv1\n4c4c4544-0051-3310-8043-b8c04f4d3732"
    assert running.info().state == "Running"
